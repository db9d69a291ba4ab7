"""apt itself fetches through what we wrote: its lists come from the mirror, security updates from where they came."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePath, PurePosixPath

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import changed
from internlm_setup.mirrors.model import Machine, Serving, Site, Wish
from internlm_setup.mirrors.targets.apt import TARGET

pytestmark = [pytest.mark.loopback, pytest.mark.full]

DEB822 = """\
# the archive
Types: deb
URIs: {home}/debian
Suites: bookworm bookworm-updates
Components: main
Trusted: yes

Types: deb
URIs: {home}/debian-security
Suites: bookworm-security
Components: main
Trusted: yes

# not ours
Types: deb
URIs: {home}/tools
Suites: bookworm
Components: extra
Trusted: yes
"""
LINES = """\
deb [trusted=yes] {home}/debian bookworm main
deb [ trusted=yes arch=amd64 ] {home}/debian bookworm-updates main # updates
deb [trusted=yes] {home}/debian-security bookworm-security main
deb [trusted=yes] {home}/tools bookworm extra
"""


def publish(tree: Path, archive: str, suite: str, component: str, package: str) -> None:
    """Put one suite with one package into an archive, unsigned."""
    folder = tree / archive / "dists" / suite
    listing = (
        f"Package: {package}\nVersion: 1\nArchitecture: all\nFilename: {package}.deb\nSize: 1\nSHA256: {'0' * 64}\n"
    )
    packed = gzip.compress(listing.encode())
    where = folder / component / "binary-amd64"
    where.mkdir(parents=True)
    (where / "Packages.gz").write_bytes(packed)
    sums = f" {hashlib.sha256(packed).hexdigest()} {len(packed)} {component}/binary-amd64/Packages.gz\n"
    sums += f" {hashlib.sha256(listing.encode()).hexdigest()} {len(listing)} {component}/binary-amd64/Packages\n"
    release = f"Suite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: {component}\n"
    (folder / "Release").write_text(f"{release}Date: Sat, 01 Aug 2026 00:00:00 UTC\nSHA256:\n{sums}")


@contextmanager
def served(tree: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; yield its address and the paths that were asked for and were there."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            del size
            if code == 200:
                asked.append(self.path)

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Handler(*args, directory=str(tree)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


class Apt:
    """apt with lists, state and cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "etc" / "sources.list.d"
        for made in (self.sources, folder / "state/lists/partial", folder / "cache/archives/partial"):
            made.mkdir(parents=True)
        (folder / "status").touch()
        settings = {
            "Dir::Etc": folder / "etc",
            "Dir::Etc::sourcelist": folder / "etc" / "sources.list",
            "Dir::Etc::sourceparts": self.sources,
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
        }
        (folder / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
        self.env = {"PATH": os.environ["PATH"], "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}

    def says(self, *command: str) -> str:
        """Run a program of apt's."""
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=True).stdout


def wish(url: str, *, security: bool) -> Wish:
    """Return the wish for everything a site has."""
    apt = Serving(url, "full", "", paths={name: name for name in ("debian", "debian-security")})
    return Wish(Site("mirror", Text(en="Mirror", zh="镜像"), "2026-09-01", {"apt": apt}), security=security)


@pytest.mark.parametrize(("name", "template"), [("x.sources", DEB822), ("x.list", LINES)])
@pytest.mark.parametrize("security", [False, True])
def test_apt_fetches_from_the_mirror(tmp_path: Path, name: str, template: str, *, security: bool) -> None:
    """What was asked for moves, all else is fetched as before, and apt says so when it is asked."""
    for place in ("home", "mirror"):
        for archive, suite in (
            ("debian", "bookworm"),
            ("debian", "bookworm-updates"),
            ("debian-security", "bookworm-security"),
        ):
            publish(tmp_path / place, archive, suite, "main", f"{place}-{suite}")
    publish(tmp_path / "home", "tools", "bookworm", "extra", "home-tools")
    apt = Apt(tmp_path / "apt")
    with served(tmp_path / "home") as (home, from_home), served(tmp_path / "mirror") as (url, from_mirror):
        before = template.format(home=home).encode()
        syntax = TARGET.syntax(PurePath(name))
        machine = Machine("linux", apt.env, PurePosixPath("/root"), True, {"apt-get": Path("/usr/bin/apt-get")})
        after = changed(syntax, before, TARGET.edits(syntax.look(before), wish(url, security=security), machine))
        (apt.sources / name).write_bytes(after)
        apt.says("apt-get", "update")
        packages = set(apt.says("apt-cache", "pkgnames").split())
        moved = {"mirror-bookworm", "mirror-bookworm-updates"}
        secure = "mirror-bookworm-security" if security else "home-bookworm-security"
        assert packages == {*moved, secure, "home-tools"}
        assert not [path for path in from_home if path.startswith("/debian/")]
        assert [path for path in from_mirror if path.startswith("/debian/")]
        assert bool([path for path in from_mirror if "security" in path]) == security
        ask = TARGET.ask(machine)
        assert ask is not None
        asked = ask.read(apt.says(*ask.command))

    files = {"/etc/apt/sources.list.d": name.encode(), f"/etc/apt/sources.list.d/{name}": after}
    computed = TARGET.effective(machine, lambda path: files.get(str(path)))
    assert asked.urls == computed.urls == (f"{url}/debian",)
    assert asked.notes == computed.notes

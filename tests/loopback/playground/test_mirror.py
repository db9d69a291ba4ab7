"""The stand-in mirror sites: real clients install from them, and they go wrong in every way that was asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from internlm_setup.core.sidecar import python_with_pip
from internlm_setup.playground.mirror import Mirrors
from servers.asking import ask

pytestmark = pytest.mark.loopback


@pytest.fixture
def mirrors() -> Iterator[Mirrors]:
    """Two sites, nothing wrong with either."""
    with Mirrors("one", "two") as both:
        yield both


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a real program without the world's proxies and settings; it must succeed."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "npm_config_"))}
    whole = {**base, "NO_PROXY": "127.0.0.1", **(env or {})}
    done = subprocess.run([*map(str, command)], env=whole, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def needs(program: str) -> str:
    """Return where a program is; skip without it."""
    return shutil.which(program) or pytest.skip(f"no {program}")


def test_pip_installs(mirrors: Mirrors, tmp_path: Path) -> None:
    """From the index under any prefix, hash and all."""
    for prefix in ("/pypi/web/simple", "/simple/"):
        target = tmp_path / prefix.strip("/").replace("/", "-")
        pip = (python_with_pip(), "-m", "pip", "--isolated", "install", "--no-cache-dir")
        run(*pip, "--target", target, "-i", mirrors["one"].url + prefix, "playground-hello")
        sys_path = {"PYTHONPATH": str(target)}
        assert "hello from a mirror" in run(
            sys.executable, "-c", "import playground_hello as p; print(p.WORDS)", env=sys_path
        )


def test_a_wheel_can_be_added(mirrors: Mirrors) -> None:
    """Every site has it at once, and its page names it."""
    file = mirrors.index.add("My.Own", "2.0", {"my_own.py": b""})
    assert file == "my_own-2.0-py3-none-any.whl"
    assert file.encode() in ask(mirrors["two"].url + "/simple/my-own/").body
    assert ask(mirrors["two"].url + "/simple/absent/").status == 404
    assert b'href="my_own/"' in ask(mirrors["two"].url + "/simple/").body


@pytest.mark.full
def test_apt_installs(mirrors: Mirrors, tmp_path: Path) -> None:
    """`apt-get` reads the lists of its own folders and downloads the package."""
    apt, dpkg = needs("apt-get"), needs("dpkg-deb")
    for folder in ("lists/partial", "cache/archives/partial", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "status").touch()
    source = f"deb [trusted=yes] {mirrors['one'].url}/debian sid main\n"
    (tmp_path / "etc" / "sources.list").write_text(source)
    own = {
        "Dir::Etc": tmp_path / "etc",
        "Dir::State::lists": tmp_path / "lists",
        "Dir::State::status": tmp_path / "status",
        "Dir::Cache": tmp_path / "cache",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "",
    }
    options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
    run(apt, *options, "update")
    done = subprocess.run(
        [apt, *options, "download", "playground-hello"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run(dpkg, "-x", tmp_path / "playground-hello_1.0_all.deb", tmp_path / "root")
    hello = tmp_path / "root" / "usr" / "share" / "playground-hello" / "hello.txt"
    assert hello.read_text() == "hello from an apt tree\n"


@pytest.mark.full
def test_npm_installs(mirrors: Mirrors, tmp_path: Path) -> None:
    """`npm` reads the registry, under a prefix or not, and checks the integrity."""
    npm, node = needs("npm"), needs("node")
    for registry in (mirrors["one"].url, mirrors["one"].url + "/npm"):
        folder = tmp_path / str(registry.count("/"))
        folder.mkdir()
        words = ["--registry", registry, "--prefix", str(folder), "--cache", str(folder / "cache"), "--no-audit"]
        run(npm, "install", *words, "playground-hello")
        script = f"console.log(require({str(folder / 'node_modules' / 'playground-hello')!r}))"
        assert run(node, "-e", script) == "hello from a registry\n"


@pytest.mark.full
def test_the_zstd_frame_is_one(mirrors: Mirrors, tmp_path: Path) -> None:
    """The reference decoder finds the plain index in it."""
    zstd = needs("zstd")
    channel = mirrors["one"].url + "/anaconda/cloud/conda-forge/noarch"
    packed = tmp_path / "repodata.json.zst"
    packed.write_bytes(ask(f"{channel}/repodata.json.zst").body)
    run(zstd, "-d", packed)
    assert (tmp_path / "repodata.json").read_bytes() == ask(f"{channel}/repodata.json").body


def test_conda_channels(mirrors: Mirrors) -> None:
    """The index names the package with its sums; a site may have only some channels."""
    url = mirrors["one"].url + "/anaconda"
    index = json.loads(ask(f"{url}/pkgs/main/noarch/current_repodata.json").body)
    ((file, record),) = index["packages"].items()
    assert len(ask(f"{url}/pkgs/main/noarch/{file}").body) == record["size"]
    assert json.loads(ask(f"{url}/cloud/x/linux-64/repodata.json").body)["packages"] == {}
    assert ask(f"{url}/pkgs/main/noarch/absent").status == 404
    mirrors["one"].channels = frozenset({"main"})
    assert ask(f"{url}/pkgs/main/noarch/repodata.json", "HEAD").status == 200
    assert ask(f"{url}/pkgs/r/noarch/repodata.json", "HEAD").status == 404


def test_rules(mirrors: Mirrors) -> None:
    """Refusals and redirects by path, the latest first, at one site alone."""
    one, two = mirrors["one"], mirrors["two"]
    one.refuse(403)
    one.redirect(two.url, "/simple/*")
    one.refuse(404, "/simple/pip/")
    assert ask(one.url + "/debian/dists/sid/Release").status == 403
    assert ask(one.url + "/simple/pip/").status == 404
    moved = ask(one.url + "/simple/botocore/")
    assert (moved.status, moved.headers["location"]) == (302, two.url + "/simple/botocore/")
    assert ask(two.url + "/simple/pip/").status == 200
    assert mirrors.log.wait_for(lambda request: request.hub == "two").path == "/simple/pip/"


def test_staleness(mirrors: Mirrors) -> None:
    """An old copy says so in every tree: an older serial, older dates."""
    paths = ("/simple/pip/", "/cloud/conda-forge/noarch/repodata.json", "/debian/dists/sid/Release", "/npm/npm")
    mirrors["two"].age_s = 86400
    for path in paths:
        new, old = (parsedate_to_datetime(ask(site.url + path).headers["last-modified"]) for site in mirrors)
        assert 86390 < (new - old).total_seconds() < 86410
    fresh, stale = (int(ask(site.url + paths[0]).body.split(b"SERIAL ")[1].split(b"-")[0]) for site in mirrors)
    assert fresh - stale == 8640
    assert ask(mirrors["one"].url + paths[2]).body != ask(mirrors["two"].url + paths[2]).body


def test_latency_and_rate(mirrors: Mirrors) -> None:
    """Answers come later and bodies slower: never earlier than was asked for."""
    url = mirrors["one"].url + "/npm/npm/-/npm-0.0.1.tgz"
    size = len(ask(url).body)
    mirrors["one"].latency_s, mirrors["one"].bytes_per_s = 0.1, size / 0.4
    began = time.monotonic()
    assert len(ask(url).body) == size
    assert time.monotonic() - began > 0.4


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ("bytes=2-5", 206, (2, 6)),
        ("bytes=2-", 206, (2, None)),
        ("bytes=-3", 206, (-3, None)),
        ("lines=1-2", 200, (0, None)),
    ],
)
def test_ranges(mirrors: Mirrors, asked: str, status: int, span: tuple[int, int | None]) -> None:
    """The part that was asked for; what is no range of bytes gets the whole."""
    url = mirrors["one"].url + "/simple/pip/"
    answer = ask(url, headers={"Range": asked})
    assert (answer.status, answer.body) == (status, ask(url).body[slice(*span)])
    assert ask(url, headers={"Range": "bytes=999999999-"}).status == 416


def test_other_paths(mirrors: Mirrors) -> None:
    """Folders answer, other files are not there."""
    assert b"stand-in" in ask(mirrors["one"].url + "/").body
    assert ask(mirrors["one"].url + "/npm/").status == 200
    assert ask(mirrors["one"].url + "/absent").status == 404
    assert ask(mirrors["one"].url + "/debian/pool/main/absent.deb").status == 404

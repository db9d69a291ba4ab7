"""apt on Debian and Ubuntu: where the distribution's own archive is fetched from.

An entry is the distribution's own by what it says: the path ends in the archive's name, and either the key or the
host is the distribution's, or the host is called a mirror or serves the distribution's updates as well. Everybody
else's repositories look different in at least one of these, and are never touched. Nor are archives of old releases,
which mirrors keep elsewhere or not at all, and dated snapshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath, PurePosixPath

from internlm_setup.core.text import Text, without_password
from internlm_setup.mirrors.edit import Unparseable, aptlist, deb822, keys_in
from internlm_setup.mirrors.errors import ArchiveMissing
from internlm_setup.mirrors.model import (
    Ask,
    Edit,
    Effective,
    Family,
    Key,
    Layer,
    Machine,
    Mirrored,
    Reads,
    Scope,
    Syntax,
    Wish,
)

_MAIN = PurePosixPath("/etc/apt/sources.list")
_FOLDER = PurePosixPath("/etc/apt/sources.list.d")
_ARCHIVES = ("debian", "debian-security", "ubuntu", "ubuntu-ports")
_ON_THE_WAY = {"pub", "linux", "mirror", "mirrors", "ftp", "os"}  # folders that sites put before an archive
_COMPONENTS = {"main", "contrib", "non-free", "non-free-firmware", "restricted", "universe", "multiverse"}
_SUITE = re.compile(r"[a-z]+(-(updates|security|backports(-sloppy)?|proposed(-updates)?)|/updates)?")
_MIRROR = re.compile(r"\.(mirrors?|ftp)\d*\.")
_SIGNED_BY = re.compile(r"signed-by=(\S*?)[\s\]]", re.IGNORECASE)
_INRELEASE = re.compile(r"^'(?P<uri>[a-z]+:[^']*?)/+dists/(?P<suite>[^']+)/InRelease' ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A paragraph or a line: from which addresses which suites come, and whose key vouches for them."""

    key: Key
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: frozenset[str]
    signed_by: str = ""

    @property
    def is_security(self) -> bool:
        """Whether security updates come by it."""
        return any(suite.endswith(("-security", "/updates")) for suite in self.suites)


class Apt:
    """See the module."""

    id = "apt"
    title = "apt"
    families: tuple[Family, ...] = ("apt",)
    scopes: tuple[Scope, ...] = ("system",)
    program = "apt-get"
    always = False
    about = Text(
        en=(
            "The address of Debian's or Ubuntu's own archive is exchanged in `/etc/apt/sources.list` and in the files "
            "of `/etc/apt/sources.list.d/`, nothing else of an entry; other people's repositories and disabled entries "
            "are left alone. So are security updates, unless they are asked for: a mirror has them later. "
            "apt has no built-in address, so `mirrors reset` leaves these files alone; `mirrors undo` puts the old "
            "bytes back."
        ),
        zh=(
            "只替换 `/etc/apt/sources.list` 和 `/etc/apt/sources.list.d/` 中 Debian 或 Ubuntu 自有软件源的地址，"
            "条目的其他内容不变；第三方软件源和已停用的条目不会改动。安全更新也保持原样，除非明确要求：镜像站的安全更新会晚一些。"
            "apt 没有内置地址，因此 `mirrors reset` 不改这些文件；`mirrors undo` 会恢复原来的内容。"
        ),
    )

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """Return every file that names the distribution's archive; none is made where there is none."""
        if machine.platform != "linux" or scope not in self.scopes:
            return ()
        return [path for path in _lists(read) if self._is_own(path, read(path) or b"")]

    def syntax(self, path: PurePath) -> Syntax:
        """Return paragraphs for `*.sources`, lines for the others."""
        return deb822 if path.suffix == ".sources" else aptlist

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """Return the new addresses.

        Plain http stays plain where certificates cannot be checked yet: packages are signed, and apt could not even
        fetch `ca-certificates` otherwise.

        Raises:
            ArchiveMissing: The site does not have the distribution.
        """
        serving = wish.site.families["apt"]
        can_check = "update-ca-certificates" in machine.programs
        edits = []
        for entry, archives in _own(_entries(before)):
            if entry.is_security and not wish.security:
                continue
            uris: dict[str, None] = {}
            for uri, archive in zip(entry.uris, archives, strict=True):
                if archive and archive not in serving.paths:
                    raise ArchiveMissing(wish.site.id, archive)
                to = f"{serving.url}/{serving.paths[archive]}" if archive else ""
                uris[_moved(uri, to, can_check=can_check) if to else uri] = None
            if tuple(uris) != entry.uris:
                edits.append(Edit(entry.key, " ".join(uris)))
        return edits

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """Return nothing: an entry without an address is an error to apt, and it has no built-in one."""
        del before, is_mirror
        return ()

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """Return the archive's addresses in the order in which apt reads them; all of them count."""
        if machine.platform != "linux":
            return Effective((), None)
        found: list[tuple[Entry, Layer]] = []
        refused: list[Text] = []
        for path in _lists(read):
            entries = _entries(keys_in(path, self.syntax(path), read, refused))
            found += [(entry, Layer("file", str(path), entry.key, "system")) for entry, _ in _own(entries)]
        found.sort(key=lambda pair: pair[0].is_security)
        said = _said([entry for entry, _ in found])
        return replace(said, decided_by=found[0][1] if found else None, notes=(*refused, *said.notes))

    def ask(self, machine: Machine) -> Ask | None:
        """Ask apt which releases it would fetch; it answers without the network and without being root."""
        program = machine.programs.get("apt-get")
        return Ask((str(program), "update", "--print-uris"), _answer) if program else None

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """Return what to run next, and what to do where it fails."""
        sudo = "" if machine.is_admin else "sudo "
        texts = [_UPDATE.fill(sudo=sudo)]
        if "update-ca-certificates" not in machine.programs:
            texts.append(_CERTIFICATES.fill(sudo=sudo))
        if not wish.security:
            texts.append(_SECURITY)
        return [*texts, _PIPELINE.fill(sudo=sudo)]

    def _is_own(self, path: PurePath, data: bytes) -> bool:
        """Whether a file has something of the distribution's; one that apt refuses is for the caller to report."""
        try:
            return any(_own(_entries(self.syntax(path).look(data))))
        except Unparseable:
            return True


TARGET = Apt()

_UPDATE = Text(
    en="fetch the lists from the new address: `{sudo}apt-get update`", zh="从新地址取得软件列表：`{sudo}apt-get update`"
)
_CERTIFICATES = Text(
    en="https needs `ca-certificates`, so http addresses stayed http: `{sudo}apt-get install ca-certificates`",
    zh="https 需要 `ca-certificates`，因此 http 地址仍为 http：`{sudo}apt-get install ca-certificates`",
)
_SECURITY = Text(
    en="security updates stay where they came from: a mirror has them later",
    zh="安全更新的来源保持不变：镜像站的安全更新会晚一些",
)
_PIPELINE = Text(
    en="if connections are reset: `{sudo}apt-get -o Acquire::http::Pipeline-Depth=0 update`",
    zh="如果连接被重置：`{sudo}apt-get -o Acquire::http::Pipeline-Depth=0 update`",
)
_REFUSED = Text(en="apt refuses `{path}`, at or after line {line}", zh="apt 拒绝 `{path}`，问题在第 {line} 行或其后")
_FROM = Text(en="security updates come from {urls}", zh="安全更新来自 {urls}")


def _lists(read: Reads) -> list[PurePath]:
    """Return the files that apt reads, in its order."""
    names = sorted((read(_FOLDER) or b"").decode("utf-8", "surrogateescape").split("\n"))
    found = [_FOLDER / name for name in names if re.fullmatch(r"[\w.-]+\.(list|sources)", name, re.ASCII)]
    return [path for path in (_MAIN, *found) if read(path) is not None]


def _entries(keys: Mapping[Key, object]) -> Iterator[Entry]:
    """Return what is in force in a file of either syntax."""
    for key, value in keys.items():

        def part(name: str, number: str = key[0]) -> str:
            return str(keys.get((number, name), ""))

        if key[-1] == "URIs" and deb822.is_on(part("Enabled")):
            suites, components, key_file = part("Suites"), part("Components"), part("Signed-By")
        elif key[-1] == "uri":
            signed = _SIGNED_BY.search(part("options"))
            suites, components, key_file = part("suite"), part("components"), signed[1] if signed else ""
        else:
            continue
        yield Entry(key, tuple(str(value).split()), tuple(suites.split()), frozenset(components.split()), key_file)


def _own(entries: Iterable[Entry]) -> Iterator[tuple[Entry, tuple[str | None, ...]]]:
    """Return the distribution's own entries, with the archive that each of their addresses is of."""
    entries = list(entries)
    whole = {
        _host(uri)
        for entry in entries
        for uri in entry.uris
        if any(_SUITE.fullmatch(suite) and not suite.isalpha() for suite in entry.suites)
    }
    for entry in entries:
        archives = tuple(_archive(uri, entry, whole) for uri in entry.uris)
        if any(archives):
            yield entry, archives


def _archive(uri: str, entry: Entry, whole: set[str]) -> str | None:
    """Return the name of the archive that an address is of, or None where it is somebody else's.

    Args:
        uri: The address.
        entry: Where it stands.
        whole: Hosts that serve the updates of a distribution too, so that they are mirrors of all of it.
    """
    host = _host(uri)
    folders = [part for part in uri.split("/")[3:] if part]
    *way, name = folders or ["debian-security" if entry.is_security else ""]
    if not host or name not in _ARCHIVES or not _ON_THE_WAY.issuperset(way):
        return None
    if not all(map(_SUITE.fullmatch, entry.suites)) or not entry.components <= _COMPONENTS:
        return None
    distribution = name.partition("-")[0]
    if re.search(rf"\.{distribution}\.(org|com|net)(:\d+)?$", host):
        is_old = host.startswith(".old-releases." if distribution == "ubuntu" else ".archive.")
        return None if is_old else name
    if entry.signed_by.startswith("/"):
        is_vouched = re.search(rf"/{distribution}-(archive|keyring)[^/]*$", entry.signed_by) is not None
    else:
        is_vouched = host in whole or _MIRROR.search(host) is not None
    return name if is_vouched else None


def _host(uri: str) -> str:
    """Return the host of a web address, with a dot before it; empty for any other."""
    scheme, _, rest = uri.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2].lower()
    return f".{host}" if scheme in {"http", "https"} and host else ""


def _moved(uri: str, to: str, *, can_check: bool) -> str:
    """Return an address at another site, written as the old one was."""
    if uri.startswith("http:") and not can_check:
        to = re.sub("^https:", "http:", to)
    return to + "/" if uri.endswith("/") else to


def _said(entries: Sequence[Entry]) -> Effective:
    """Return the addresses of the archive, and where security updates come from if that is elsewhere."""
    urls = dict.fromkeys(uri.rstrip("/") for entry in entries for uri in entry.uris if not entry.is_security)
    security = dict.fromkeys(uri.rstrip("/") for entry in entries for uri in entry.uris if entry.is_security)
    elsewhere = ", ".join(f"`{without_password(uri)}`" for uri in security if uri not in urls)
    return Effective(tuple(urls or security), None, notes=(_FROM.fill(urls=elsewhere),) if urls and elsewhere else ())


def _answer(stdout: str) -> Effective:
    """Read the releases that apt would fetch. It does not say whose keys they need: where no host is known, all count.

    Raises:
        ValueError: These are no addresses of releases.
    """
    asked = [
        Entry((), (found["uri"],), (found["suite"],), frozenset(["main"])) for found in _INRELEASE.finditer(stdout)
    ]
    if stdout.strip() and not asked:
        raise ValueError("no release among what apt would fetch")
    own = [entry for entry, _ in _own(asked)]
    return replace(_said(own or asked), asked="apt-get update --print-uris")

"""Stand-ins that tests hand in as arguments: a clock that never sleeps, hubs that answer as told, values made short."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from internlm_setup.core.http import Network
from internlm_setup.core.text import Text
from internlm_setup.fetch.catalog import load_catalog
from internlm_setup.fetch.errors import RepositoryMissing
from internlm_setup.fetch.model import Location, RemoteFile, Snapshot
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.world import World

OFFLINE = Network("test/1", {}, (), ())


@dataclass
class StillClock:
    """A clock that moves only when somebody waits; `waits` has how long, in order."""

    seconds: float = 1_000_000.0
    waits: list[float] = field(default_factory=list)

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    def wait(self, seconds: float, cancelled: threading.Event) -> bool:
        """Jump ahead at once."""
        self.waits.append(seconds)
        self.seconds += seconds
        return cancelled.is_set()


@dataclass
class FakeHub:
    """A hub that gives its `answers` one after the other, the last one for ever.

    Attributes:
        before: Called before each answer; a test waits or signals there.
        asked: What it was asked for.
    """

    answers: Sequence[Snapshot | BaseException] = ()
    id: str = "one"
    title: str = "Hub One"
    default_revision: str = "main"
    endpoint: str = "https://one.test:8443/base"
    note: Text | None = None
    before: Callable[[], object] = bool
    asked: list[tuple[str, str]] = field(default_factory=list)

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """See `Hub.snapshot`."""
        self.asked.append((repo, revision))
        self.before()
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def locate(self, snapshot: Snapshot, file: RemoteFile) -> Location:
        """See `Hub.locate`."""
        return Location(f"{self.endpoint}/{snapshot.repo}/{file.path}", self.endpoint)


def sha256(data: bytes) -> str:
    """Return the sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    """Return git's hash of a blob in hex."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def listed(path: str, data: bytes) -> RemoteFile:
    """Return a file as a hub with sha256 lists it."""
    return RemoteFile(path, len(data), sha256(data))


def snapshot_of(*files: RemoteFile, hub: str = "one") -> Snapshot:
    """Return a pinned listing."""
    return Snapshot(hub, "lab/model", "main", "c0ffee", files)


def put(folder: Path, path: str, data: bytes) -> Entry:
    """Write a file and return the record of it."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    mtime_ns = target.stat().st_mtime_ns
    return Entry(path, len(data), sha256(data), git_sha1(data), mtime_ns, "sha256", "one", "one")


@dataclass
class FolderHub:
    """A hub of another distribution: what lies in the folder that is its endpoint."""

    endpoint: str | None
    network: Network
    env: Mapping[str, str]
    home: Path
    id: ClassVar[str] = "alpha"
    title: ClassVar[str] = "Alpha"
    default_revision: ClassVar[str] = "trunk"
    note: ClassVar[Text | None] = None

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """See `Hub.snapshot`."""
        folder = Path(self.endpoint or "") / repo
        if not folder.is_dir():
            raise RepositoryMissing(self.title, repo, "knocking")
        files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
        found = (listed(p.relative_to(folder).as_posix(), p.read_bytes()) for p in files)
        return Snapshot(self.id, repo, revision, None, tuple(found))

    def locate(self, snapshot: Snapshot, file: RemoteFile) -> Location:
        """See `Hub.locate`."""
        return Location(f"file://{self.endpoint}/{snapshot.repo}/{file.path}", "file://")


class OtherFolderHub(FolderHub):
    """One more of them."""

    id = "beta"
    title = "Beta"
    note = Text(en="a note", zh="说明")


CATALOG = """
family: chats
title: {en: Chats, zh: 对话}
models:
  - name: chat
    ids: {alpha: lab/chat, beta: Lab_CN/chat, openxlab: OpenLab/Chat}
    source: the README
  - name: prover
    ids: {beta: lab/prover}
    source: the README
  - name: lonely
    ids: {openxlab: OpenLab/Lonely}
    source: the README
  - name: lost
    ids: {nowhere: lab/lost}
    source: the README
"""


def install_hubs(site: Path) -> None:
    """Lay out another distribution, with the two hubs, in a folder that is on the module path."""
    info = site / "other_hubs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-hubs\nVersion: 1.0\n")
    lines = ["[internlm_setup.hubs]", "alpha = fakes:FolderHub", "beta = fakes:OtherFolderHub", ""]
    (info / "entry_points.txt").write_text("\n".join(lines))


def world_in(folder: Path) -> World:
    """Return a world without a network; `auto` asks the two hubs, whose models lie in `alpha` and `beta`."""
    (folder / "chats.yaml").write_text(CATALOG, "utf-8")
    return World(
        env={},
        home=folder / "home",
        cwd=folder,
        state=folder / "state",
        catalog=load_catalog([folder]),
        endpoints={hub: str(folder / hub) for hub in ("alpha", "beta")},
        auto=("alpha", "beta"),
        network=OFFLINE,
        clock=StillClock(),
    )

"""Two hubs that hold the same bytes, and a transfer that may take each content from both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from internlm_setup.core.clock import Clock, SystemClock
from internlm_setup.core.http import Network
from internlm_setup.fetch import hubs
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.http import Fetcher
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.options import Options, Outcome
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.transfer.pool import transfer
from internlm_setup.fetch.transfer.rate import RateLimit
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.playground.hub import HubServer, Repository

REPO = "lab/model"
NAMES = ("huggingface", "modelscope")


@dataclass
class Pair:
    """Two servers, the first asked as Hugging Face and the second as ModelScope, and what a transfer told.

    `at_share` is done once that share of all bytes has come: a number from 0 to 1, and what to do.
    """

    folder: Path
    servers: tuple[HubServer, HubServer]
    size_bytes: int
    network: Network = field(default_factory=lambda: Network("test/1", {}, (), ()))
    told: list[events.Event] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    received_bytes: int = 0
    at_share: tuple[float, Callable[[], object]] | None = None
    _came_bytes: int = 0

    def contents(self, names: Sequence[str] = NAMES) -> list[Content]:
        """Ask the named hubs what they have; the first one's listing decides."""
        found: dict[str, Content] = {}
        for name in names:
            server = self.servers[NAMES.index(name)]
            hub = hubs.make(name, server.endpoints[name], self.network, {}, self.folder)
            snapshot = hub.snapshot(REPO, hub.default_revision)
            for file in snapshot.files:
                source = Source(name, partial(hub.locate, snapshot, file))
                if file.path in found:
                    before = found[file.path]
                    found[file.path] = replace(before, sources=(*before.sources, source))
                elif name == names[0]:
                    key = file.sha256 or f"git-{file.git_sha1}"
                    hashes = (file.size_bytes, file.sha256, file.git_sha1)
                    found[file.path] = Content(key, *hashes, (file.path,), (source,))
        return list(found.values())

    def fetch(
        self, names: Sequence[str] = NAMES, *, jobs: int = 4, most_jobs: int = 0, clock: Clock | None = None
    ) -> list[Outcome]:
        """Transfer everything that the first named hub has into the folder `to`."""
        options = Options(
            jobs=jobs,
            limit=RateLimit(None, SystemClock()),
            clock=clock or SystemClock(),
            tell=self._hear,
            finished=self.entries.append,
            most_jobs=most_jobs,
            trace=self.pieces.append,
        )
        contents = self.contents(names)
        for server in self.servers:
            server.log.clear()
        outcomes, self.received_bytes = transfer(contents, Store(self.folder / "to"), Fetcher(self.network), options)
        return outcomes

    def _hear(self, event: events.Event) -> None:
        self.told.append(event)
        if isinstance(event, events.Advanced):
            self._came_bytes += event.count_bytes
        if self.at_share is not None and self._came_bytes >= self.at_share[0] * self.size_bytes:
            (_, do), self.at_share = self.at_share, None
            do()

    def of(self, kind: type[events.Event]) -> list[Any]:
        """Return what was told of one kind."""
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def sent_bytes(self) -> tuple[int, int]:
        """What each server has sent in the last transfer, unfinished answers included."""
        one, two = self.servers
        return one.log.sent_bytes, two.log.sent_bytes

    def stop_at(self, share: float) -> None:
        """Interrupt the transfer, as Ctrl-C does, once so much has come."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        self.at_share = (share, interrupt)


@contextmanager
def pair(folder: Path, files: Mapping[str, bytes]) -> Iterator[Pair]:
    """Serve the same files at both."""
    served = folder / "served"
    for path, data in files.items():
        (served / path).parent.mkdir(parents=True, exist_ok=True)
        (served / path).write_bytes(data)
    repositories = [Repository(dict.fromkeys(NAMES, REPO), served)]
    with HubServer(repositories) as one, HubServer(repositories) as two:
        yield Pair(folder, (one, two), sum(map(len, files.values())))

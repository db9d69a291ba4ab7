"""What a fetch tells while it runs: frozen values handed to a callback, never printed here.

They may arrive from several threads, but never two at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.fetch.model import Standing


@dataclass(frozen=True, slots=True)
class Asking:
    """A hub is being asked what it has."""

    hub: str
    host: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Several hubs were asked; this is what each holds, the one whose version is used first."""

    hubs: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan is made; bytes will move now.

    Attributes:
        repo: The repository's id at the primary hub.
        hub: The primary hub's id.
        files: Files selected in all.
        size_bytes: Their size in all.
        present_bytes: Of these, already here (verified files and pieces of partial ones).
    """

    repo: str
    hub: str
    files: int
    size_bytes: int
    present_bytes: int


@dataclass(frozen=True, slots=True)
class FileStarted:
    """The first piece of a file is being fetched. `present_bytes` were there from an earlier run."""

    path: str
    size_bytes: int | None
    present_bytes: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """Bytes of a file reached the disk. Negative when pieces have to be fetched again."""

    path: str
    count_bytes: int


@dataclass(frozen=True, slots=True)
class Verifying:
    """All bytes of a file are here; its hash is being finished."""

    path: str


@dataclass(frozen=True, slots=True)
class FileFinished:
    """A file is in place under its final name. `proof` is `sha256`, `git-sha1` or `none`."""

    path: str
    size_bytes: int
    proof: str


@dataclass(frozen=True, slots=True)
class FileFailed:
    """A file could not be had; the run goes on with the others and fails at its end."""

    path: str
    reason: Text


@dataclass(frozen=True, slots=True)
class Retrying:
    """Something failed and will be tried again after `wait_s` seconds."""

    what: str
    reason: Text
    wait_s: float


@dataclass(frozen=True, slots=True)
class SourceDropped:
    """A source sent wrong bytes of a file; nothing more is taken from it in this run, where others have it too."""

    source: str
    path: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person should know, in one line."""

    text: Text
    warning: bool = False


Event = (
    Asking
    | Compared
    | Planned
    | FileStarted
    | Advanced
    | Verifying
    | FileFinished
    | FileFailed
    | Retrying
    | SourceDropped
    | Noted
)
Listener = Callable[[Event], None]


def one_at_a_time(tell: Listener) -> Listener:
    """Return a listener for several threads that calls `tell` from one at a time."""
    telling = threading.Lock()

    def say(event: Event) -> None:
        with telling:
            tell(event)

    return say


def ignore(event: Event) -> None:
    """Listen to nothing."""

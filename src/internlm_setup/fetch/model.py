"""The values that cross fetch's rooms: what a hub has, where bytes are, what came out.

Hubs make these, the transfer consumes them, the service passes them between; hubs and transfer never meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from internlm_setup.core.text import Text

Proof = Literal["sha256", "git-sha1", "none"]
LOCK = "lock"  # what proves a file that a lock file named
Held = Literal["used", "same", "differs", "unknown", "failed", "silent", "not-asked"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file a hub lists.

    Attributes:
        path: Relative, with `/`; hostile until `fetch.transfer.plan` has checked it.
        size_bytes: None when the hub does not say.
        sha256: Lower-case hex of the content, or None.
        git_sha1: Lower-case hex of the git blob hash of the content, or None (a pointer's hash is not one).
        etag: The server's own tag of these bytes, for a hub that publishes no hash; it proves nothing, but another
            one means other bytes.
        vendor_only: Whether the hub hands it out to its own downloader alone.
    """

    path: str
    size_bytes: int | None
    sha256: str | None = None
    git_sha1: str | None = None
    etag: str | None = None
    vendor_only: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one hub says one repository holds, pinned.

    `commit` is None where the hub has no snapshot commit (ModelScope, OpenXLab); the set of files is the pin then.
    """

    hub: str
    repo: str
    revision: str
    commit: str | None
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """Where one file's bytes are now.

    `headers` may hold a token and go to `origin` (scheme, host and port) only. `expires_at` is Unix seconds.
    """

    url: str
    origin: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    expires_at: float | None = None


def called(hub: str, endpoint: str) -> str:
    """Return what a hub is called, with its address where it is asked at several."""
    return f"{hub} ({endpoint})" if endpoint else hub


@dataclass(frozen=True, slots=True)
class Standing:
    """What one hub holds of a model, beside the hub whose version is used.

    Attributes:
        hub: Its id.
        repo: The repository there.
        revision: What was asked for; empty where the hub has no revisions, or was not asked.
        commit: What that was pinned to, where the hub has commits.
        state: `used`: its version is the result. `same`, `differs`, `unknown`: what is known of its bytes.
            `failed`: it answered with a refusal, or cannot be reached. `silent`: it took too long.
        files: How many it lists; None when there is no listing.
        size_bytes: Of all of them.
        different: Paths whose bytes are surely others than those used.
        verdict: The state in words, with the reason.
        note: A sentence worth showing beside the hub, or None.
        endpoint: Its address, where the hub was asked at several; else empty.
    """

    hub: str
    repo: str
    revision: str
    commit: str | None
    state: Held
    files: int | None
    size_bytes: int | None
    different: tuple[str, ...]
    verdict: Text
    note: Text | None
    endpoint: str = ""

    @property
    def name(self) -> str:
        """What to call it, beside its other endpoints too."""
        return called(self.hub, self.endpoint)


class Hub(Protocol):
    """One model hub. A plug-in is a class with these members; see docs/how-to/add-a-hub.md.

    Attributes:
        id: What `--source` takes, for example `modelscope`.
        title: The name people know.
        default_revision: What an unnamed revision means here; empty where the hub has none.
        endpoint: Where it is asked, without a trailing slash.
        note: A sentence worth showing beside the hub (`models show`), or None.
    """

    id: str
    title: str
    default_revision: str
    endpoint: str
    note: Text | None

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """List one revision of one repository and pin it."""
        ...

    def locate(self, snapshot: Snapshot, file: RemoteFile) -> Location:
        """Say where one file's bytes are. May be asked again when a location has expired."""
        ...


class Downloading(Protocol):
    """What a vendor's downloader may tell while it works."""

    def note(self, text: Text) -> None:
        """Tell a person something in one line."""
        ...

    def grown(self, count_bytes: int) -> None:
        """Tell that so many more bytes are there; negative when some went away."""
        ...


@runtime_checkable
class Downloader(Protocol):
    """A hub whose vendor has a downloader of its own: what `--engine official` needs, besides the members of `Hub`."""

    def download(self, snapshot: Snapshot, files: Sequence[RemoteFile], to: Path, events: Downloading) -> None:
        """Have the vendor's code put files into a folder under their own paths, and wait for it.

        The folder may hold what an earlier call left. Nothing is believed: every file is verified afterwards.

        Raises:
            core.child.Failed: The vendor's code failed, in its own words.
            core.child.Stalled: It made no progress, and was ended.
            SetupError: It could not be started.
        """
        ...


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file in place. `proof` is the published hash it was checked against; `source` who sent it: `a`, or `a,b`."""

    path: str
    size_bytes: int
    sha256: str
    proof: Proof
    proof_from: str | None
    source: str


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch did.

    Attributes:
        path: The model's folder, absolute.
        model: The name asked for.
        hub: The hub whose snapshot defines the result.
        repo: The repository there.
        revision: The revision asked for.
        commit: The commit it was pinned to, where the hub has one.
        files: Every selected file, in path order.
        received_bytes: Bytes that came over the network in this run.
        reused_files: Files that were already there and verified.
        unverified: Paths that no published hash could be found for.
        hubs: What each hub holds, where more than one was asked; the one that is used first.
        lock: The lock file that was written, absolute, or None.
        reused_bytes: Bytes of files that were found elsewhere on this machine, and verified.
        dropped: Hubs that sent wrong bytes, so that nothing more was taken from them in this run.
    """

    path: Path
    model: str
    hub: str
    repo: str
    revision: str
    commit: str | None
    files: tuple[FetchedFile, ...]
    received_bytes: int
    reused_files: int
    unverified: tuple[str, ...]
    hubs: tuple[Standing, ...] = ()
    lock: Path | None = None
    reused_bytes: int = 0
    dropped: tuple[str, ...] = ()

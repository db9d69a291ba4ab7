"""Which hubs hold the very same bytes as another one: asked at once, with a short patience."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from internlm_setup.core.errors import SetupError
from internlm_setup.core.parallel import each, within
from internlm_setup.fetch.ask import PATIENCE_S, Question, ask
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.model import Hub, RemoteFile, Snapshot
from internlm_setup.fetch.transfer.events import ignore
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.world import World, questions


@dataclass(frozen=True, slots=True)
class Holder:
    """A hub that answered, and what it lists."""

    hub: Hub
    snapshot: Snapshot


def ask_others(wanted: Wanted, world: World, leave_out: Container[str]) -> list[Holder]:
    """Ask the other hubs that `auto` asks; one that does not answer in time, or refuses, holds nothing."""
    others = [hub for hub in world.auto if hub in wanted.ids and hub not in leave_out]
    asked = questions(wanted, world, others, None) if others else []
    return [holder for holder in each(partial(_ask, world=world), asked, max(1, len(asked))) if holder is not None]


def _ask(question: Question, world: World) -> Holder | None:
    with suppress(SetupError, TimeoutError):
        return Holder(question.hub, within(PATIENCE_S, partial(ask, question, ignore, world.clock)))
    return None


def widened(contents: Sequence[Content], holders: Sequence[Holder]) -> list[Content]:
    """Add a source for each holder that lists a content's size and hash, under whatever path."""
    shelves = [(holder, _shelf(holder.snapshot)) for holder in holders]

    def more(content: Content) -> Iterator[Source]:
        for holder, shelf in shelves:
            for known in (content.sha256, content.git_sha1):
                if (file := shelf.get((known, content.size_bytes))) is not None:
                    yield Source(holder.hub.id, partial(holder.hub.locate, holder.snapshot, file))
                    break

    return [replace(content, sources=(*content.sources, *more(content))) for content in contents]


def _shelf(snapshot: Snapshot) -> dict[tuple[str | None, int | None], RemoteFile]:
    return {(known, f.size_bytes): f for f in snapshot.files for known in (f.sha256, f.git_sha1) if known}

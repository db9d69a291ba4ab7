"""What a lock file names, brought again: every hub that may still have those bytes is asked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from internlm_setup.core.errors import SeveralErrors, UnavailableError
from internlm_setup.core.text import Text
from internlm_setup.fetch import hubs
from internlm_setup.fetch.ask import Answer, Question, check_ways
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.choice import Choice, failures, look, standing, without_listing
from internlm_setup.fetch.compare import Shelf, named
from internlm_setup.fetch.errors import RevisionMissing, UnknownModel
from internlm_setup.fetch.lockfile import Lock
from internlm_setup.fetch.model import Held, RemoteFile, Snapshot, Standing
from internlm_setup.fetch.source_errors import LockedFilesGone, LockedFilesOutOfReach
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.world import World, questions

_ALL = Text(en="has all {all} locked files", zh="仍有全部 {all} 个锁定的文件")
_SOME = Text(
    en="lacks, or publishes no hash that proves, {n} of the {all} locked files: {names}",
    zh="{all} 个锁定的文件中有 {n} 个缺失，或没有可证实的哈希值：{names}",
)
_USED = Text(en="used: {words}", zh="采用：{words}")


def reproduce(lock: Lock, path: Path, world: World, tell: events.Listener, sources: Sequence[str]) -> Choice:
    """Ask the hubs of a lock at the commits it names, and others that the catalogue knows; any may serve what is equal.

    Args:
        lock: What is wanted.
        path: Its file, for what is said.
        world: The run's world.
        tell: Told who is asked and what each still has.
        sources: Hubs that were named; empty means all of those.

    Returns:
        The hub that has most of it, and the lock's files in its name. Where no hub has a listing, that is no failure
        yet: all of it may be on this machine.
    """
    asked = _questions(lock, path, world, sources, tell)
    check_ways(asked, world.network)
    answers = _look_again(look(asked, world, tell, named=bool(sources)), lock, world, tell)
    held = [(a, a.found, _lacking(lock.files, a.found)) for a in answers if isinstance(a.found, Snapshot)]
    held.sort(key=lambda each: len(each[2]))
    told = (
        *(_standing(a, s, lacking, lock, used=n == 0) for n, (a, s, lacking) in enumerate(held)),
        *(without_listing(a) for a in answers if not isinstance(a.found, Snapshot)),
    )
    if len(answers) > 1:
        tell(events.Compared(told))
    holders = tuple((a.question.hub, s) for a, s, _ in held)
    heard = {hub.id for hub, _ in holders}
    silent = (a.question.hub.id for a in answers if a.found is None or isinstance(a.found, UnavailableError))
    hub, listed = holders[0] if holders else (asked[0].hub, None)
    return Choice(
        hub=hub,
        snapshot=replace(listed, files=lock.files) if listed else lock.snapshot,
        files=lock.files,
        holders=holders,
        hubs=told if len(answers) > 1 else (),
        unheard=tuple(dict.fromkeys(hub_id for hub_id in silent if hub_id not in heard)),
        failures=tuple(failures(answers)),
    )


def check_sources(contents: Sequence[Content], choice: Choice, model: Wanted, path: Path) -> None:
    """Refuse to begin when some of what is missing is to be had nowhere.

    Raises:
        SetupError: No hub has a listing: their own errors.
        LockedFilesGone: Every hub was heard.
        LockedFilesOutOfReach: Others may have it.
    """
    gone = tuple(p for content in contents if not content.sources for p in content.paths)
    if gone and not choice.holders:
        raise SeveralErrors(choice.failures)
    if gone and choice.unheard:
        raise LockedFilesOutOfReach(str(path), named(gone), ", ".join(choice.unheard), gone)
    if gone:
        fetch, asked = f"internlm-setup fetch {model.typed}{model.where}", (hub.id for hub, _ in choice.holders)
        raise LockedFilesGone(str(path), fetch, named(gone), ", ".join(asked), gone)


def wanted(lock: Lock, world: World, sources: Sequence[str]) -> Wanted:
    """Return the model with its repositories: those of the lock, and others that the catalogue knows."""
    ids, outside = dict(lock.wanted.ids), lock.hubs[0].repo
    with suppress(UnknownModel):
        known = world.catalog.find(outside).ids
        ids, outside = {**{h: known[h] for h in (*world.auto, *sources) if h in known}, **ids}, ""
    return Wanted(lock.model, ids, outside)


def _questions(lock: Lock, path: Path, world: World, sources: Sequence[str], tell: events.Listener) -> list[Question]:
    model, command = wanted(lock, world, sources), f"internlm-setup fetch --lock {path}"
    asked = questions(model, world, sources or tuple(filter(hubs.is_known, model.ids)), None, command, tell)
    pins = {each.hub: each.commit or each.revision for each in lock.hubs}
    return [replace(q, revision=pins.get(q.hub.id, q.revision)) for q in asked]


def _look_again(answers: list[Answer], lock: Lock, world: World, tell: events.Listener) -> list[Answer]:
    """Ask for the branch where the locked commit is gone: its files may have stayed."""
    branches = {each.hub: each.revision for each in lock.hubs if each.commit}
    gone = [a for a in answers if isinstance(a.found, RevisionMissing) and a.question.hub.id in branches]
    if not gone:
        return answers
    asked = [replace(a.question, revision=branches[a.question.hub.id]) for a in gone]
    return [a for a in answers if a not in gone] + look(asked, world, tell, named=True)


def _lacking(files: Sequence[RemoteFile], held: Snapshot) -> tuple[str, ...]:
    shelf = Shelf(held)
    return tuple(f.path for f in files if shelf.same(f) is None)


def _standing(answer: Answer, held: Snapshot, lacking: tuple[str, ...], lock: Lock, *, used: bool) -> Standing:
    held_all = _ALL.fill(all=len(lock.files))
    words = _SOME.fill(n=len(lacking), all=len(lock.files), names=named(lacking)) if lacking else held_all
    state: Held = "used" if used else "differs" if lacking else "same"
    return standing(answer, held, state, lacking, _USED.fill(words=words) if used else words)

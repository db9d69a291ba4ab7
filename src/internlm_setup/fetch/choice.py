"""Which hub's version is used, and which other hubs hold the same bytes: all are asked at once and compared by hash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from internlm_setup.core.errors import SetupError, SeveralErrors
from internlm_setup.core.text import Text
from internlm_setup.fetch import hubs, silence
from internlm_setup.fetch.ask import PATIENCE_S, Answer, Question, ask, ask_all, check_ways
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.compare import difference, is_weights, named
from internlm_setup.fetch.errors import NotAtHub
from internlm_setup.fetch.model import Held, Hub, RemoteFile, Snapshot, Standing
from internlm_setup.fetch.source_errors import HubsDiffer
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.world import World, questions

MUCH_SLOWER = 3.0
MUCH_LATER_S = 1.0
_USED = Text(en="used: {why}", zh="采用：{why}")
_ONLY = Text(en="no other hub has a listing", zh="其他平台没有可用的列表")
_NAMED_ALONE = Text(en="no other hub was named", zh="没有指定其他平台")
_FIRST_ADDRESS = Text(en="it is the first of its addresses", zh="它是该平台的第一个地址")
_NAMED_FIRST = Text(en="it was named first", zh="它写在最前面")
_SOONER = Text(
    en="it answered in {this:.1f} s, {other} only in {that:.1f} s",
    zh="它在 {this:.1f} 秒内应答，而 {other} 用了 {that:.1f} 秒",
)
_IN_ORDER = Text(en="it is the first in the usual order", zh="它在默认顺序中排在最前")
_NOT_ASKED = Text(en="not asked", zh="未查询")
_SILENT = Text(en="no answer within {seconds:.0f} s", zh="{seconds:.0f} 秒内没有应答")
_STILL_SILENT = Text(
    en="it did not answer a while ago, so it was not waited for",
    zh="它不久前没有应答，因此没有等待",
)
_COMPARED = Text(en="compared with the version of {hub}: {why}", zh="与 {hub} 的版本比较：{why}")
_DIFFERENT = Text(
    en="{other} holds other bytes of {names}; the version of {hub} is used, and nothing is mixed",
    zh="{other} 上的 {names} 内容不同；采用 {hub} 的版本，不会混用",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        hub: The primary hub.
        snapshot: Its listing, which defines the result.
        files: The selected files of it.
        holders: All hubs with a listing, the primary first.
        hubs: What each hub holds; empty where only one was asked.
        unheard: Ids of hubs that may hold more than is known: they cannot be reached, or were silent.
        failures: Why there are no holders, where there are none.
    """

    hub: Hub
    snapshot: Snapshot
    files: tuple[RemoteFile, ...]
    holders: tuple[tuple[Hub, Snapshot], ...]
    hubs: tuple[Standing, ...]
    unheard: tuple[str, ...] = ()
    failures: tuple[SetupError, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """An answer that is a listing."""

    hub: Hub
    snapshot: Snapshot
    after_s: float


Reason = Callable[[Snapshot], Text | None]
Selection = Callable[[Snapshot], tuple[RemoteFile, ...]]


def choose(
    wanted: Wanted,
    world: World,
    tell: events.Listener,
    *,
    sources: Sequence[str],
    revision: str | None,
    prefer: Reason,
    select: Selection,
) -> Choice:
    """Ask every hub in question, choose the one whose version is used, and compare the others with it.

    Args:
        wanted: The model and its ids.
        world: The run's world.
        tell: Told who is asked, what each holds, and in one warning that they differ.
        sources: Hubs that were named, in order of preference; empty means `auto`.
        revision: None for each hub's default.
        prefer: Says why a hub's listing should be the one where nobody named hubs, or None.
        select: Takes the wanted files out of a listing; what is not taken is not compared.

    Raises:
        SetupError: The only hub's error, or `SeveralErrors` when no hub has a listing.
        HubsDiffer: The hubs that were named hold different weights.
    """
    answers, found = _heard(questions(wanted, world, sources, revision, tell=tell), world, tell, named=bool(sources))
    primary, why = _pick(found, prefer, named=bool(sources))
    files = select(primary.snapshot)
    told: tuple[Standing, ...] = ()
    if len(answers) > 1:
        told = _standings(answers, primary, files, why)
        tell(events.Compared(told))
        _judge(told, wanted, tell, named_hubs=bool(sources))
    holders = sorted(found, key=lambda each: each is not primary)
    return Choice(primary.hub, primary.snapshot, files, tuple((f.hub, f.snapshot) for f in holders), told)


def version(
    wanted: Wanted,
    world: World,
    tell: events.Listener,
    *,
    sources: Sequence[str],
    revision: str | None,
    command: str,
    because: Text | None = None,
) -> tuple[Hub, Snapshot]:
    """Return the listing that a fetch would take, and whose it is.

    Args:
        wanted: The model and its ids.
        world: The run's world.
        tell: Told who is asked, and whose listing it is where that was not said.
        sources: Hubs that were named, in order of preference; empty means `auto`.
        revision: None for each hub's default.
        command: What to propose where a hub cannot be had.
        because: Why these are the hubs, where nobody named them.

    Raises:
        SetupError: The only hub's error, or `SeveralErrors` when no hub has a listing.
    """
    asked = questions(wanted, world, sources, revision, command, tell)
    _, found = _heard(asked, world, tell, named=bool(sources))
    primary, why = _pick(found, lambda _: None, named=bool(sources))
    if because or len(asked) > 1:
        tell(events.Noted(_COMPARED.fill(hub=primary.hub.id, why=because or why)))
    return primary.hub, primary.snapshot


def others(wanted: Wanted, world: World, hub_id: str) -> list[tuple[Hub, Snapshot]]:
    """Return what the other hubs of `auto` list; one that refuses or is silent lists nothing, and nobody is told."""
    asked = [hub for hub in world.auto if hub in wanted.ids and hub != hub_id]
    if not asked:
        return []
    answers = look(questions(wanted, world, asked, None), world, events.ignore, named=False, needed=False)
    return [(found.hub, found.snapshot) for found in _listings(answers)]


def _heard(
    asked: Sequence[Question], world: World, tell: events.Listener, *, named: bool
) -> tuple[list[Answer], list[_Found]]:
    """Ask all, and return the answers and those that are listings, at least one; a proxy that is none is said first."""
    check_ways(asked, world.network)
    if len(asked) == 1:
        answers = [Answer(asked[0], ask(asked[0], tell, world.clock), 0.0)]
    else:
        answers = look(asked, world, tell, named=named)
    found = _listings(answers)
    if not found:
        raise SeveralErrors(failures(answers))
    return answers, found


def look(
    asked: Sequence[Question], world: World, tell: events.Listener, *, named: bool, needed: bool = True
) -> list[Answer]:
    """Ask several hubs at once; who is silent is remembered, and not waited for in the next runs unless it is named.

    Where no listing is needed, nobody is waited for longer than others would be.
    """
    now_s = world.clock.now()
    doubted = set() if named else silence.doubted(world.state, now_s, (q.hub for q in asked))
    answers = ask_all(asked, tell, world.clock, doubted, needed=needed)
    heard = [a.question.hub for a in answers if a.found is not None and a.after_s <= PATIENCE_S]
    late = [a.question.hub for a in answers if a.after_s > PATIENCE_S]
    silence.remember(world.state, now_s, late, heard)
    return answers


def failures(answers: Sequence[Answer]) -> list[SetupError]:
    """Return what was answered instead of listings."""
    return [a.found for a in answers if isinstance(a.found, SetupError)]


def _listings(answers: Sequence[Answer]) -> list[_Found]:
    return [_Found(a.question.hub, a.found, a.after_s) for a in answers if isinstance(a.found, Snapshot)]


def standings(
    wanted: Wanted, world: World, tell: events.Listener, *, sources: Sequence[str] = (), ask_hubs: bool
) -> tuple[Standing, ...]:
    """Say what each hub holds of a model: what a fetch with these sources, or with `auto`, would find.

    A hub that cannot be asked is a line, not an error. OpenXLab publishes no hashes and is asked only when named.
    """
    answers: list[Answer] = []
    if ask_hubs:
        with suppress(NotAtHub):
            answers = look(questions(wanted, world, sources, None), world, tell, named=bool(sources))
    found = _listings(answers)
    primary, why = _pick(found, lambda _: None, named=bool(sources)) if found else (None, _ONLY)
    why = _NAMED_ALONE if why is _ONLY and len(sources) == 1 else why
    files = primary.snapshot.files if primary else ()
    known = {standing.hub: standing for standing in _standings(answers, primary, files, why)}
    order = dict.fromkeys(h for h in (*known, *world.auto, *wanted.ids) if h in wanted.ids)
    unknown = (h for h in order if h not in known)
    known |= {h: _unasked(h, wanted.ids[h], world) for h in unknown}
    return tuple(known[h] for h in order)


def _unasked(hub_id: str, repo: str, world: World) -> Standing:
    note = world.hub(hub_id).note if hubs.is_known(hub_id) else None
    return Standing(hub_id, repo, "", None, "not-asked", None, None, (), _NOT_ASKED, note)


def _pick(found: Sequence[_Found], prefer: Reason, *, named: bool) -> tuple[_Found, Text]:
    """Choose the hub whose version is used, and say why.

    The usual order decides, so that the same command has the same result, unless the first hub is much slower.
    """
    first = found[0]
    if len(found) == 1:
        return first, _ONLY
    if all(each.hub.id == first.hub.id for each in found):
        return first, _FIRST_ADDRESS
    if named:
        return first, _NAMED_FIRST
    for each in found:
        if (why := prefer(each.snapshot)) is not None:
            return each, why
    quick = min(found, key=lambda each: each.after_s)
    if first.after_s > max(MUCH_SLOWER * quick.after_s, MUCH_LATER_S + quick.after_s):
        return quick, _SOONER.fill(this=quick.after_s, other=first.hub.id, that=first.after_s)
    return first, _IN_ORDER


def _standings(
    answers: Sequence[Answer], primary: _Found | None, files: tuple[RemoteFile, ...], why: Text
) -> tuple[Standing, ...]:
    """Return a line for each hub, the primary first."""

    def line(answer: Answer) -> Standing:
        if not isinstance(answer.found, Snapshot):
            return without_listing(answer)
        if primary is not None and answer.found is primary.snapshot:
            return standing(answer, answer.found, "used", (), _USED.fill(why=why))
        other = difference(files, answer.found)
        return standing(answer, answer.found, other.state, other.different, other.words)

    return tuple(sorted(map(line, answers), key=lambda each: each.state != "used"))


def standing(answer: Answer, held: Snapshot, state: Held, different: tuple[str, ...], verdict: Text) -> Standing:
    """Return the line of a hub that has a listing."""
    hub, size_bytes = answer.question.hub, sum(f.size_bytes or 0 for f in held.files)
    at, files = answer.question.endpoint, len(held.files)
    return Standing(
        hub.id, held.repo, held.revision, held.commit, state, files, size_bytes, different, verdict, hub.note, at
    )


def without_listing(answer: Answer) -> Standing:
    """Return the line of a hub that has none, with the reason."""
    asked, error = answer.question, answer.found
    if isinstance(error, SetupError):
        words = error.as_text
    else:
        words = _STILL_SILENT if answer.after_s < PATIENCE_S else _SILENT.fill(seconds=answer.after_s)
    state: Held = "failed" if isinstance(error, SetupError) else "silent"
    repo, note = asked.repo, asked.hub.note
    return Standing(asked.hub.id, repo, asked.revision, None, state, None, None, (), words, note, asked.endpoint)


def _judge(told: Sequence[Standing], wanted: Wanted, tell: events.Listener, *, named_hubs: bool) -> None:
    """Refuse hubs that were named and hold other weights; else tell in one warning that bytes differ."""
    used, differing = told[0], [each for each in told if each.state == "differs"]
    if named_hubs:
        for other in (each for each in differing if each.hub != used.hub):
            weights = tuple(filter(is_weights, other.different))
            if weights:
                fetch = f"internlm-setup fetch {wanted.typed} --source"
                commands = ", ".join(f"`{fetch} {hub}`" for hub in (used.hub, other.hub))
                raise HubsDiffer(wanted.typed, used.hub, other.hub, named(weights), weights, commands)
        differing = [each for each in differing if each.hub == used.hub]  # nobody chose between its endpoints
    if differing:
        paths = dict.fromkeys(path for each in differing for path in each.different)
        words = _DIFFERENT.fill(other=", ".join(each.name for each in differing), names=named(paths), hub=used.name)
        tell(events.Noted(words, warning=True))

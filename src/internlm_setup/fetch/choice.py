"""Which hub's version is used, and which other hubs hold the same bytes: all are asked at once and compared by hash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from internlm_setup.core.errors import SetupError, SeveralErrors
from internlm_setup.core.text import Text
from internlm_setup.fetch import hubs, silence
from internlm_setup.fetch.ask import PATIENCE_S, Answer, Question, ask, ask_all
from internlm_setup.fetch.catalog import Model, Wanted
from internlm_setup.fetch.compare import difference, is_weights, named
from internlm_setup.fetch.model import Held, Hub, RemoteFile, Snapshot, Standing
from internlm_setup.fetch.source_errors import HubsDiffer
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.world import World, questions

MUCH_SLOWER = 3.0
MUCH_LATER_S = 1.0
_USED = Text(en="used: {why}", zh="采用：{why}")
_ONLY = Text(en="no other hub answered", zh="没有其他平台应答")
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
    """

    hub: Hub
    snapshot: Snapshot
    files: tuple[RemoteFile, ...]
    holders: tuple[tuple[Hub, Snapshot], ...]
    hubs: tuple[Standing, ...]
    unheard: tuple[str, ...] = ()


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
    asked = questions(wanted, world, sources, revision)
    if len(asked) == 1:
        hub, snapshot = asked[0].hub, ask(asked[0], tell, world.clock)
        return Choice(hub, snapshot, select(snapshot), ((hub, snapshot),), ())
    answers = look(asked, world, tell, named=bool(sources))
    found = _listings(answers)
    if not found:
        raise SeveralErrors([a.found for a in answers if isinstance(a.found, SetupError)])
    primary, why = _pick(found, prefer, named=bool(sources))
    files = select(primary.snapshot)
    told = _standings(answers, primary, files, why)
    tell(events.Compared(told))
    _judge(told, wanted, tell, named_hubs=bool(sources))
    holders = sorted(found, key=lambda each: each is not primary)
    return Choice(primary.hub, primary.snapshot, files, tuple((f.hub, f.snapshot) for f in holders), told)


def look(asked: Sequence[Question], world: World, tell: events.Listener, *, named: bool) -> list[Answer]:
    """Ask several hubs at once; who is silent is remembered, and not waited for in the next runs unless it is named."""
    now_s = world.clock.now()
    doubted = set() if named else silence.doubted(world.state, now_s, (q.hub for q in asked))
    answers = ask_all(asked, tell, world.clock, doubted)
    heard = [a.question.hub for a in answers if a.found is not None and a.after_s <= PATIENCE_S]
    late = [a.question.hub for a in answers if a.after_s > PATIENCE_S]
    silence.remember(world.state, now_s, late, heard)
    return answers


def _listings(answers: Sequence[Answer]) -> list[_Found]:
    return [_Found(a.question.hub, a.found, a.after_s) for a in answers if isinstance(a.found, Snapshot)]


def standings(model: Model, world: World, tell: events.Listener, *, ask_hubs: bool) -> tuple[Standing, ...]:
    """Say what each hub of the catalogue holds of a model: what a fetch with `auto` would find.

    A hub that cannot be asked is a line, not an error. OpenXLab publishes no hashes and is not asked.
    """
    wanted = world.catalog.want(model.name)
    known: dict[str, Standing] = {}
    if ask_hubs:
        answers = look(questions(wanted, world, (), None), world, tell, named=False)
        found = _listings(answers)
        primary, why = _pick(found, lambda _: None, named=False) if found else (None, _ONLY)
        files = primary.snapshot.files if primary else ()
        known = {standing.hub: standing for standing in _standings(answers, primary, files, why)}
    order = dict.fromkeys(h for h in (*world.auto, *wanted.ids) if h in wanted.ids)
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
    return Standing(
        hub.id, held.repo, held.revision, held.commit, state, len(held.files), size_bytes, different, verdict, hub.note
    )


def without_listing(answer: Answer) -> Standing:
    """Return the line of a hub that has none, with the reason."""
    asked, error = answer.question, answer.found
    if isinstance(error, SetupError):
        words = Text(en=error.message("en"), zh=error.message("zh"))
    else:
        words = _STILL_SILENT if answer.after_s < PATIENCE_S else _SILENT.fill(seconds=answer.after_s)
    state: Held = "failed" if isinstance(error, SetupError) else "silent"
    return Standing(asked.hub.id, asked.repo, asked.revision, None, state, None, None, (), words, asked.hub.note)


def _judge(told: Sequence[Standing], wanted: Wanted, tell: events.Listener, *, named_hubs: bool) -> None:
    """Refuse hubs that were named and hold other weights; else tell in one warning that bytes differ."""
    used, others = told[0], [each for each in told if each.state == "differs"]
    if named_hubs:
        for other in others:
            weights = tuple(filter(is_weights, other.different))
            if weights:
                fetch = f"internlm-setup fetch {wanted.name} --source"
                commands = ", ".join(f"`{fetch} {hub}`" for hub in (used.hub, other.hub))
                raise HubsDiffer(wanted.name, used.hub, other.hub, named(weights), weights, commands)
    elif others:
        paths = dict.fromkeys(path for each in others for path in each.different)
        words = _DIFFERENT.fill(other=", ".join(each.hub for each in others), names=named(paths), hub=used.hub)
        tell(events.Noted(words, warning=True))

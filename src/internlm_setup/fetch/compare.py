"""What each hub holds of one model, and whether it is the same: asked at once, compared by hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from internlm_setup.core.errors import SetupError
from internlm_setup.core.parallel import each
from internlm_setup.core.text import Text
from internlm_setup.fetch import hubs
from internlm_setup.fetch.ask import Question, ask
from internlm_setup.fetch.catalog import Model
from internlm_setup.fetch.model import RemoteFile, Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.world import World, questions

_NOT_ASKED = Text(en="not asked", zh="未查询")
_FIRST = Text(en="the one others are compared with", zh="其他平台与它比较")
_SAME = Text(
    en="the same bytes in all {n} files whose hashes can be compared ({m} shared)",
    zh="可比较哈希值的 {n} 个文件内容全部相同（共有 {m} 个）",
)
_UNKNOWN = Text(en="cannot be compared: no comparable hashes", zh="无法比较：没有可比的哈希值")
_DIFFERENT = Text(en="{n} files differ: {names}", zh="有 {n} 个文件不同：{names}")


@dataclass(frozen=True, slots=True)
class Standing:
    """One hub's line. `files` and `size_bytes` are None when it was not asked or did not answer."""

    hub: str
    repo: str
    files: int | None
    size_bytes: int | None
    verdict: Text
    note: Text | None


def compare(model: Model, world: World, tell: events.Listener, *, ask_hubs: bool) -> tuple[Standing, ...]:
    """Ask every hub that has the model, all at once; the first that answers is what the others are compared with.

    A hub that cannot be asked is a line, not an error. OpenXLab publishes no hashes and is not asked.
    """
    wanted = world.catalog.want(model.name)
    asked: Mapping[str, Snapshot | SetupError] = {}
    if ask_hubs:
        todo = {q.hub.id: q for q in questions(wanted, world, (), None)}
        answer = partial(_answer, tell=events.one_at_a_time(tell), world=world)
        asked = dict(zip(todo, each(answer, todo.values(), len(todo)), strict=True))
    first = next((a for a in asked.values() if isinstance(a, Snapshot)), None)
    order = dict.fromkeys(h for h in (*world.auto, *wanted.ids) if h in wanted.ids)
    return tuple(_standing(h, wanted.ids[h], asked.get(h), first, world) for h in order)


def _answer(question: Question, tell: events.Listener, world: World) -> Snapshot | SetupError:
    try:
        return ask(question, tell, world.clock)
    except SetupError as error:
        return error


def _standing(
    hub_id: str,
    repo: str,
    answer: Snapshot | SetupError | None,
    first: Snapshot | None,
    world: World,
) -> Standing:
    note = _note(hub_id, world)
    if answer is None:
        return Standing(hub_id, repo, None, None, _NOT_ASKED, note)
    if isinstance(answer, SetupError):
        words = answer.as_text
        return Standing(hub_id, repo, None, None, words, note)
    size = sum(f.size_bytes or 0 for f in answer.files)
    verdict = _FIRST if answer is first or first is None else difference(first, answer)
    return Standing(hub_id, repo, len(answer.files), size, verdict, note)


def _note(hub_id: str, world: World) -> Text | None:
    return world.hub(hub_id).note if hubs.is_known(hub_id) else None


def difference(one: Snapshot, other: Snapshot) -> Text:
    """Say in one line whether two listings hold the same bytes under the paths that both have."""
    theirs = {f.path: f for f in other.files}
    shared = [(f, theirs[f.path]) for f in one.files if f.path in theirs]
    verdicts = [(a.path, same_bytes(a, b)) for a, b in shared]
    different = [path for path, same in verdicts if same is False]
    if different:
        names = ", ".join(different[:3]) + ("…" if len(different) > 3 else "")
        return _DIFFERENT.fill(n=len(different), names=names)
    known = sum(same is True for _, same in verdicts)
    return _SAME.fill(n=known, m=len(shared)) if known else _UNKNOWN


def same_bytes(one: RemoteFile, other: RemoteFile) -> bool | None:
    """Compare what two hubs publish of one file; None when they publish nothing comparable."""
    if None not in (one.size_bytes, other.size_bytes) and one.size_bytes != other.size_bytes:
        return False
    if one.sha256 and other.sha256:
        return one.sha256 == other.sha256
    if one.git_sha1 and other.git_sha1:
        return one.git_sha1 == other.git_sha1
    return None

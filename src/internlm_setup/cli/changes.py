"""Changes to people's files, drawn: what was done to each, the diff, and how to take it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Change

_DONE = {
    "created": Text(en="{tool}: created `{path}`", zh="{tool}：已创建 `{path}`"),
    "changed": Text(en="{tool}: changed `{path}`", zh="{tool}：已修改 `{path}`"),
    "removed": Text(
        en="{tool}: removed `{path}`, which held nothing else", zh="{tool}：已删除 `{path}`，其中没有其他内容"
    ),
    "same": Text(en="{tool}: nothing to do in `{path}`", zh="{tool}：`{path}` 无需改动"),
}
_WOULD = {
    "created": Text(en="{tool}: would create `{path}`", zh="{tool}：将创建 `{path}`"),
    "changed": Text(en="{tool}: would change `{path}`", zh="{tool}：将修改 `{path}`"),
    "removed": Text(
        en="{tool}: would remove `{path}`, which holds nothing else", zh="{tool}：将删除 `{path}`，其中没有其他内容"
    ),
    "same": _DONE["same"],
}
_UNDO = Text(en="to undo: `internlm-setup mirrors undo {id}`", zh="撤销：`internlm-setup mirrors undo {id}`")
_NOT_WRITTEN = Text(en="nothing was written", zh="未写入任何内容")


def action(change: Change) -> str:
    """Return `created`, `changed`, `removed` or `same`."""
    if change.before == change.after:
        return "same"
    return "created" if change.before is None else "removed" if change.after is None else "changed"


def draw_change(session: Session, change: Change, *, dry_run: bool = False) -> None:
    """Say what was done to a file, and show the diff on stdout."""
    from internlm_setup.mirrors.plan import diff

    words = (_WOULD if dry_run else _DONE)[action(change)]
    session.output.talk(words.fill(tool=change.tool, path=printable(str(change.path))))
    if change.before != change.after:
        session.output.result({}, diff(change))


def draw_undo(session: Session, record: str | None, *, dry_run: bool = False) -> None:
    """Say how all of it is taken back, where anything was written."""
    if dry_run:
        session.output.talk(_NOT_WRITTEN)
    elif record is not None:
        session.output.talk(_UNDO.fill(id=record))


def changes_as_data(changes: Sequence[Change]) -> list[dict[str, object]]:
    """Return what JSON has of changes; passwords are left out."""
    from internlm_setup.mirrors.plan import diff

    return [
        {
            "tool": change.tool,
            "path": change.path,
            "action": action(change),
            "keys": [".".join(key) for key, _, _ in change.edits],
            "diff": diff(change),
        }
        for change in changes
    ]

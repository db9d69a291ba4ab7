"""What a fetch would do, and what it did, for a person and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING

from internlm_setup.cli.proofs import described
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, human_size

if TYPE_CHECKING:
    from internlm_setup.fetch.model import FetchResult
    from internlm_setup.fetch.service import Plan

_REUSED = Text(en=", {size} from this machine", zh="，取自本机 {size}")


def show_plan(session: Session, plan: Plan) -> None:
    """Show what a fetch would do."""
    done, here = {entry.path for entry in plan.found.done}, plan.found_at
    rows = [(f.path, f.size_bytes, f.sha256 or f.git_sha1, _state(f.path, done, here)) for f in plan.files]
    data = {
        "path": plan.folder,
        "hub": plan.snapshot.hub,
        "repo": plan.snapshot.repo,
        "revision": plan.snapshot.revision,
        "commit": plan.snapshot.commit,
        "size_bytes": plan.size_bytes,
        "missing_bytes": plan.missing_bytes,
        "files": [
            {"path": p, "size_bytes": s, "hash": h, "state": state, "found_at": here.get(p)} for p, s, h, state in rows
        ],
        "hubs": plan.choice.hubs,
    }
    session.output.result(data)
    columns = [Text(en="FILE", zh="文件"), Text(en="SIZE", zh="大小"), Text(en="HERE", zh="已有")]
    marks = {"present": "✓", "missing": ""}
    shown = [(p, "?" if s is None else human_size(s), marks.get(st) or str(here.get(p, ""))) for p, s, _, st in rows]
    session.output.table(columns, shown)
    words = Text(
        en="would fetch {missing} of {size} from {hub} (`{repo}`, {revision}) into `{folder}`; nothing was written",
        zh="将从 {hub}（`{repo}`，{revision}）下载 {missing}（共 {size}）到 `{folder}`；没有写入任何内容",
    )
    session.output.talk(
        words.fill(
            missing=human_size(plan.missing_bytes),
            size=human_size(plan.size_bytes),
            hub=plan.hub.title,
            repo=plan.snapshot.repo,
            revision=plan.snapshot.commit or plan.snapshot.revision or "-",
            folder=plan.folder,
        )
    )
    if here:
        found = Text(
            en="{size} of it seem to be on this machine: they would be verified and used instead",
            zh="其中 {size} 似乎已在本机：将校验后直接使用，无需下载",
        )
        session.output.talk(found.fill(size=human_size(sum(s or 0 for p, s, _, _ in rows if p in here))))


def _state(path: str, done: Collection[str], here: Collection[str]) -> str:
    """Say of a file whether it is in place, on this machine as it seems, or has to come."""
    return "present" if path in done else "found" if path in here else "missing"


def show_result(session: Session, result: FetchResult) -> None:
    """Show what a fetch did."""
    session.output.result(result, result.path)
    size = human_size(sum(f.size_bytes for f in result.files))
    received = human_size(result.received_bytes)
    words = Text(
        en="{model} is complete: {count} {noun}, {size} ({received} received now{reused}); {proof}",
        zh="{model} 已完整：{count} 个文件，{size}（本次接收 {received}{reused}）；{proof}",
    )
    session.output.talk(
        words.fill(
            model=result.model,
            count=len(result.files),
            noun="file" if len(result.files) == 1 else "files",
            size=size,
            received=received,
            reused=_REUSED.fill(size=human_size(result.reused_bytes)) if result.reused_bytes else "",
            proof=described((f.proof, f.proof_from) for f in result.files),
        )
    )
    if result.lock is not None:
        locked = Text(
            en="to fetch exactly these bytes again: `internlm-setup fetch --lock {lock}`",
            zh="要再次下载完全相同的内容：`internlm-setup fetch --lock {lock}`",
        )
        session.output.talk(locked.fill(lock=shlex.quote(str(result.lock))))
    if result.unverified:
        warning = Text(
            en="no published hash was found for {count} {noun} NOT verified: {names}",
            zh="有 {count} 个文件没有找到公布的哈希值，因此【未经】校验：{names}",
        )
        names = ", ".join(result.unverified[:3]) + (", …" if len(result.unverified) > 3 else "")
        noun = "file, so it is" if len(result.unverified) == 1 else "files, so they are"
        session.output.warn(warning.fill(count=len(result.unverified), noun=noun, names=names))

"""What can go wrong in a repair, beside what can in any fetch."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import NotFoundError, WriteError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class LinkedFile(WriteError):
    """A file to repair is a link, or lies behind one: what it leads to belongs to somebody else."""

    path: str
    remove: str
    command: str

    code = "fetch.linked-file"
    text = Text(
        en="`{path}` is a link to a file elsewhere, which is not written to",
        zh="`{path}` 是指向别处文件的链接，不会写入该文件",
    )
    hint = Text(
        en="to have a file of its own in the link's place, and leave what it leads to as it is: `{remove}`, "
        "then `{command}`",
        zh="要用独立的文件替换该链接，而不改动它指向的内容：先 `{remove}`，再 `{command}`",
    )


@dataclass(eq=False)
class NoLongerPublished(NotFoundError):
    """What a folder's record says of a file is not what its hub has now."""

    path: str
    hub: str
    command: str

    code = "fetch.no-longer-published"
    text = Text(
        en="{hub} no longer has `{path}` as it was fetched, so it cannot be repaired",
        zh="{hub} 上的 `{path}` 已不是当初下载的内容，无法修复",
    )
    hint = Text(
        en="nothing was changed; to fetch what is published now: `{command}`",
        zh="没有做任何改动；下载现在公布的内容：`{command}`",
    )

"""What can go wrong while bytes move, one small class each; the family it derives from is the exit code."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import (
    ConfigError,
    CorruptError,
    DeniedError,
    NotFoundError,
    ProtocolError,
    StoppedError,
    UnavailableError,
    WriteError,
)
from internlm_setup.core.text import Text


@dataclass(eq=False)
class HostileListing(ProtocolError):
    """A hub listed an entry that must not be written to this machine."""

    code = "fetch.hostile-listing"
    text = Text(
        en="refused the listing of {hub}: `{entry}`: {reason}",
        zh="拒绝 {hub} 的文件列表：`{entry}`：{reason}",
    )
    hint = Text(
        en="nothing was written; use another `--source`, and report this to the hub",
        zh="没有写入任何内容；请换一个 `--source`，并向该平台报告",
    )
    hub: str
    entry: str
    reason: Text


@dataclass(eq=False)
class HashMismatch(CorruptError):
    """A file came whole, and its bytes are not the published ones. It was fetched twice."""

    code = "fetch.hash-mismatch"
    text = Text(
        en="`{path}` from {hub} is corrupt: {kind} is {actual}, published is {expected}",
        zh="来自 {hub} 的 `{path}` 已损坏：{kind} 为 {actual}，公布的是 {expected}",
    )
    hint = Text(
        en="nothing was put in its place; run the same command again, or use another `--source`",
        zh="没有写入该文件；请重新运行同一条命令，或换一个 `--source`",
    )
    path: str
    hub: str
    kind: str
    expected: str
    actual: str


@dataclass(eq=False)
class NotAsLocked(HashMismatch):
    """A file came whole, and its bytes are not those that a lock file names. It was fetched twice."""

    code = "fetch.not-as-locked"
    text = Text(
        en="`{path}` from {hub} is not as it was locked: {kind} is {actual}, the lock file says {expected}",
        zh="来自 {hub} 的 `{path}` 与锁文件不符：{kind} 为 {actual}，锁文件中是 {expected}",
    )
    hint = Text(
        en="nothing was put in its place; use another `--source`, or get the lock file again from where it came",
        zh="没有写入该文件；请换一个 `--source`，或从原处重新获取锁文件",
    )


@dataclass(eq=False)
class SizeMismatch(CorruptError):
    """A server's length of a file is not the listed one."""

    code = "fetch.size-mismatch"
    text = Text(
        en="`{path}` from {hub} is {actual} bytes long there, but listed with {expected}",
        zh="来自 {hub} 的 `{path}` 实际为 {actual} 字节，但列表中是 {expected}",
    )
    hint = Text(
        en="it may just be changing: run the same command again, or use another `--source`",
        zh="文件可能正在更新：请重新运行同一条命令，或换一个 `--source`",
    )
    path: str
    hub: str
    expected: int
    actual: int


@dataclass(eq=False)
class TransferStopped(StoppedError):
    """Retries are used up and progress is kept."""

    code = "fetch.stopped"
    text = Text(
        en="`{path}` from {hub} could not be finished: {reason}; {kept} kept",
        zh="来自 {hub} 的 `{path}` 未能完成：{reason}；已保留 {kept}",
    )
    hint = Text(en="the same command goes on from there", zh="重新运行同一条命令即可从此处继续")
    path: str
    hub: str
    reason: Text
    kept: str


@dataclass(eq=False)
class TransferFailed(UnavailableError):
    """Retries are used up and not a byte came."""

    code = "fetch.failed"
    text = Text(
        en="`{path}` could not be had from {hub}: {reason}",
        zh="无法从 {hub} 获取 `{path}`：{reason}",
    )
    hint = Text(
        en="check the network (`internlm-setup config show`), run the same command again, or use another `--source`",
        zh="请检查网络（`internlm-setup config show`），重新运行同一条命令，或换一个 `--source`",
    )
    path: str
    hub: str
    reason: Text


@dataclass(eq=False)
class FileRefused(DeniedError):
    """A hub listed a file and will not hand it out."""

    code = "fetch.file-refused"
    text = Text(en="{hub} refused `{path}` ({status})", zh="{hub} 拒绝提供 `{path}`（{status}）")
    hint = Text(
        en="log in there with an account that may read it, then run the same command again",
        zh="请用有权限的账号登录该平台，然后重新运行同一条命令",
    )
    hub: str
    path: str
    status: int


@dataclass(eq=False)
class FileChanged(ProtocolError):
    """A file without a published hash was replaced on the server while it was fetched."""

    code = "fetch.file-changed"
    text = Text(
        en="`{path}` from {hub} was replaced there while it was fetched",
        zh="来自 {hub} 的 `{path}` 在下载过程中被替换",
    )
    hint = Text(en="run the same command again: it fetches the new one", zh="请重新运行同一条命令，会下载新的文件")
    path: str
    hub: str


@dataclass(eq=False)
class ChangedMeanwhile(WriteError):
    """A verified file was touched by somebody else before the run ended."""

    code = "fetch.changed-meanwhile"
    text = Text(
        en="`{path}` was changed or removed by another program while the fetch ran",
        zh="`{path}` 在下载期间被其他程序更改或删除",
    )
    hint = Text(en="run the same command again: it checks the file", zh="请重新运行同一条命令，会重新核对该文件")
    path: str


@dataclass(eq=False)
class NotATrace(WriteError):
    """The file to write the trace into holds something else."""

    code = "fetch.not-a-trace"
    text = Text(
        en="`{path}` holds something else than a trace, and is not replaced",
        zh="`{path}` 的内容不是 `--trace` 的记录，不会被覆盖",
    )
    hint = Text(
        en="give `--trace` another name, or move that file away", zh="请给 `--trace` 换一个文件名，或移走该文件"
    )
    path: str


@dataclass(eq=False)
class BadRedirect(ProtocolError):
    """A redirect that must not be followed."""

    code = "fetch.bad-redirect"
    text = Text(
        en="{host} sent `{path}` to {target}, which is not followed",
        zh="{host} 把 `{path}` 重定向到 {target}，不予跟随",
    )
    hint = Text(en="use another `--source`", zh="请换一个 `--source`")
    host: str
    path: str
    target: str


@dataclass(eq=False)
class DestinationBusy(WriteError):
    """Another run of ours holds the destination."""

    code = "fetch.destination-busy"
    text = Text(
        en="another `internlm-setup` is writing to `{folder}`",
        zh="另一个 `internlm-setup` 正在写入 `{folder}`",
    )
    hint = Text(
        en="wait for it, or choose another folder with `--to`",
        zh="请等待它结束，或用 `--to` 另选文件夹",
    )
    folder: str


@dataclass(eq=False)
class FileInTheWay(WriteError):
    """A file at the destination is not what we wrote there, and not what the hub has."""

    code = "fetch.file-in-the-way"
    text = Text(
        en="`{path}` is there already and differs from the hub's; it was not changed",
        zh="`{path}` 已存在且与平台上的不同；没有改动它",
    )
    hint = Text(
        en="move it away, choose another `--to`, or replace it: add `--force`",
        zh="请移走它，另选 `--to`，或加上 `--force` 覆盖它",
    )
    path: str


@dataclass(eq=False)
class FileDamaged(WriteError):
    """A file that was fetched is there and is no longer what was fetched."""

    code = "fetch.file-damaged"
    text = Text(
        en="`{path}` has changed since it was fetched, and differs from the hub's; it was not touched",
        zh="`{path}` 下载后发生了变化，且与平台上的不同；没有改动它",
    )
    hint = Text(
        en="if you changed it, move it away or choose another `--to`; to fetch only what is bad of it: `{command}`; "
        "to fetch the whole file: add `--force`",
        zh="如果是你改的，请移走它或另选 `--to`；只下载损坏的部分：`{command}`；下载整个文件：加上 `--force`",
    )
    path: str
    command: str


@dataclass(eq=False)
class NoSpace(WriteError):
    """What is missing does not fit."""

    code = "fetch.no-space"
    text = Text(
        en="{missing} are still to come and `{folder}` has room for {free}",
        zh="还需下载 {missing}，而 `{folder}` 只剩 {free}",
    )
    hint = Text(
        en="make room, choose another disk with `--to`, or fewer files with `--include`",
        zh="请腾出空间，用 `--to` 换一个磁盘，或用 `--include` 减少文件",
    )
    missing: str
    folder: str
    free: str


@dataclass(eq=False)
class BadManifest(ConfigError):
    """The record of a fetch cannot be read."""

    code = "fetch.bad-manifest"
    text = Text(en="`{path}` cannot be read: {detail}", zh="无法读取 `{path}`：{detail}")
    hint = Text(
        en="remove it and run the fetch again; the files are checked, not fetched anew: `rm {path}`",
        zh="删除它并重新运行 fetch；已有文件只会被核对，不会重新下载：`rm {path}`",
    )
    path: str
    detail: str


@dataclass(eq=False)
class NoManifest(NotFoundError):
    """A folder was not made by fetch, so there is nothing to check it against."""

    code = "fetch.no-manifest"
    text = Text(
        en="`{folder}` has no record of a fetch to check against",
        zh="`{folder}` 没有可供核对的下载记录",
    )
    hint = Text(
        en="`internlm-setup fetch MODEL --to {folder}` checks what is there and makes one",
        zh="`internlm-setup fetch MODEL --to {folder}` 会核对已有文件并生成记录",
    )
    folder: str

"""What can be wrong with the choice of hubs, and with lock files; the family it derives from is the exit code."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError, ExitCode, NotFoundError, SetupError, UnavailableError, WriteError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class HubsDiffer(SetupError):
    """Hubs that were named together hold different weights. `files` has their paths."""

    model: str
    hub: str
    other: str
    names: str
    files: tuple[str, ...]
    commands: str

    exit_code = ExitCode.NO
    code = "fetch.hubs-differ"
    text = Text(
        en="{hub} and {other} hold different weights of `{model}`: {names}",
        zh="{hub} 与 {other} 上 `{model}` 的权重不同：{names}",
    )
    hint = Text(en="nothing was fetched; choose one: {commands}", zh="没有下载任何内容；请选择其一：{commands}")


@dataclass(eq=False)
class NoLock(NotFoundError):
    """`--lock FILE` without a model, and there is no such file."""

    path: str

    code = "fetch.no-lock"
    text = Text(en="there is no lock file `{path}`", zh="没有锁文件 `{path}`")
    hint = Text(
        en="name a model to write it: `internlm-setup fetch MODEL --lock {path}`",
        zh="给出模型即可写入：`internlm-setup fetch MODEL --lock {path}`",
    )


@dataclass(eq=False)
class BadLock(ConfigError):
    """A lock file holds something else, or what no fetch would write."""

    path: str
    reason: Text

    code = "fetch.bad-lock"
    text = Text(en="`{path}` cannot be used as a lock file: {reason}", zh="`{path}` 不能用作锁文件：{reason}")
    hint = Text(
        en="it was not changed; take another name, or get the file again from where it came",
        zh="该文件没有被改动；请换一个文件名，或从原处重新获取该文件",
    )


@dataclass(eq=False)
class OtherLock(WriteError):
    """The file to write is the lock of another model."""

    path: str
    locked: str
    model: str

    code = "fetch.other-lock"
    text = Text(
        en="`{path}` is the lock of `{locked}`, and is not replaced by that of `{model}`",
        zh="`{path}` 是 `{locked}` 的锁文件，不会被 `{model}` 的覆盖",
    )
    hint = Text(
        en="give `--lock` another name, or leave the model away to fetch what is locked: "
        "`internlm-setup fetch --lock {path}`",
        zh="请给 `--lock` 换一个文件名；或不写模型，下载已锁定的内容：`internlm-setup fetch --lock {path}`",
    )


@dataclass(eq=False)
class PlaceOfModel(SetupError):
    """A file to write beside the model would be where the model's own files go."""

    option: str
    path: str

    exit_code = ExitCode.USAGE
    code = "fetch.place-of-model"
    text = Text(
        en="`{option} {path}` is where a file of the model itself goes",
        zh="`{option} {path}` 是模型自身文件的位置",
    )
    hint = Text(
        en="nothing was fetched; give `{option}` another name", zh="没有下载任何内容；请给 `{option}` 换一个文件名"
    )


@dataclass(eq=False)
class NotWithLock(SetupError):
    """An option that says what a lock file has already said."""

    option: str
    path: str

    exit_code = ExitCode.USAGE
    code = "fetch.not-with-lock"
    text = Text(
        en="`{option}` cannot be given with `--lock` alone: `{path}` says which files and which version",
        zh="只用 `--lock` 时不能给出 `{option}`：文件与版本由 `{path}` 决定",
    )
    hint = Text(
        en="leave `{option}` away; or name a model to write the lock anew",
        zh="请去掉 `{option}`；或给出模型以重新写入锁文件",
    )


@dataclass(eq=False)
class LockedFilesGone(NotFoundError):
    """All hubs answered, and none has some locked files any more."""

    path: str
    fetch: str
    names: str
    hubs: str
    files: tuple[str, ...]

    code = "fetch.locked-files-gone"
    text = Text(
        en="no hub has these files of `{path}` any more, as they were locked: {names} (asked: {hubs})",
        zh="没有平台仍有 `{path}` 所锁定的这些文件：{names}（已查询：{hubs}）",
    )
    hint = Text(
        en="nothing was fetched; to lock what is published now: `{fetch} --lock NEW`",
        zh="没有下载任何内容；锁定现在公布的内容：`{fetch} --lock NEW`",
    )


@dataclass(eq=False)
class LockedFilesOutOfReach(UnavailableError):
    """The hubs that answered have not got some locked files, and others did not answer."""

    path: str
    names: str
    hubs: str
    files: tuple[str, ...]

    code = "fetch.locked-files-out-of-reach"
    text = Text(
        en="no hub that answered has these files of `{path}`, as they were locked: {names} (no answer: {hubs})",
        zh="应答的平台都没有 `{path}` 所锁定的这些文件：{names}（没有应答：{hubs}）",
    )
    hint = Text(
        en="nothing was fetched; run it again when they answer: `internlm-setup fetch --lock {path}`",
        zh="没有下载任何内容；待其恢复后再次运行：`internlm-setup fetch --lock {path}`",
    )

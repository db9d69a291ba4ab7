"""What goes wrong with keys that are made, shown and handed out."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import (
    CorruptError,
    DeniedError,
    ExitCode,
    NotFoundError,
    SetupError,
    UnavailableError,
    WriteError,
)
from internlm_setup.core.text import Text


@dataclass(eq=False)
class KeyExists(WriteError):
    """Where a new key was to go there is a file, and no key is ever overwritten."""

    path: str
    free: str

    code = "ssh_key.key-exists"
    text = Text(en="`{path}` is there already, and is not overwritten", zh="`{path}` 已经存在，不会被覆盖")
    hint = Text(
        en="`internlm-setup ssh-key list` shows your keys; to make one more, name its file: "
        "`internlm-setup ssh-key new {free}`",
        zh="用 `internlm-setup ssh-key list` 查看已有的密钥；要再生成一个，请指定文件："
        "`internlm-setup ssh-key new {free}`",
    )


@dataclass(eq=False)
class KeyDiffers(CorruptError):
    """A key that was just written does not read back as what it was; it was removed again."""

    path: str

    code = "ssh_key.read-back-differs"
    text = Text(
        en="`{path}` did not read back as the key that was written, and was removed",
        zh="`{path}` 读回后与写入的密钥不一致，已经删除",
    )
    hint = Text(
        en="the disk or its file system is at fault; name a file elsewhere: `internlm-setup ssh-key new FILE`",
        zh="磁盘或其文件系统有问题；请指定其他位置：`internlm-setup ssh-key new FILE`",
    )


@dataclass(eq=False)
class NoKey(NotFoundError):
    """There is no key to show or hand out."""

    folder: str

    code = "ssh_key.no-key"
    text = Text(
        en="there is no key in `{folder}` that `ssh` tries by itself", zh="`{folder}` 中没有 `ssh` 会自动使用的密钥"
    )
    hint = Text(
        en="`internlm-setup ssh-key` makes one; to use one that has another name, name its file",
        zh="用 `internlm-setup ssh-key` 生成一个；要使用其他名称的密钥，请指定文件",
    )


@dataclass(eq=False)
class PublicKeyHidden(DeniedError):
    """An encrypted key of an old format says nothing of its public key, and there is no `.pub` beside it."""

    path: str

    code = "ssh_key.public-key-hidden"
    text = Text(
        en="the public key of `{path}` can only be had with its passphrase, for there is no `{path}.pub`",
        zh="没有 `{path}.pub`，只有用口令才能得到 `{path}` 的公钥",
    )
    hint = Text(
        en="write it once: `ssh-keygen -y -f {path} > {path}.pub`",
        zh="请先写出公钥：`ssh-keygen -y -f {path} > {path}.pub`",
    )


@dataclass(eq=False)
class BadPassphrase(SetupError):
    """What was given cannot be a passphrase."""

    reason: Text

    exit_code = ExitCode.USAGE
    code = "ssh_key.bad-passphrase"
    text = Text(en="{reason}; no key was made", zh="{reason}；没有生成密钥")


@dataclass(eq=False)
class NoClipboard(UnavailableError):
    """There is neither a clipboard nor a terminal that may have one."""

    code = "ssh_key.no-clipboard"
    text = Text(
        en="there is no clipboard here, and no terminal that could pass one on",
        zh="这里没有剪贴板，也没有可以转交剪贴板内容的终端",
    )
    hint = Text(
        en="`internlm-setup ssh-key show` prints the public key alone: select it and copy it; "
        "on Linux `xclip`, `xsel` or `wl-clipboard` gives `copy` its clipboard",
        zh="用 `internlm-setup ssh-key show` 单独输出公钥，然后选中复制；"
        "在 Linux 上安装 `xclip`、`xsel` 或 `wl-clipboard` 后即可使用 `copy`",
    )


@dataclass(eq=False)
class NotInstalled(WriteError):
    """The server did not take the key into its list."""

    words: str

    code = "ssh_key.not-installed"
    text = Text(
        en="the server did not add the key to `~/.ssh/authorized_keys`: {words}",
        zh="服务器没有把公钥写入 `~/.ssh/authorized_keys`：{words}",
    )
    hint = Text(
        en="add the line of `internlm-setup ssh-key show` to that file by hand, or through the provider's console",
        zh="请手动把 `internlm-setup ssh-key show` 输出的一行加入该文件，或通过服务商的控制台添加",
    )


@dataclass(eq=False)
class KeyNotAccepted(DeniedError):
    """The key is in the server's list, and the server refuses it all the same."""

    advice: Text

    code = "ssh_key.not-accepted"
    text = Text(
        en="the key is in `~/.ssh/authorized_keys` there, but the server does not accept it: {advice}",
        zh="公钥已写入服务器的 `~/.ssh/authorized_keys`，但服务器不接受：{advice}",
    )
    hint = Text(
        en="the server's own log names the cause; a server that refuses Ed25519 may take "
        "`internlm-setup ssh-key new --type rsa-4096`",
        zh="服务器的日志会写明原因；拒绝 Ed25519 的服务器也许接受 `internlm-setup ssh-key new --type rsa-4096`",
    )

"""What goes wrong with SSH, in words: one class a trouble."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError, DeniedError, NotFoundError, UnavailableError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class KeyUnreadable(NotFoundError):
    """A key file is missing, or the system does not let us read it."""

    path: str
    reason: Text

    code = "ssh_key.key-unreadable"
    text = Text(en="cannot read the key `{path}`: {reason}", zh="无法读取密钥 `{path}`：{reason}")
    hint = Text(
        en="`internlm-setup ssh-key list` shows the keys that there are",
        zh="用 `internlm-setup ssh-key list` 查看已有的密钥",
    )


@dataclass(eq=False)
class KeyUnsupported(ConfigError):
    """A file is no private key, or one that nothing here can use."""

    path: str
    reason: Text

    code = "ssh_key.key-unsupported"
    text = Text(en="`{path}` cannot be used as a private key: {reason}", zh="`{path}` 不能作为私钥使用：{reason}")
    hint = Text(
        en="name another key, or make one with `internlm-setup ssh-key new`; no key is ever overwritten",
        zh="请指定其他密钥，或用 `internlm-setup ssh-key new` 生成一个；已有的密钥绝不会被覆盖",
    )


@dataclass(eq=False)
class KeyEncrypted(DeniedError):
    """A key has a passphrase, and none was given."""

    path: str

    code = "ssh_key.key-encrypted"
    text = Text(en="the key `{path}` needs its passphrase", zh="密钥 `{path}` 需要口令")
    hint = Text(
        en="run the same command on a terminal, which asks for it, or give the key to an agent first: `ssh-add {path}`",
        zh="请在终端中运行同一条命令以便输入口令，或先把密钥交给代理：`ssh-add {path}`",
    )


@dataclass(eq=False)
class WrongPassphrase(DeniedError):
    """A key does not open with the passphrase that was given."""

    path: str

    code = "ssh_key.wrong-passphrase"
    text = Text(en="this passphrase does not open the key `{path}`", zh="该口令无法打开密钥 `{path}`")
    hint = Text(
        en="run the same command again; a forgotten passphrase cannot be found out: make a new key then",
        zh="请重新运行同一条命令；忘记的口令无法找回，只能生成新的密钥",
    )


@dataclass(eq=False)
class CommandRefused(UnavailableError):
    """A server lets us in but runs no command, or stopped answering during one."""

    words: str

    code = "ssh_key.command-refused"
    text = Text(en="the server did not run a command: {words}", zh="服务器没有执行命令：{words}")
    hint = Text(
        en="try by hand: `ssh HOST true`; an account may be limited to forwards or file transfer",
        zh="请手动尝试 `ssh HOST true`；该账户可能只允许端口转发或文件传输",
    )

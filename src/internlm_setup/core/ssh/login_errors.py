"""Why a server does not let us in, in words: one class a trouble."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import DeniedError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class NoWayIn(DeniedError):
    """There is nothing to log in with: no key, no agent, nobody to ask. `methods` is what the server takes."""

    code = "tunnel.no-way-in"
    text = Text(
        en="nothing to log in to {user}@{host} with: no key, no agent, and no terminal to ask for a password"
        " (the server takes: {methods})",
        zh="无法登录 {user}@{host}：没有密钥，没有 ssh-agent，也没有终端可询问密码（服务器接受：{methods}）",
    )
    hint = Text(
        en="make a key and paste it where it says: `internlm-setup ssh-key`",
        zh="请生成密钥并按提示粘贴：`internlm-setup ssh-key`",
    )
    user: str
    host: str
    methods: str


@dataclass(eq=False)
class KeyRefused(DeniedError):
    """The server takes none of the keys. `tried` names each with its fingerprint, `skipped` what could not be used."""

    code = "tunnel.key-refused"
    text = Text(
        en="{host} lets {user} in with none of these keys: {tried}{skipped}",
        zh="{host} 不接受 {user} 的这些密钥：{tried}{skipped}",
    )
    hint = Text(
        en="paste the public key where the server looks for it: `internlm-setup ssh-key show` prints it;"
        " or run the same command on a terminal, which asks for a password",
        zh="请把公钥粘贴到服务器上：用 `internlm-setup ssh-key show` 显示；或在终端中运行同一条命令以便输入密码",
    )
    user: str
    host: str
    tried: str
    skipped: Text


@dataclass(eq=False)
class TooManyKeys(DeniedError):
    """The server hung up after so many keys; the right one may not have had its turn."""

    code = "tunnel.too-many-keys"
    text = Text(
        en="{host} hung up after {count} of the keys, before the right one may have had its turn; tried: {tried}",
        zh="{host} 在尝试 {count} 个密钥后断开，正确的密钥可能还没轮到；已尝试：{tried}",
    )
    hint = Text(
        en="name the right key: `IdentityFile` and `IdentitiesOnly yes` for {host} in `~/.ssh/config`",
        zh="请指定正确的密钥：在 `~/.ssh/config` 中为 {host} 设置 `IdentityFile` 与 `IdentitiesOnly yes`",
    )
    host: str
    count: int
    tried: str


@dataclass(eq=False)
class PasswordRefused(DeniedError):
    """The server does not take the password, or the answers to its questions. `tried` names the keys before it."""

    code = "tunnel.password-refused"
    text = Text(
        en="{host} does not take this password for {user}{tried}",
        zh="{host} 不接受 {user} 的这个密码{tried}",
    )
    hint = Text(
        en="copy it from the console again and run the same command; a key needs no password: `internlm-setup ssh-key`",
        zh="请从控制台重新复制密码并运行同一条命令；使用密钥则无需密码：`internlm-setup ssh-key`",
    )
    user: str
    host: str
    tried: str = ""

"""A key, shown: its public line alone on stdout, what a person wants to know of it on stderr."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

if TYPE_CHECKING:
    from internlm_setup.core.ssh.key_files import KeyFile

FINGERPRINT = Text(en="fingerprint: {fingerprint}", zh="指纹：{fingerprint}")
# Source: InternLM/Tutorial, the chapter on HuixiangDou of camp 2, read 2026-10.
_PASTE = Text(
    en="paste the line into InternStudio's console under `Configure SSH Key` (`配置 SSH Key`); "
    "to have it on the clipboard: `{command}`",
    zh="请把这一行粘贴到 InternStudio 控制台的“配置 SSH Key”中；复制到剪贴板：`{command}`",
)
_RSA = Text(
    en="if the console refuses it, an RSA key will do: `internlm-setup ssh-key new --type rsa-4096`",
    zh="如果控制台不接受，可改用 RSA 密钥：`internlm-setup ssh-key new --type rsa-4096`",
)
_COMMENT = Text(
    en="the comment `{comment}` is shown in ASCII: the console refuses a key with any other",
    zh="注释 `{comment}` 已改用 ASCII 字符显示：控制台不接受含其他字符的公钥",
)
_OPEN = Text(
    en="`{path}`: {words}; to repair: `internlm-setup ssh-key list --fix`",
    zh="`{path}`：{words}；修复：`internlm-setup ssh-key list --fix`",
)


def data_of(key: KeyFile) -> dict[str, object]:
    """Return what a program is told of a key."""
    from internlm_setup.core.ssh.key_files import public_line

    return {
        "path": key.path,
        "type": key.type,
        "bits": key.bits,
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "format": key.form,
        "encrypted": key.encrypted,
        "public_key": None if key.blob is None else public_line(key.blob, key.comment),
    }


def line_of(key: KeyFile) -> str:
    """Return the public key as it is pasted.

    Raises:
        PublicKeyHidden: Only the passphrase would tell.
    """
    from internlm_setup.core.ssh.key_files import public_line
    from internlm_setup.ssh_key.errors import PublicKeyHidden

    if key.blob is None:
        raise PublicKeyHidden(str(key.path))
    return public_line(key.blob, key.comment)


def draw_key(session: Session, key: KeyFile, *, made: bool = False) -> None:
    """Give the public key, and say where it belongs."""
    from internlm_setup.ssh_key.access import too_open

    output = session.output
    output.result({**data_of(key), "made": made}, line_of(key))
    output.talk(FINGERPRINT.fill(fingerprint=key.fingerprint))
    if not key.comment.isascii():
        output.talk(_COMMENT.fill(comment=printable(key.comment)))
    words = ["internlm-setup", "ssh-key", "copy"]
    words += [] if key.path.name == "id_ed25519" else [str(key.path)]
    output.talk(_PASTE.fill(command=shlex.join(words)))
    if key.type != "ssh-rsa":
        output.talk(_RSA)
    open_ = too_open(key.path)
    if open_ is not None:
        output.warn(_OPEN.fill(path=printable(str(key.path)), words=open_.words))

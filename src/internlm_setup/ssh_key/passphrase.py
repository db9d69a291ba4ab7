"""What may be a passphrase."""

from __future__ import annotations

from pathlib import Path

from internlm_setup.core.files import reading
from internlm_setup.core.text import Text
from internlm_setup.ssh_key.errors import BadPassphrase

FEWEST_CHARACTERS = 5  # what ssh-keygen asks for

_SHORT = Text(
    en="a passphrase of fewer than {n} characters is refused, by `ssh-keygen` too",
    zh="少于 {n} 个字符的口令会被拒绝，`ssh-keygen` 也是如此",
)
_DIFFERENT = Text(en="the two passphrases differ", zh="两次输入的口令不同")
_LINES = Text(
    en="`{path}` is to hold the passphrase and nothing else, on one line in UTF-8",
    zh="`{path}` 中应只有一行 UTF-8 编码的口令",
)


def checked(words: str, again: str | None = None) -> str:
    """Return a passphrase that can be used.

    Args:
        words: The passphrase.
        again: The same, typed a second time.

    Raises:
        BadPassphrase: It is too short, or the two differ.
    """
    if again not in {None, words}:
        raise BadPassphrase(_DIFFERENT)
    if len(words) < FEWEST_CHARACTERS:
        raise BadPassphrase(_SHORT.fill(n=FEWEST_CHARACTERS))
    return words


def from_file(path: Path) -> str:
    """Return the passphrase that a file holds, without the newline at its end.

    Raises:
        CannotRead: The file cannot be read.
        BadPassphrase: It holds something else.
    """
    with reading(path):
        data = path.read_bytes()
    try:
        words = data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except ValueError as cause:
        raise BadPassphrase(_LINES.fill(path=path)) from cause
    if not words.isprintable():
        raise BadPassphrase(_LINES.fill(path=path))
    return checked(words)

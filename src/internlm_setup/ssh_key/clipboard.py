"""The clipboard of this machine, and of the one that a terminal runs on."""

from __future__ import annotations

import base64
from collections.abc import Mapping


def copy(words: str) -> bool:
    """Put words on this machine's clipboard; False where that cannot be done.

    They are read back, because `xclip` without a display fails silently.
    """
    import pyperclip

    try:
        pyperclip.copy(words)
        return bool(pyperclip.paste().strip() == words)
    except (pyperclip.PyperclipException, OSError):
        return False


def is_elsewhere(env: Mapping[str, str]) -> bool:
    """Tell whether the person sits at another machine, so that this one's clipboard is of no use to them."""
    return any(env.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))


def sequence(words: str) -> str:
    """Return what asks a terminal to put words on its clipboard; nothing tells whether it did.

    Source:
        XTerm Control Sequences, OSC 52, read 2026-10.
    """
    return f"\x1b]52;c;{base64.b64encode(words.encode()).decode('ascii')}\x07"

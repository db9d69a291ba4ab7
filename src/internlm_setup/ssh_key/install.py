"""A public key into a server's `authorized_keys`, and the proof that it opens the door."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from internlm_setup.core.ssh.execute import Transport, execute
from internlm_setup.core.text import Text
from internlm_setup.ssh_key.errors import KeyNotAccepted, NotInstalled

_MARK = "internlm-setup:"
# Said to a POSIX shell on its standard input, so that the account's own shell may be any. An open home folder is only
# told: who else may write there is not ours to decide.
_SCRIPT = """
set -u
umask 077
cd || exit
mkdir -p .ssh && chmod 700 .ssh || exit
file=.ssh/authorized_keys
if [ -f "$file" ] && grep -v '^[[:space:]]*#' "$file" | grep -qF -- {key}; then
  done=present
else
  {{ [ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo; printf '%s\\n' {line}; }} >> "$file" || exit
  done=added
fi
chmod 600 "$file" || exit
case "$(ls -ld . | cut -c 6,9)" in *w*) echo {mark}open-home;; esac
echo {mark}$done
"""
_OPEN_HOME = Text(
    en="others can write to the home folder there, and most servers then trust no key in it: `chmod go-w ~`",
    zh="其他用户可以写入那里的主目录，多数服务器因此不信任其中的密钥：`chmod go-w ~`",
)
_ELSEWHERE = Text(
    en="it may keep its keys elsewhere (`AuthorizedKeysFile`) or take no keys of this type",
    zh="它可能把公钥保存在别处（`AuthorizedKeysFile`），或不接受这种类型的密钥",
)


def install(login: Callable[[], Transport], login_with_key: Callable[[], Transport | None], line: str) -> bool:
    """Add a public key to the account's list, unless it opens the door already, and log in with it.

    Args:
        login: Logs in by whatever works, such as a password that is asked for.
        login_with_key: Logs in with this key and nothing else; None when the server refuses it.
        line: The public key as `.pub` has it.

    Returns:
        Whether the line was added; False when nothing was changed.

    Raises:
        CommandRefused: The server runs no commands for this account.
        NotInstalled: It did not write the line.
        KeyNotAccepted: The line is there, and the server refuses the key all the same.
        SetupError: What the two raise.
    """
    if _opens(login_with_key):
        return False
    transport = login()
    try:
        marks = _append(transport, line)
    finally:
        transport.close()
    if not _opens(login_with_key):
        raise KeyNotAccepted(_OPEN_HOME if "open-home" in marks else _ELSEWHERE)
    return "added" in marks


def _append(transport: Transport, line: str) -> set[str]:
    """Run the script; return what it reported, whatever the account's shell says around it."""
    key = " ".join(line.split()[:2])
    script = _SCRIPT.format(key=shlex.quote(key), line=shlex.quote(line), mark=_MARK)
    answer = execute(transport, "sh", script)
    marks = {said[len(_MARK) :] for said in answer.out.splitlines() if said.startswith(_MARK)}
    if not marks & {"added", "present"}:
        last = (answer.err or answer.out).strip().rpartition("\n")[2]
        raise NotInstalled(last or f"exit {answer.exit_code}")
    return marks


def _opens(login_with_key: Callable[[], Transport | None]) -> bool:
    transport = login_with_key()
    if transport is None:
        return False
    transport.close()
    return True

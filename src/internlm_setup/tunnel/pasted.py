"""A command line of `ssh`, pasted from a console or a tutorial: what it asks for, and what of it is not followed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from internlm_setup.core.ssh.compression import Wish
from internlm_setup.core.text import Text
from internlm_setup.tunnel import forwards
from internlm_setup.tunnel.errors import BadPasted
from internlm_setup.tunnel.model import Forward, Kind
from internlm_setup.tunnel.profiles import Profile

_FLAGS = "46AaCfGgKkMNnqsTtVvXxYy"
_WITH_VALUE = "BbcDEeFIiJLlmOoPpQRSWw"
_AS_WE_DO = {*"NnTqxavk4"}
_FORWARDS: dict[str, Kind] = {"L": "local", "R": "remote", "D": "dynamic"}
_LONG = {  # what `-o` calls the letters
    "port": "p",
    "user": "l",
    "identityfile": "i",
    "proxyjump": "J",
    "localforward": "L",
    "remoteforward": "R",
    "dynamicforward": "D",
    "hostname": "hostname",
    "compression": "C",
}
_LONG_AS_WE_DO = {
    "serveraliveinterval",
    "serveralivecountmax",
    "tcpkeepalive",
    "exitonforwardfailure",
    "connecttimeout",
    "loglevel",
    "requesttty",
    "sessiontype",
    "batchmode",
}
_COMPRESS: dict[str | None, Wish] = {None: "auto", "no": "off"}
_VALUES = {"p", "l", "i", "J", "hostname", "C"}
_DASHES = re.compile(r"^[‐-―−－]+")
_CONTINUED = re.compile(r"[\\`^]\s*\n")
_PROMPTS = {*"$#>%"}

_OPEN_TO_ALL = Text(
    en="ignored: the port is open to this machine alone; add `-g` to our own command to let others in",
    zh="已忽略：端口只对本机开放；如需允许其他机器访问，请在本工具的命令中加上 `-g`",
)
_HOST_KEYS = Text(
    en="ignored: a new host key is shown before it is trusted, and a changed one is refused",
    zh="已忽略：新的主机密钥会先显示再信任，变化的主机密钥会被拒绝",
)
_BACKGROUND = Text(
    en="ignored: add `--detach` to run in the background", zh="已忽略：如需在后台运行，请加上 `--detach`"
)
_NO_COMMAND = Text(en="ignored: a tunnel runs no command there", zh="已忽略：隧道不会在服务器上执行命令")
_NO_MEANING = Text(en="ignored: it means nothing to a tunnel", zh="已忽略：它对隧道没有意义")
_SPECIAL = {
    "g": _OPEN_TO_ALL,
    "f": _BACKGROUND,
    "gatewayports": _OPEN_TO_ALL,
    "stricthostkeychecking": _HOST_KEYS,
    "userknownhostsfile": _HOST_KEYS,
    "globalknownhostsfile": _HOST_KEYS,
    "checkhostip": _HOST_KEYS,
    "forkafterauthentication": _BACKGROUND,
}

_NOT_SSH = Text(en="it does not begin with `ssh`", zh="它不是以 `ssh` 开头")
_QUOTES = Text(en="a quotation mark is not closed", zh="引号没有闭合")
_NO_HOST = Text(en="it names no server", zh="没有写服务器")
_NO_SUCH = Text(en="`ssh` has no option `-{letter}`", zh="`ssh` 没有 `-{letter}` 选项")
_NO_VALUE = Text(en="`-{letter}` needs a value", zh="`-{letter}` 缺少取值")
_BAD_PORT = Text(en="`{port}` is no port", zh="`{port}` 不是端口")


@dataclass(frozen=True, slots=True)
class Note:
    """A part of a pasted command that is not followed, and why."""

    words: str
    reason: Text


@dataclass(frozen=True, slots=True)
class Pasted:
    """What a pasted command asks for: a profile without a file, and what of it is not followed."""

    profile: Profile
    notes: tuple[Note, ...]


def read_pasted(words: Sequence[str]) -> Pasted:
    """Read a command line of `ssh`, options in any order, before and after the server, bundled or not.

    Args:
        words: The command line as one word, or already taken apart by a shell.

    Raises:
        BadPasted: It is no command of `ssh`.
        BadForward: One of its forwards is none.
    """
    found = _Found(" ".join(words))
    rest = _after_ssh(found, _split(found, words))
    while rest:
        rest = _options(found, rest)
        if rest and found.host:
            found.note(" ".join(rest), _NO_COMMAND)
            break
        if rest:
            _server(found, rest.pop(0))
    if not found.host:
        raise found.bad(_NO_HOST)
    return Pasted(_profile(found), tuple(found.notes))


@dataclass
class _Found:
    """What was read so far. As with `ssh`, the first value of an option wins, and forwards add up."""

    line: str
    host: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)
    forwards: list[Forward] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def bad(self, reason: Text) -> BadPasted:
        return BadPasted(self.line, reason)

    def note(self, words: str, reason: Text) -> None:
        self.notes.append(Note(words, reason))

    def one(self, name: str) -> str | None:
        return next(iter(self.values.get(name, ())), None)


def _split(found: _Found, words: Sequence[str]) -> list[str]:
    if len(words) > 1:
        return list(words)
    lexer = shlex.shlex(_CONTINUED.sub(" ", "".join(words)), posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""  # a backslash is part of a Windows path
    try:
        return list(lexer)
    except ValueError:
        raise found.bad(_QUOTES) from None


def _after_ssh(found: _Found, words: list[str]) -> list[str]:
    for at, word in enumerate(words):
        is_ssh = re.split(r"[\\/]", word)[-1].lower() in {"ssh", "ssh.exe"}
        if is_ssh and (at == 0 or words[at - 1][-1:] in _PROMPTS):
            return words[at + 1 :]
    raise found.bad(_NOT_SSH)


def _options(found: _Found, words: list[str]) -> list[str]:
    """Read the options that come next, and return what is behind them."""
    rest = list(words)
    while rest:
        word = _DASHES.sub("-", rest[0])
        if not word.startswith("-") or word == "-":
            break
        rest.pop(0)
        if word == "--":
            break
        for letter, value in _letters(found, word[1:], rest):
            _take(found, letter, value, f"-{letter} {value}".strip())
    return rest


def _letters(found: _Found, letters: str, rest: list[str]) -> Iterator[tuple[str, str]]:
    """Take a bundle of options apart; a value follows its letter, or is the next word."""
    for at, letter in enumerate(letters, 1):
        if letter in _WITH_VALUE:
            if at == len(letters) and not rest:
                raise found.bad(_NO_VALUE.fill(letter=letter))
            yield letter, letters[at:] or rest.pop(0)
            return
        if letter not in _FLAGS:
            raise found.bad(_NO_SUCH.fill(letter=letter))
        yield letter, ""


def _take(found: _Found, name: str, value: str, words: str) -> None:
    if name == "o":
        key, value = (*re.split(r"\s*=\s*|\s+", value.strip(), maxsplit=1), "")[:2]
        name = _LONG.get(key.lower(), key.lower())
        value = ":".join(value.split()) if name in _FORWARDS else value
    if name in _FORWARDS:
        found.forwards.append(forwards.parse(_FORWARDS[name], value))
    elif name in _VALUES:
        found.values.setdefault(name, []).append(value)
    elif name in _SPECIAL:
        found.note(words, _SPECIAL[name])
    elif name not in _AS_WE_DO | _LONG_AS_WE_DO:
        found.note(words, _NO_MEANING)


def _server(found: _Found, word: str) -> None:
    """Read `[user@]host` or `ssh://[user@]host[:port]`."""
    user, _, host = word.rpartition("@")
    if word.startswith("ssh://"):
        address = urlsplit(word)
        user, host = address.username or "", address.hostname or ""
        if ":" in address.netloc.rpartition("@")[2].rpartition("]")[2]:
            found.values.setdefault("p", []).append(address.netloc.rpartition(":")[2])
    found.host = host
    if user:
        found.values.setdefault("l", []).append(user)


def _profile(found: _Found) -> Profile:
    port = found.one("p")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise found.bad(_BAD_PORT.fill(port=port))
    host = found.one("hostname") or found.host
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{host}-{port}" if port else host).strip("-.")
    return Profile(
        name=name,
        title=Text(en=name, zh=name),
        host=host,
        user=found.one("l"),
        port=int(port) if port else None,
        identity_files=tuple(found.values.get("i", ())),
        jumps=tuple(each for jumps in found.values.get("J", ())[:1] for each in jumps.split(",")),
        forwards=tuple(found.forwards),
        compression=_COMPRESS.get(found.one("C"), "on"),
    )

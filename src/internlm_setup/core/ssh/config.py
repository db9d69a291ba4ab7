"""The person's OpenSSH configuration, read by ourselves: Include, Host, Match, and the first value wins.

What we do not know is passed over. A `Match` that asks for something we cannot tell does not match, and that is said.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from internlm_setup.core.files import reading
from internlm_setup.core.ssh.config_lines import Line, next_word, read_line, words_of
from internlm_setup.core.ssh.connect_errors import ConfigTooOpen
from internlm_setup.core.ssh.patterns import fits_any, fits_list
from internlm_setup.core.text import Text

_DEEPEST = 16
_EXEC_PATIENCE_S = 10.0
_WHOLE_LINE = frozenset({"proxycommand", "proxyjump"})
_LISTS = frozenset({"identityfile", "certificatefile", "localforward", "remoteforward", "dynamicforward"})
_SEVERAL_WORDS = frozenset({"userknownhostsfile", "globalknownhostsfile", "localforward", "remoteforward"})

UNKNOWN_MATCH = Text(
    en="`{file}` line {line}: `Match {criterion}` cannot be judged here, so the block is taken as not matching",
    zh="`{file}` 第 {line} 行：无法判断 `Match {criterion}`，该段按不匹配处理",
)
BAD_LINE = Text(
    en="`{file}` line {line}: `{keyword}` cannot be read and is passed over",
    zh="`{file}` 第 {line} 行：`{keyword}` 无法解析，已跳过",
)
TOO_DEEP = Text(
    en="`{file}` line {line}: files include each other too deeply; the rest is passed over",
    zh="`{file}` 第 {line} 行：Include 嵌套过深，其余部分已跳过",
)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file to read.

    Attributes:
        path: The file.
        includes_from: The folder that its relative `Include` start from.
        own: Whether it is the person's, so that nobody else may have written it, nor what it includes.
    """

    path: Path
    includes_from: Path
    own: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the configuration.

    Attributes:
        host: What the person typed.
        local_user: The account here.
        home: The home folder here, for `~`.
        user: An account named on the command line, which wins over the files.
        port: A port named on the command line, likewise.
        run_exec: Whether `Match exec` may run its command; else it does not match.
    """

    host: str
    local_user: str
    home: Path
    user: str | None = None
    port: int | None = None
    run_exec: bool = False


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What the files say about one host.

    Attributes:
        values: Each option's words by its name in lower case; for options that add up, each line is one entry.
        notes: What the person should hear about the files.
    """

    values: dict[str, tuple[str, ...]]
    notes: tuple[Text, ...] = ()

    def one(self, keyword: str) -> str | None:
        """Return the first word of an option, or None where it is not set."""
        return next(iter(self.values.get(keyword, ())), None)

    def number(self, keyword: str) -> int | None:
        """Return an option that is a number; anything else counts as not set."""
        word = self.one(keyword) or ""
        return int(word) if word.isascii() and word.isdigit() else None

    def flag(self, keyword: str) -> bool:
        """Say whether an option is switched on."""
        return (self.one(keyword) or "").lower() in {"yes", "true"}


def read_config(files: Sequence[ConfigFile], question: Question) -> HostConfig:
    """Read what the files say about a host; a file that is not there says nothing.

    A `Match final` brings a second reading, in which `Host` and `Match host` see the host's real name.

    Raises:
        CannotRead: A file is there and cannot be read.
        ConfigTooOpen: Others can write to one that is the person's own.
    """
    reading_ = _Reading(question)
    if question.user is not None:
        reading_.values["user"] = (question.user,)
    if question.port is not None:
        reading_.values["port"] = (str(question.port),)
    for file in files:
        reading_.file(file, active=True)
    if reading_.wants_final:
        reading_.values["hostname"] = (reading_.real_host(),)  # which is settled by then
        reading_.final = True
        for file in files:
            reading_.file(file, active=True)
    return HostConfig(reading_.values, tuple(dict.fromkeys(reading_.notes)))


@dataclass
class _Reading:
    """One way through the files."""

    question: Question
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[Text] = field(default_factory=list)
    wants_final: bool = False
    final: bool = False

    def file(self, file: ConfigFile, *, active: bool, depth: int = 0) -> None:
        """Take in one file; inside a block that does not match, nothing in it can."""
        with reading(file.path):
            content = _content(file) if file.path.exists() else ""
        never = not active
        for number, raw in enumerate(content.split("\n"), start=1):
            line = read_line(raw)
            if line is None:
                continue
            words = words_of(line.rest)
            if not words:
                self._note(BAD_LINE, file, number, keyword=line.keyword)
            elif line.keyword == "host":
                active = not never and fits_any(self._host_now(), words)
            elif line.keyword == "match":
                active = self._matches(line.rest, file, number, so_far=not never)
            elif line.keyword == "include":
                self._include(words, file, number, active=active, depth=depth + 1)
            elif active:
                self._take(line, words)

    def _include(self, words: Sequence[str], file: ConfigFile, line: int, *, active: bool, depth: int) -> None:
        if depth > _DEEPEST:
            self._note(TOO_DEEP, file, line)
            return
        for word in words:
            pattern = str(file.includes_from / under_home(word, self.question.home))
            for name in sorted(glob.glob(pattern)):  # noqa: PTH207  # its pattern may be absolute
                self.file(ConfigFile(Path(name), file.includes_from, file.own), active=active, depth=depth)

    def _take(self, line: Line, words: Sequence[str]) -> None:
        keyword = line.keyword
        if keyword in _WHOLE_LINE:
            # The first of the two wins over the other as well, but `ProxyJump none` leaves room for a command.
            jump = self.values.get("proxyjump")
            room = jump is None or (keyword == "proxycommand" and jump[0].lower() == "none")
            if room and "proxycommand" not in self.values:
                self.values[keyword] = (line.rest.lstrip(" \t="),)
        elif keyword in _LISTS:
            entry = " ".join(words) if keyword in _SEVERAL_WORDS else words[0]
            before = self.values.get(keyword, ())
            self.values[keyword] = before if entry in before else (*before, entry)
        else:
            self.values.setdefault(keyword, tuple(words) if keyword in _SEVERAL_WORDS else tuple(words[:1]))

    def _host_now(self) -> str:
        return self.real_host() if self.final else self.question.host

    def real_host(self) -> str:
        """Return the host's name as far as the files have said it."""
        named = self.values.get("hostname")
        return expand(named[0], {"h": self.question.host}) if named else self.question.host

    def _matches(self, rest: str, file: ConfigFile, number: int, *, so_far: bool) -> bool:
        result, count = so_far, 0
        while rest:
            criterion, rest = next_word(rest)
            if criterion.startswith("#"):
                break
            negated, name = criterion.startswith("!"), criterion.lstrip("!").lower()
            count += 1
            if name == "all":
                return result and not negated and count == 1
            argument = ""
            if name == "final":
                self.wants_final = True
            if name not in {"final", "canonical"}:
                argument, rest = next_word(rest)
            if name == "exec" and not result:
                continue  # nothing is run for what cannot match any more
            truth = self._criterion(name, argument)
            if truth is None:
                self._note(UNKNOWN_MATCH, file, number, criterion=name)
                return False
            result = result and truth != negated
        return result and count > 0

    def _criterion(self, name: str, argument: str) -> bool | None:
        """Judge one criterion; None when it is not known, has no argument, or may not be run."""
        question = self.question
        if name in {"final", "canonical"}:
            return self.final
        judged: dict[str, Callable[[], bool]] = {
            "host": lambda: fits_list(self.real_host(), argument, lower=True),
            "originalhost": lambda: fits_list(question.host, argument, lower=True),
            "user": lambda: fits_list(self.values.get("user", (question.local_user,))[0], argument),
            "localuser": lambda: fits_list(question.local_user, argument),
        }
        if question.run_exec:
            judged["exec"] = lambda: self._succeeds(argument)
        return judged[name]() if name in judged and argument else None

    def _succeeds(self, command: str) -> bool:
        try:
            done = subprocess.run(  # noqa: S602  # the person's own line, run as OpenSSH runs it
                expand(command, self._tokens()), shell=True, capture_output=True, timeout=_EXEC_PATIENCE_S, check=False
            )
        except (subprocess.TimeoutExpired, OSError):
            return False
        return done.returncode == 0

    def _tokens(self) -> dict[str, str]:
        """Return what stands for `%h` and the others at this point of the files."""
        port = self.values.get("port", ("22",))[0]
        user = self.values.get("user", (self.question.local_user,))[0]
        return tokens(self.question, self.real_host(), port, user)

    def _note(self, text: Text, file: ConfigFile, line: int, **fields: str) -> None:
        self.notes.append(text.fill(file=file.path, line=line, **fields))


def _content(file: ConfigFile) -> str:
    with file.path.open("rb") as stream:
        found = os.fstat(stream.fileno())
        others = found.st_mode & 0o022 or found.st_uid not in {0, getattr(os, "getuid", int)()}
        if file.own and os.name != "nt" and others:
            raise ConfigTooOpen(str(file.path))
        return stream.read().decode("utf-8", "surrogateescape")


def tokens(question: Question, host: str, port: object, user: str) -> dict[str, str]:
    """Return what stands for `%h` (real host), `%n` (as typed), `%p`, `%r` (account there), `%u` and `%d` (here)."""
    return {
        "h": host,
        "n": question.host,
        "p": str(port),
        "r": user,
        "u": question.local_user,
        "d": str(question.home),
    }


def expand(words: str, meanings: dict[str, str]) -> str:
    """Put in what `%h` and the others stand for; `%%` is one `%`, and one that is not known stays as it is."""
    return re.sub("%(.)", lambda m: "%" if m[1] == "%" else meanings.get(m[1], m[0]), words)


def under_home(words: str, home: Path) -> Path:
    """Return a path whose `~` is the home folder."""
    return home / words[1:].lstrip("/\\") if words == "~" or words.startswith(("~/", "~\\")) else Path(words)

"""pip: `index-url` in its ini files.

`trusted-host` is never written, since an https mirror needs none, nor `extra-index-url`, since pip takes the best
version of all indexes, not the first index that has one.

Source:
    pip 23.2.1 and 26.1: _internal/configuration.py, _internal/utils/appdirs.py, _internal/cli/parser.py, read 2026-11.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import ini, keys_in
from internlm_setup.mirrors.model import (
    Ask,
    Edit,
    Effective,
    Family,
    Key,
    Layer,
    Machine,
    Mirrored,
    Reads,
    Scope,
    Syntax,
    Target,
    Wish,
)

_INDEX, _EXTRA_INDEX = "index-url", "extra-index-url"
_COMMANDS = {"download", "index", "install", "list", "lock", "wheel"}  # those that ask an index
_SECTIONS = ("install", "global")  # what `pip install` reads, strongest first
_SCOPES: Mapping[str, Scope] = {"env": "user", "site": "venv", "user": "user", "global": "system"}  # strongest first
_FILES_OFF = Text(
    en="`PIP_CONFIG_FILE` turns every pip configuration file off", zh="`PIP_CONFIG_FILE` 使 pip 的所有配置文件都不生效"
)
_USER_OFF = Text(
    en="`PIP_CONFIG_FILE` names a file, so pip does not read the user's own",
    zh="`PIP_CONFIG_FILE` 指定了一个文件，因此 pip 不读取用户自己的配置文件",
)
_EXTRA = Text(
    en="`extra-index-url` is set as well: pip takes the best version of all indexes",
    zh="同时设置了 `extra-index-url`：pip 会在所有索引中选取最合适的版本",
)


@dataclass(frozen=True, slots=True)
class _File:
    """What one file says; of pip's answer, what a kind of file says."""

    path: str
    scope: Scope
    values: Mapping[Key, str]


class Pip:
    """pip, in every environment of a user, in one environment, or for the whole system."""

    id = "pip"
    title = "pip"
    families: tuple[Family, ...] = ("pypi",)
    scopes: tuple[Scope, ...] = ("user", "venv", "system")
    program = "pip"
    always = True
    about = Text(
        en="`index-url` in `[global]`, and in `[install]` and the like where they have one of their own. "
        "`trusted-host` is not written: an https mirror needs none, and with it pip no longer checks certificates. "
        "`extra-index-url` is not written: pip takes the best version of all indexes, not the first that has one.",
        zh="写入 `[global]` 中的 `index-url`；若 `[install]` 等段中另有此项，也一并改写。"
        "不写 `trusted-host`：https 镜像不需要它，写了之后 pip 便不再校验证书。"
        "不写 `extra-index-url`：pip 会在所有索引中选取最合适的版本，而不是优先使用某一个。",
    )

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """See `Target.files`; a file that `PIP_CONFIG_FILE` names stands for the user's, which pip then ignores."""
        named = _named(machine, read)
        if scope == "user" and named:
            return [named]
        weakest_first = _paths(machine, read)[scope]
        there = [path for path in weakest_first if read(path) is not None]
        return (there or weakest_first)[-1:]

    def syntax(self, path: PurePath) -> Syntax:
        """See `Target.syntax`."""
        del path
        return ini

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """See `Target.edits`; a command's own section would win over `[global]`."""
        del machine
        url = wish.site.families["pypi"].url
        others = [key for key in before if key[1] == _INDEX and key[0] in _COMMANDS]
        return [Edit(key, url) for key in [("global", _INDEX), *others]]

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """See `Target.owned`; of several addresses those that are no mirror's stay."""
        found = []
        for key, value in before.items():
            if key[1] in {_INDEX, _EXTRA_INDEX}:
                urls = str(value).split()
                kept = [url for url in urls if not is_mirror(url)]
                if kept != urls:
                    found.append(Edit(key, " ".join(kept) or None))
        return found

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """See `Target.effective`; what `pip install` would use."""
        notes: list[Text] = []
        files: list[_File] = []
        if _are_off(machine):
            notes.append(_FILES_OFF)
        else:
            for kind, path in _loaded(machine, read, notes):
                keys = keys_in(path, ini, read, notes)
                files.append(_File(str(path), _SCOPES[kind], {key: str(value) for key, value in keys.items()}))
        variables = {name: value for name, value in machine.env.items() if name.startswith("PIP_")}
        return _weighed(variables, files, notes)

    def ask(self, machine: Machine) -> Ask | None:
        """See `Target.ask`."""
        program = machine.programs.get("pip")
        if program is None:
            return None
        notes = (_FILES_OFF,) if _are_off(machine) else ()
        return Ask((str(program), "config", "debug"), lambda said: _read_debug(said, notes))

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """See `Target.advice`: there is none."""
        del wish, machine
        return ()


TARGET: Target = Pip()


def _are_off(machine: Machine) -> bool:
    return machine.env.get("PIP_CONFIG_FILE") == ("nul" if machine.platform == "win32" else "/dev/null")


def _named(machine: Machine, read: Reads) -> PurePath | None:
    """Return the file that `PIP_CONFIG_FILE` names, if there is one; pip reads it and not the user's."""
    named = machine.env.get("PIP_CONFIG_FILE")
    path = type(machine.home)(named or "")
    return path if named and not _are_off(machine) and read(path) is not None else None


def _loaded(machine: Machine, read: Reads, notes: list[Text]) -> Iterator[tuple[str, PurePath]]:
    """Return the files that pip reads and pip's word for their kind, the strongest first."""
    named = _named(machine, read)
    if named:
        notes.append(_USER_OFF)
        yield "env", named
    groups = _paths(machine, read)
    for kind in ("site", "global") if named else ("site", "user", "global"):
        for path in reversed(groups[_SCOPES[kind]]):
            yield kind, path


def _paths(machine: Machine, read: Reads) -> dict[Scope, list[PurePath]]:
    """Return where pip looks, the weakest of each scope first; the last is the one that pip itself would make."""
    home, name = machine.home, "pip.ini" if machine.platform == "win32" else "pip.conf"
    prefix = machine.venv or machine.env.get("CONDA_PREFIX")
    match machine.platform:
        case "win32":
            old, new = home / "pip", machine.folder("APPDATA", home / "AppData" / "Roaming") / "pip"
            system = [machine.folder("PROGRAMDATA", type(home)("C:/ProgramData")) / "pip"]
        case "darwin":
            old, new = home / ".pip", home / "Library" / "Application Support" / "pip"
            new = new if read(new / name) is not None else home / ".config" / "pip"
            system = [type(home)("/Library/Application Support/pip")]
        case _:
            old, new = home / ".pip", machine.folder("XDG_CONFIG_HOME", home / ".config") / "pip"
            listed = (machine.env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
            system = [*(type(home)(folder) / "pip" for folder in listed if folder), type(home)("/etc")]
    return {
        "system": [folder / name for folder in system],
        "user": [old / name, new / name],
        "venv": [type(home)(prefix) / name] if prefix else [],
    }


def _weighed(
    variables: Mapping[str, str], files: Sequence[_File], notes: Sequence[Text], asked: str | None = None
) -> Effective:
    """Let pip's rules decide: variables, then all files' `[install]`, then all files' `[global]`.

    Of one section the strongest file counts, and an empty value counts as none.

    Args:
        variables: Those that begin with `PIP_`.
        files: The strongest first.
        notes: What is to be said beside it.
        asked: As in `Effective`.
    """
    options = {name: name.removeprefix("PIP_").lower().replace("_", "-") for name in variables}
    found = [(Layer("variable", name), url) for name, url in variables.items() if options[name] == _INDEX and url]
    for section in _SECTIONS:
        for file in files:
            value = file.values.get((section, _INDEX))
            if value == "":
                break
            if value is not None:
                found.append((Layer("file", file.path, (section, _INDEX), file.scope), value))
    keys = {name for file in files for _, name in file.values} | set(options.values())
    return Effective.of(found, [*notes, *([_EXTRA] if _EXTRA_INDEX in keys else [])], asked)


def _read_debug(stdout: str, notes: Sequence[Text]) -> Effective:
    """Read what `pip config debug` says: the variables, then each kind of file with all its values.

    It does not say which of two files of a kind a value is from; the stronger one is named.
    """
    variables: dict[str, str] = {}
    files: dict[str, list[_File]] = {kind: [] for kind in _SCOPES}
    kind = ""
    values: dict[Key, str] = {}
    for line in stdout.splitlines():
        if head := re.fullmatch(r"(\w+):", line):
            kind = head[1]
        elif said := re.fullmatch(r"  (PIP_\w+)=(['\"].*)", line):
            variables[said[1]] = str(ast.literal_eval(said[2]))
        elif (said := re.fullmatch(r"  (.+), exists: (?:True|False)", line)) and kind in files:
            values = {}
            files[kind].insert(0, _File(said[1], _SCOPES[kind], values))
        elif said := re.fullmatch(r"    ([\w-]+)\.([^\s:]+): (.*)", line):
            values[said[1], said[2]] = said[3]
    if not files["global"]:
        raise ValueError(stdout)
    return _weighed(variables, [file for group in files.values() for file in group], notes, "pip")

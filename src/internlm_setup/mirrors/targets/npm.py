"""npm: `registry` in `.npmrc`; pnpm and the first yarn read it too.

Source:
    npm 11.19: @npmcli/config lib/index.js, ini lib/ini.js, docs `npm help npmrc`, read 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import keys_in, npmrc
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

_KEY = ("registry",)
_LOCK = Text(
    en="npm may write the registry's address into `package-lock.json`; "
    "`npm install --omit-lockfile-registry-resolved` leaves it out",
    zh="npm 可能会把 registry 的地址写入 `package-lock.json`；"
    "使用 `npm install --omit-lockfile-registry-resolved` 可不写入",
)


class Npm:
    """npm, for a user or for the whole system."""

    id = "npm"
    title = "npm"
    families: tuple[Family, ...] = ("npm",)
    scopes: tuple[Scope, ...] = ("user", "system")
    program = "npm"
    always = False
    about = Text(
        en="`registry` in `.npmrc`. A project's own `.npmrc` and the registries of `@scopes` are left alone.",
        zh="写入 `.npmrc` 中的 `registry`。项目自己的 `.npmrc` 以及各个 `@scope` 的 registry 均不改动。",
    )

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """See `Target.files`."""
        del read
        return [path for owner, path in _paths(machine).items() if owner == scope]

    def syntax(self, path: PurePath) -> Syntax:
        """See `Target.syntax`."""
        del path
        return npmrc

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """See `Target.edits`."""
        del before, machine
        return [Edit(_KEY, wish.site.families["npm"].url)]

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """See `Target.owned`."""
        return [Edit(_KEY, None)] if is_mirror(str(before.get(_KEY, ""))) else []

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """See `Target.effective`; a project's `.npmrc` is not looked for."""
        notes: list[Text] = []
        variable = _variable(machine.env, "registry")
        found = [(Layer("variable", variable), machine.env[variable])] if variable else []
        for scope, path in _paths(machine).items():
            value = keys_in(path, npmrc, read, notes).get(_KEY)
            if isinstance(value, str) and value:
                found.append((Layer("file", str(path), _KEY, scope), value))
        return Effective.of(found, notes)

    def ask(self, machine: Machine) -> Ask | None:
        """See `Target.ask`."""
        program = machine.programs.get("npm")
        return Ask((str(program), "config", "list"), _read_list) if program else None

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """See `Target.advice`."""
        del wish, machine
        return (_LOCK,)


TARGET: Target = Npm()


def _variable(env: Mapping[str, str], option: str) -> str | None:
    """Return the variable that sets an option; npm minds neither case nor `-` in its name, and skips empty ones."""
    wanted = f"npm_config_{option}"
    return next((name for name, value in env.items() if value and name.lower().replace("-", "_") == wanted), None)


def _paths(machine: Machine) -> dict[Scope, PurePath]:
    """Return npm's own files, the strongest first; the system's is below the folder that holds npm's `bin`."""
    named = {option: _variable(machine.env, option) for option in ("userconfig", "globalconfig", "prefix")}

    def folder(option: str) -> PurePath | None:
        variable = named[option]
        return type(machine.home)(machine.env[variable]) if variable else None

    paths: dict[Scope, PurePath] = {"user": folder("userconfig") or machine.home / ".npmrc"}
    if system := folder("globalconfig"):
        paths["system"] = system
    elif prefix := folder("prefix") or _prefix(machine):
        paths["system"] = prefix / "etc" / "npmrc"
    return paths


def _prefix(machine: Machine) -> PurePath | None:
    if machine.platform == "win32":
        return machine.folder("APPDATA", machine.home / "AppData" / "Roaming") / "npm"
    program = machine.programs.get("npm")
    return program.parent.parent if program else None


def _read_list(stdout: str) -> Effective:
    """Read what `npm config list` says: the options by their files, strongest last, with comments that name these."""
    if "; npm version = " not in stdout:
        raise ValueError(stdout)
    found: list[tuple[Layer, str]] = []
    scopes: dict[str, Scope] = {"user": "user", "global": "system"}
    layer = Layer("file", "npm", _KEY)
    for line in stdout.splitlines():
        if head := re.fullmatch(r'; "(\w+)" config from (.+)', line):
            layer = Layer("file", head[2].strip('"'), _KEY, scopes.get(head[1]))
            if head[1] == "env":
                layer = Layer("variable", "npm_config_registry")
        elif said := re.fullmatch(r'(?:; )?registry = (".*?")(?: ; overridden by \w+)?\s*', line):
            found.insert(0, (layer, str(json.loads(said[1]))))
    return Effective.of(found, asked="npm")

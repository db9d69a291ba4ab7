"""pdm: `pypi.url` in its `config.toml`.

Source:
    pdm 2.29.3, run; src/pdm/project/config.py and src/pdm/core.py, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import keys_in, toml
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

_KEY = ("pypi", "url")
_VARIABLE = "PDM_PYPI_URL"


class Pdm:
    """pdm, for a user or for the whole system."""

    id = "pdm"
    title = "pdm"
    families: tuple[Family, ...] = ("pypi",)
    scopes: tuple[Scope, ...] = ("user", "system")
    program = "pdm"
    always = False
    about = Text(
        en="`url` in `[pypi]` of `config.toml`. Projects that name sources of their own in `pyproject.toml` keep them.",
        zh="写入 `config.toml` 中 `[pypi]` 的 `url`。在 `pyproject.toml` 中另有软件源的项目不受影响。",
    )

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """See `Target.files`."""
        del read
        return [path for owner, path in _paths(machine).items() if owner == scope]

    def syntax(self, path: PurePath) -> Syntax:
        """See `Target.syntax`."""
        del path
        return toml

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """See `Target.edits`."""
        del before, machine
        return [Edit(_KEY, wish.site.families["pypi"].url)]

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """See `Target.owned`."""
        return [Edit(_KEY, None)] if is_mirror(str(before.get(_KEY, ""))) else []

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """See `Target.effective`; what pdm would use outside of a project."""
        notes: list[Text] = []
        found = [(Layer("variable", _VARIABLE), machine.env[_VARIABLE])] if machine.env.get(_VARIABLE) else []
        for scope, path in _paths(machine).items():
            values = keys_in(path, toml, read, notes)
            found += [(Layer("file", str(path), _KEY, scope), str(values[_KEY]))] if _KEY in values else []
        return Effective.of(found, notes)

    def ask(self, machine: Machine) -> Ask | None:
        """See `Target.ask`: there is none, since pdm does not tell its default from what was set."""
        del machine
        return None

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """See `Target.advice`: there is none."""
        del wish, machine
        return ()


TARGET: Target = Pdm()


def _paths(machine: Machine) -> dict[Scope, PurePath]:
    """Return pdm's own files, the strongest first."""
    home, path = machine.home, type(machine.home)
    match machine.platform:
        case "win32":
            user = machine.folder("LOCALAPPDATA", home / "AppData" / "Local") / "pdm" / "pdm"
            system = machine.folder("PROGRAMDATA", path("C:/ProgramData")) / "pdm" / "pdm"
        case "darwin":
            user = home / "Library" / "Application Support" / "pdm"
            system = path("/Library/Application Support/pdm")
        case _:
            user = machine.folder("XDG_CONFIG_HOME", home / ".config") / "pdm"
            listed = machine.env.get("XDG_CONFIG_DIRS") or "/etc/xdg"
            system = path(listed.split(":")[0]) / "pdm"
    named = machine.env.get("PDM_CONFIG_FILE")
    return {"user": path(named) if named else user / "config.toml", "system": system / "config.toml"}

"""uv: the default `[[index]]` of `uv.toml`, and where it gets its Pythons from.

uv reads no file and no variable of pip's. Other indexes are never touched: one may be a PyTorch index.

Source:
    uv 0.13.9, run; docs/concepts/configuration-files.md, docs/concepts/indexes.md and crates/uv-dirs, read 2026-11.
"""

from __future__ import annotations

import json
import re
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

_DEFAULT = ("index", "default", "url")
_PYTHON = ("python-install-mirror",)
_OLD = (("pip", "index-url"), ("index-url",))
_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
_OFF = Text(en="`UV_NO_CONFIG` turns every uv configuration file off", zh="`UV_NO_CONFIG` 使 uv 的所有配置文件都不生效")
_ONLY = Text(en="`UV_CONFIG_FILE` names the only file that uv reads", zh="`UV_CONFIG_FILE` 指定了 uv 唯一读取的文件")
_LOCK = Text(
    en="uv writes the index's address into `uv.lock`; lock what others use without it: `UV_NO_CONFIG=1 uv lock`",
    zh="uv 会把索引的地址写入 `uv.lock`；要与他人共享的项目请不经镜像锁定：`UV_NO_CONFIG=1 uv lock`",
)


class Uv:
    """uv, for a user or for the whole system."""

    id = "uv"
    title = "uv"
    families: tuple[Family, ...] = ("pypi", "python")
    scopes: tuple[Scope, ...] = ("user", "system")
    program = "uv"
    always = False
    about = Text(
        en="The `[[index]]` with `default = true` in `uv.toml`, which is added where there is none, and "
        "`python-install-mirror` where the site has builds of Python. Other indexes are never touched.",
        zh="写入 `uv.toml` 中带有 `default = true` 的 `[[index]]`（没有则添加）；"
        "若镜像站提供 Python 构建，则同时写入 `python-install-mirror`。其他索引一律不动。",
    )

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """See `Target.files`."""
        paths = _paths(machine)[scope]
        return [next((path for path in paths if read(path) is not None), paths[-1])]

    def syntax(self, path: PurePath) -> Syntax:
        """See `Target.syntax`."""
        del path
        return toml

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """See `Target.edits`."""
        del before, machine
        families = wish.site.families
        python = [Edit(_PYTHON, families["python"].url)] if "python" in families else []
        return [Edit(_DEFAULT, families["pypi"].url), *python]

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """See `Target.owned`."""
        keys = (_DEFAULT, _PYTHON, *_OLD)
        return [Edit(key, None) for key in keys if is_mirror(str(before.get(key, "")))]

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """See `Target.effective`; what `uv pip` would use outside of a project."""
        notes: list[Text] = []
        found = [(Layer("variable", name), machine.env[name]) for name in _VARIABLES if machine.env.get(name)]
        files = _loaded(machine, read, notes)
        layers = [(path, scope, keys_in(path, toml, read, notes)) for path, scope in files]
        for key in (_DEFAULT, *_OLD):  # each of all files before the next one
            for path, scope, values in layers:
                found += [(Layer("file", str(path), key, scope), str(values[key]))] if key in values else []
        return Effective.of(found, notes)

    def ask(self, machine: Machine) -> Ask | None:
        """See `Target.ask`; uv has no command for it, but tells its settings on request."""
        program = machine.programs.get("uv")
        if program is None:
            return None
        return Ask((str(program), "pip", "list", "--show-settings"), lambda said: _read_settings(said, machine))

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """See `Target.advice`."""
        del wish, machine
        return (_LOCK,)


TARGET: Target = Uv()


def _paths(machine: Machine) -> dict[Scope, list[PurePath]]:
    """Return where uv looks: of each scope it reads the first file that exists."""
    path = type(machine.home)
    if machine.platform == "win32":
        user = machine.folder("APPDATA", machine.home / "AppData" / "Roaming")
        system = [machine.folder("PROGRAMDATA", path("C:/ProgramData"))]
    else:
        user = machine.folder("XDG_CONFIG_HOME", machine.home / ".config")
        listed = (machine.env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        system = [*(path(folder) for folder in listed if folder), path("/etc")]
    named = machine.env.get("UV_CONFIG_FILE")
    return {
        "user": [path(named) if named else user / "uv" / "uv.toml"],
        "system": [folder / "uv" / "uv.toml" for folder in system],
    }


def _loaded(machine: Machine, read: Reads, notes: list[Text]) -> Sequence[tuple[PurePath, Scope]]:
    """Return the files that uv reads, the strongest first."""
    paths = _paths(machine)
    if machine.env.get("UV_CONFIG_FILE"):
        notes.append(_ONLY)
        return [(paths["user"][0], "user")]
    if machine.env.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes", "on", "y", "t"}:
        notes.append(_OFF)
        return []
    system = next((path for path in paths["system"] if read(path) is not None), paths["system"][-1])
    return [(paths["user"][0], "user"), (system, "system")]


def _read_settings(stdout: str, machine: Machine) -> Effective:
    """Read what uv says with `--show-settings`: every index with who named it; the first default one counts."""
    listing = re.search(
        r"\n        index_locations: IndexLocations \{(.*?)\n            flat_index:", stdout, re.DOTALL
    )
    if not listing:
        raise ValueError(stdout[-1000:])
    paths = _paths(machine)
    variable = next((name for name in _VARIABLES if machine.env.get(name)), _VARIABLES[0])
    layers = {
        "Cli": Layer("variable", variable),
        "User": Layer("file", str(paths["user"][0]), _DEFAULT, "user"),
        "System": Layer("file", str(paths["system"][-1]), _DEFAULT, "system"),
    }
    found = []
    for index in listing[1].split(" Index {")[1:]:
        url = re.search(r'given: Some\(\s*(".*?"),\s*\)', index)
        origin = re.search(r"origin: Some\(\s*(\w+),\s*\)", index)
        if url and "default: true," in index:
            layer = layers.get(origin[1] if origin else "", Layer("file", "pyproject.toml", _DEFAULT))
            found.append((layer, str(json.loads(url[1]))))
    notes: list[Text] = []
    _loaded(machine, lambda _: None, notes)
    return Effective.of(found, notes, "uv")

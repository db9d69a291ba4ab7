"""Where conda looks for its files, weakest first.

Source:
    conda 24.7.1, `base/constants.py` (SEARCH_PATH), `common/configuration.py` (`_expand_search_path`), `__init__.py`
    (CONDA_ROOT is the folder conda is installed in, where nobody says otherwise); read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from internlm_setup.mirrors.model import Machine, Reads, Scope

_NAMES = (".condarc", "condarc")
_SUFFIXES = {".yml", ".yaml"}


def program(machine: Machine) -> PurePath | None:
    """Return where conda is: on the PATH, or where an activated shell says."""
    named = machine.env.get("CONDA_EXE")
    return machine.programs.get("conda") or (type(machine.home)(named) if named else None)


def root(machine: Machine) -> PurePath | None:
    """Return the folder that conda is installed in: its program is in `bin`, `condabin` or `Scripts` there."""
    where = program(machine)
    return _named(machine, "CONDA_ROOT") or (where.parent.parent if where else None)


def places(machine: Machine, scope: Scope | None = None) -> list[tuple[PurePath, Scope]]:
    """Return the files that may be there, and the folders of such files, weakest first; of one scope, or of all."""
    path = type(machine.home)
    system = ("C:/ProgramData/conda",) if machine.platform == "win32" else ("/etc/conda", "/var/lib/conda")
    folders: list[tuple[PurePath | None, Scope]] = [(path(folder), "system") for folder in system]
    folders.append((root(machine), "system"))
    xdg = _named(machine, "XDG_CONFIG_HOME")
    folders.append((xdg / "conda" if xdg else None, "user"))
    folders += [(machine.home / ".config" / "conda", "user"), (machine.home / ".conda", "user")]
    found = [(folder / name, whose) for folder, whose in folders if folder for name in (*_NAMES, "condarc.d")]
    found.append((machine.home / ".condarc", "user"))
    prefix, extra = _named(machine, "CONDA_PREFIX"), _named(machine, "CONDARC")
    found += [(prefix / name, "venv") for name in (*_NAMES, "condarc.d") if prefix]
    found += [(extra, "user")] if extra else []
    first = dict(reversed([(where, whose) for where, whose in found]))  # a path counts where it is named first
    unique = dict.fromkeys(where for where, _ in found)
    return [(where, first[where]) for where in unique if scope in {None, first[where]}]


def files(machine: Machine, read: Reads) -> Iterator[tuple[PurePath, Scope, bytes]]:
    """Yield every file that conda reads, weakest first, with its bytes."""
    for place, scope in places(machine):
        data = read(place)
        if data is None:
            continue
        if is_file(place):
            yield place, scope, data
            continue
        for name in sorted(data.decode("utf-8", "surrogateescape").split("\n")):
            inner = read(place / name) if PurePath(name).suffix in _SUFFIXES else None
            if inner is not None:
                yield place / name, scope, inner


def chosen(machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
    """Return the strongest file of a scope that is there, else the one that `conda config` would make."""
    of_scope = [place for place, _ in places(machine, scope) if is_file(place)]
    there = next((place for place in reversed(of_scope) if read(place) is not None), None)
    usual = {
        "user": machine.home,
        "venv": _named(machine, "CONDA_PREFIX"),
        "system": root(machine) or (of_scope[0].parent if of_scope else None),
    }[scope]
    return [there] if there else [usual / ".condarc"] if usual else []


def is_file(place: PurePath) -> bool:
    """Return whether conda would read the place as a file, by its name."""
    return place.name in _NAMES or place.suffix in _SUFFIXES


def _named(machine: Machine, variable: str) -> PurePath | None:
    value = machine.env.get(variable)
    return type(machine.home)(value) if value else None

"""Told to use a mirror, how many configuration files does each tool set right, and leave alone otherwise?

The files are the corpus of the tests, each laid into an empty home. Right: the tool's own parser finds another index
than before. Alone: no other setting differs, and every line that had no need to change is there as it was, in its
order, its comment and its line end too. Tools set their own favourite mirror where they take no address.
"""

# ruff: noqa: E402 - the corpus is among the tests, which are no package that is installed

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

import conda_editors
import results
import session
from cases.mirrors.marked import SITE, WISH, Case
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.edit import TouchesMore, Unparseable, changed
from internlm_setup.mirrors.model import Key, Machine
from servers.conda import VERSION

PYPI, NPM = SITE.families["pypi"].url, SITE.families["npm"].url
KEYS: dict[str, Key] = {
    "pip": ("global", "index-url"),
    "uv": ("index", "default", "url"),
    "pdm": ("pypi", "url"),
    "npm": ("registry",),
}
PATHS = {"pip": ".config/pip/pip.conf", "uv": ".config/uv/uv.toml", "pdm": ".config/pdm/config.toml", "npm": ".npmrc"}
PATIENCE_S = 60
FROM_PIP = ("pip", "uv", "pdm", "pip-conf-mirror", "ppmm", "pqi", "ouvm")


@dataclass(frozen=True, slots=True)
class Editor:
    """What sets a mirror in one kind of file: `edit` gets the home that the file lies in."""

    name: str
    files: str
    edit: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are that were installed for this run."""

    folder: Path

    def running(self, *command: str) -> Callable[[Path], None]:
        """Return an edit that runs a program in a home, with no settings but those there; how it ends is not asked."""
        found = shutil.which(command[0], path=f"{self.folder / 'bin'}:{self.folder / 'node_modules/.bin'}:{os.defpath}")
        if found is None:
            raise FileNotFoundError(command[0])

        def edit(home: Path) -> None:
            path = f"{Path(found).parent}:{self.folder / 'bin'}:{os.defpath}"
            env = {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "PDM_CHECK_UPDATE": "0"}
            none = subprocess.DEVNULL
            subprocess.run(
                [found, *command[1:]], cwd=home, env=env, stdin=none, stdout=none, stderr=none, timeout=60, check=False
            )

        return edit


def ours(tool: str) -> Editor:
    """internlm-setup, as a library: what it would write."""
    target, name = targets.get(tool), PATHS[tool]

    def edit(home: Path) -> None:
        machine = Machine("linux", {}, PurePosixPath("/home/me"), False, {})
        before, syntax = (home / name).read_bytes(), target.syntax(PurePosixPath(name))
        try:
            after = changed(syntax, before, target.edits(syntax.look(before), WISH, machine))
        except (Unparseable, TouchesMore):
            return
        (home / name).write_bytes(after)

    return Editor("internlm-setup", tool, edit)


def pip_config(programs: Programs) -> Editor:
    """Pip's own command."""
    return Editor("pip config set", "pip", programs.running("pip", "config", "--user", "set", "global.index-url", PYPI))


def pip_conf_mirror(programs: Programs, tool: str) -> Editor:
    """pip-conf-mirror, which runs pip and pdm, and writes uv.toml itself."""
    flags = [] if tool == "pip" else [f"--{tool}"]
    return Editor("pip-conf-mirror", tool, programs.running("pip-conf", "tx", "-f", "-y", *flags))


def ppmm(programs: Programs) -> Editor:
    """Ppmm."""
    return Editor("ppmm", "pip", programs.running("mm", "use", "ali"))


def pqi(programs: Programs) -> Editor:
    """Pqi."""
    return Editor("pqi", "pip", programs.running("pqi", "use", "aliyun"))


def ouvm(programs: Programs) -> Editor:
    """Ouvm."""
    return Editor("ouvm", "uv", programs.running("uvm", "use", "aliyun"))


def pdm_config(programs: Programs) -> Editor:
    """Pdm's own command."""
    return Editor("pdm config", "pdm", programs.running("pdm", "config", "pypi.url", PYPI))


def npm_config(programs: Programs) -> Editor:
    """Npm's own command."""
    return Editor("npm config set", "npm", programs.running("npm", "config", "set", "registry", NPM))


def nrm(programs: Programs) -> Editor:
    """Nrm."""
    return Editor("nrm", "npm", programs.running("nrm", "use", "tencent"))


def editors(programs: Programs) -> list[Editor]:
    """Return all of them, the same kind of file together."""
    return [
        ours("pip"),
        pip_config(programs),
        pip_conf_mirror(programs, "pip"),
        ppmm(programs),
        pqi(programs),
        ours("uv"),
        pip_conf_mirror(programs, "uv"),
        ouvm(programs),
        ours("pdm"),
        pdm_config(programs),
        ours("npm"),
        npm_config(programs),
        nrm(programs),
    ]


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__, rounds=1)
    parser.add_argument("--programs", type=Path, help="where they are installed already, or are to be")
    return session.parse(parser, words)


def main(words: Sequence[str] | None = None) -> int:
    """Let every tool edit every file of its kind."""
    options = parse(words)
    with tempfile.TemporaryDirectory(prefix="internlm-bench-") as folder:
        programs = Programs((options.programs or Path(folder) / "programs").absolute())
        if failed := install(programs.folder):
            return session.skip("editors", failed)
        rows = []
        for editor in editors(programs):
            if not options.only or any(word in editor.name for word in options.only):
                rows.append(row(editor, corpus(editor.files)[:: 10 if options.short else 1], Path(folder) / "home"))
                session.tell(" ".join(rows[-1]))
        of_conda = conda_editors.table(programs.folder / "conda", 10 if options.short else 1)
    heads = ("Files of", "Tool", "Files", "Mirror set", "Set, and all else kept", "Other settings changed")
    text = "\n\n".join(
        [
            "## Configuration files after a tool has set a mirror",
            results.table(heads, rows),
            of_conda,
            versions(programs),
        ]
    )
    results.publish("editors", text, write=options.write)
    return 0


def install(folder: Path) -> str:
    """Install the tools where they are not yet; return why not."""
    if (folder / "node_modules").is_dir():
        return ""
    commands = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "pip"), "install", "-q", "--upgrade", *FROM_PIP],
        ["npm", "install", "--silent", "--prefix", str(folder), "nrm"],
    ]
    for command in commands:
        if shutil.which(command[0]) is None:
            return f"{command[0]} is not installed"
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            return done.stderr[-500:]
    return ""


def corpus(tool: str) -> list[Case]:
    """Return the files of a tool that do not use the mirror yet."""
    cases: list[Case] = importlib.import_module(f"cases.mirrors.{tool}").CASES
    return [case for case in cases if case.before != case.after]


def row(editor: Editor, cases: Sequence[Case], home: Path) -> list[str]:
    """Let one tool edit the files, and count."""
    is_set = is_kept = others = 0
    for case in cases:
        session.empty(home)
        path = home / PATHS[editor.files]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.before)
        editor.edit(home)
        after = path.read_bytes() if path.exists() else b""
        was_set, same = compared(editor.files, case, after)
        is_set += was_set
        others += not same
        is_kept += was_set and same and has_kept_lines(case, after)
    return [editor.files, editor.name, str(len(cases)), str(is_set), str(is_kept), str(others)]


def compared(tool: str, case: Case, after: bytes) -> tuple[bool, bool]:
    """Return whether another index is set than before, and whether all other settings are the same."""
    look, key = targets.get(tool).syntax(PurePosixPath(PATHS[tool])).look, KEYS[tool]
    before, wanted = look(case.before), look(case.after)
    try:
        found = look(after)
    except Unparseable:
        return False, False
    ours_alone = {name for name in {*before, *wanted} if before.get(name) != wanted.get(name)}
    rest = [{name: value for name, value in of.items() if name not in ours_alone} for of in (before, found)]
    return found.get(key) not in {None, before.get(key)}, rest[0] == rest[1]


def has_kept_lines(case: Case, after: bytes) -> bool:
    """Tell whether every line that had no need to change is there, in its order; the last may have gained an end."""
    needed, left = lines(case.after), iter(lines(after))
    return all(line in left for line in lines(case.before) if line in needed)


def lines(data: bytes) -> list[bytes]:
    """Return the lines with their ends."""
    end = b"\r\n" if b"\r\n" in data else b"\n"
    return (data if data.endswith(end) else data + end).splitlines(keepends=True)


def versions(programs: Programs) -> str:
    """Say which versions were run."""
    listed = [str(programs.folder / "bin" / "pip"), "list", "--format", "freeze", "--disable-pip-version-check"]
    found = subprocess.run(listed, capture_output=True, encoding="utf-8", check=True).stdout.split()
    names = [line.replace("==", " ") for line in found if line.split("==")[0] in FROM_PIP]
    npm = subprocess.run(["npm", "--version"], capture_output=True, encoding="utf-8", check=True).stdout.strip()
    return f"{', '.join(names)}, npm {npm}, conda {VERSION}; {results.machine()}."


if __name__ == "__main__":
    sys.exit(main())

"""`editors` of conda's files: each of the tests' corpus is changed by the real conda and by ours, one key at a time.

A file is intact when it was changed in one place, and nothing but a part of one line was taken away there: the old
value. So a file counts as changed where an anchor has to move because others name it, or where the old value stands on
several lines.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import results

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from condarcs import CONDARCS
from internlm_setup.mirrors.edit import TouchesMore, changed, yaml
from internlm_setup.mirrors.model import Edit
from servers import conda
from servers.conda import Conda

URL = "https://mirrors.example.org/anaconda/cloud"
_MANY = """
import json, sys
from conda.cli.main import main_subshell
for line in sys.stdin:
    try:
        main_subshell("config", *json.loads(line))
    except BaseException as error:
        print(type(error).__name__, file=sys.stderr)
"""


@dataclass(frozen=True, slots=True)
class Task:
    """One key to set: the words for `conda config`, and our edit of a file."""

    title: str
    words: tuple[str, ...]
    edit: Callable[[bytes], Edit]


def _appended(before: bytes) -> Edit:
    have = yaml.look(before).get(("channels",), ())
    return Edit(("channels",), (*have, "bioconda") if isinstance(have, tuple) else ("bioconda",))


TASKS = (
    Task(
        "`show_channel_urls: true`",
        ("--set", "show_channel_urls", "true"),
        lambda _: Edit(("show_channel_urls",), True),
    ),
    Task(
        "`custom_channels.conda-forge`",
        ("--set", "custom_channels.conda-forge", URL),
        lambda _: Edit(("custom_channels", "conda-forge"), URL),
    ),
    Task("`bioconda` behind `channels`", ("--append", "channels", "bioconda"), _appended),
)


def fate(before: bytes, after: bytes) -> str:
    """Return `intact`, `changed` or `not set`."""
    if after == before:
        return "not set"
    start = _alike(before, after)
    end = len(before) - _alike(before[start:][::-1], after[start:][::-1])
    return "changed" if {*b"\r\n#"} & {*before[start:end]} else "intact"


def _alike(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def by_conda(program: Conda, files: Mapping[str, bytes], task: Task) -> dict[str, bytes]:
    """Return every file as `conda config` leaves it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / str(number) / ".condarc" for number, name in enumerate(files)}
        for name, path in paths.items():
            path.parent.mkdir()
            path.write_bytes(files[name])
        lines = "".join(json.dumps(["--file", str(path), *task.words]) + "\n" for path in paths.values())
        env = {"HOME": folder, "PYTHONPATH": str(program.library)}
        subprocess.run([program.python, "-c", _MANY], input=lines, env=env, text=True, capture_output=True, check=True)
        return {name: path.read_bytes() for name, path in paths.items()}


def by_us(files: Mapping[str, bytes], task: Task) -> dict[str, bytes]:
    """Return every file as we leave it."""
    after = {}
    for name, before in files.items():
        try:
            after[name] = changed(yaml, before, [task.edit(before)])
        except TouchesMore:
            after[name] = before
    return after


def row(who: str, task: Task, files: Mapping[str, bytes], after: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return one line of the table; files that say already what is wanted are left out."""
    asked = {name: data for name, data in files.items() if changed(yaml, data, [task.edit(data)]) != data}
    fates = Counter(fate(data, after[name]) for name, data in asked.items())
    return (task.title, who, str(len(asked)), *(str(fates[kind]) for kind in ("intact", "changed", "not set")))


def table(folder: Path, step: int) -> str:
    """Draw the table.

    Args:
        folder: Where conda is, or is installed to.
        step: 1 for all files, more for every so many.
    """
    program = conda.there(folder) if folder.exists() else conda.install(folder)
    files = dict(list(CONDARCS.items())[::step])
    rows = []
    for task in TASKS:
        rows.append(row("internlm-setup", task, files, by_us(files, task)))
        rows.append(row("conda config", task, files, by_conda(program, files, task)))
    return results.table(("Set in .condarc", "By", "Files", "Intact", "Changed elsewhere", "Not set"), rows)

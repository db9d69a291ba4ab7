"""Every command and option has help in both languages and an example; found by itself."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import internlm_setup.cli
from internlm_setup.cli import commands

# Help texts are built once per process, so each language's tree comes from a process of its own.
TREE = """
import json, sys
from pathlib import Path
from internlm_setup.cli import app, language
language.choose({}, Path("/nowhere"), sys.argv[1], "utf-8")
root = app.build()
def tree(command, path):
    context = command.make_context(path, [], resilient_parsing=True)
    examples = (command.epilog or "").splitlines()
    yield path, {
        "help": command.help, "shown": command.get_help(context), "examples": examples,
        "params": {
            p.name: [p.help, p.param_type_name == "option" and (p.is_flag or p.count), p.metavar]
            for p in command.params
            if p.name not in {"install_completion", "show_completion"}
        },
    }
    for name, child in getattr(command, "commands", {}).items():
        yield from tree(child, f"{path} {name}")
json.dump(dict(tree(root, "internlm-setup")), sys.stdout)
"""
EXAMPLES = """
import sys
from internlm_setup.cli import app
from internlm_setup.cli.options import lift
command = app.build()
rest = lift(sys.argv[2:])[1]
while hasattr(command, "commands") and rest and rest[0] in command.commands:
    command = command.commands[rest.pop(0)]
if "--help" not in rest:
    command.make_context("x", rest)
"""
CHINESE = re.compile("[\u4e00-\u9fff]")


def python(script: str, *words: str) -> str:
    """Run a script with the package on its path; return what it writes."""
    source = str(Path(internlm_setup.cli.__file__).parents[2])
    start = f"import sys; sys.path.insert(0, {source!r})\n{script}"
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", start, *words],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout


@functools.cache
def tree(language: str) -> dict[str, Any]:
    """Return every command by its whole name, as one language has it."""
    found: dict[str, Any] = json.loads(python(TREE, language))
    return found


COMMANDS = sorted(tree("en"))


def test_every_file_is_a_command() -> None:
    """A file in `cli/commands` is a command of that name."""
    folder = Path(next(iter(commands.__path__)))
    places = [*folder.glob("*.py"), *(package.parent for package in folder.glob("*/__init__.py"))]
    files = {f.stem.replace("_", "-") for f in places if not f.stem.startswith("_")}
    assert files == {name.split()[1] for name in COMMANDS if len(name.split()) == 2}


@pytest.mark.parametrize("name", COMMANDS)
class TestCommand:
    """What holds for each command."""

    def test_help_in_both_languages(self, name: str) -> None:
        """The words are there, English without Chinese and Chinese with it."""
        en, zh = tree("en")[name]["help"], tree("zh")[name]["help"]
        assert en
        assert not CHINESE.search(en)
        assert CHINESE.search(zh)

    def test_options_in_both_languages(self, name: str) -> None:
        """Every argument and option has words; one with a value says what stands for it."""
        english, chinese = tree("en")[name]["params"], tree("zh")[name]["params"]
        assert list(english) == list(chinese)
        for parameter, (words, is_flag, metavar) in english.items():
            assert words, parameter
            assert not CHINESE.search(words), parameter
            assert CHINESE.search(chinese[parameter][0]), parameter
            assert is_flag or metavar, parameter

    def test_examples(self, name: str) -> None:
        """The help ends with examples of this very command, the same in both languages."""
        examples = tree("en")[name]["examples"]
        assert examples == tree("zh")[name]["examples"]
        assert examples
        for example in examples:
            assert example.startswith("internlm-setup ")
            assert example in tree("en")[name]["shown"]
            assert name.rpartition(" ")[2] in shlex.split(example)

    def test_help_fits_the_terminal(self, name: str) -> None:
        """No line of help is wider than eighty columns, save examples."""
        from internlm_setup.cli.help import width_of

        for language in ("en", "zh"):
            body = tree(language)[name]["shown"].splitlines()
            examples = tree(language)[name]["examples"]
            lines = [line for line in body if line.strip() not in examples]
            assert max(map(width_of, lines)) <= 80


@pytest.mark.parametrize("example", sorted({e for c in tree("en").values() for e in c["examples"]}))
def test_examples_can_be_parsed(example: str) -> None:
    """Typing an example is no usage error."""
    python(EXAMPLES, *shlex.split(example))

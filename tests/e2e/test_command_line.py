"""The command as a person runs it, with an empty HOME: exit codes, streams, languages, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import internlm_setup.cli

pytestmark = pytest.mark.e2e

SOURCE = Path(internlm_setup.cli.__file__).parents[2]
HEAVY = (
    "huggingface_hub modelscope modelscope_hub openxlab paramiko cryptography "
    "urllib3 requests httpx httpx2 http.client yaml rich"
)

# Commands that only these tests have; a folder on the package's path is all it takes.
WAIT = """
import time
from internlm_setup.cli.help import add_command
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text
from internlm_setup.fetch.transfer.events import Asking
def register(app):
    add_command(app, wait, says=Text(en="wait", zh="等"), examples=["internlm-setup wait"])
def wait(ctx: __import__("typer").Context) -> None:
    with Session.of(ctx).progress() as listener:
        listener(Asking("hub", "hub.test"))
        time.sleep(30)
"""
BROKEN = """
import logging
from dataclasses import dataclass
import typer
from internlm_setup.cli.help import add_command
from internlm_setup.cli.session import Session
from internlm_setup.core.errors import CorruptError, SeveralErrors, UnavailableError
from internlm_setup.core.text import Text
@dataclass(eq=False)
class Bad(CorruptError):
    name: str
    code = "broken.bad"
    text = Text(en="`{name}` is bad", zh="`{name}` 已损坏")
    hint = Text(en="run it again", zh="请重试")
class Away(UnavailableError):
    code = "broken.away"
    text = Text(en="nobody there", zh="无人应答")
def register(app):
    add_command(app, broken, says=Text(en="break", zh="坏"), examples=["internlm-setup broken"])
def broken(ctx: typer.Context, how: str) -> None:
    output = Session.of(ctx).output
    output.talk(Text(en="working", zh="正在处理…"))
    if how == "bug":
        raise ValueError("token hf_abcdefghijklmnop")
    if how == "bad":
        raise Bad("模型·é")
    if how == "several":
        output.result({"kept": 1})
        raise SeveralErrors([Bad("a"), Away()])
    if how == "no":
        raise typer.Exit(1)
    if how == "vendor":
        logger = logging.getLogger("huggingface_hub.file_download")
        logger.warning("Authorization: Bearer secretsecret")
    if how == "much":
        output.result({}, "x" * 200_000)
"""
START = """
import sys
import internlm_setup.cli.commands as commands
commands.__path__.append(sys.argv.pop(1))
from internlm_setup.cli import main
sys.exit(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty HOME beside a folder with this file's commands."""
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "wait.py").write_text(WAIT, encoding="utf-8")
    (commands / "broken.py").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-c", START, str(home.parent / "commands"), *words]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START"}}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(SOURCE), "LANG": "en_US.UTF-8", **more}


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command line; `more` are variables. UTF-8 in and out unless `more` says otherwise."""
    variables = {"PYTHONIOENCODING": "utf-8", **more}
    return subprocess.run(
        command(home, *words),
        env=environment(home, **variables),
        capture_output=True,
        encoding=variables["PYTHONIOENCODING"].partition(":")[0],
        timeout=30,
        check=False,
    )


def test_module_and_bare_command_show_help(home: Path) -> None:
    """`python -m internlm_setup` alone shows the help on stderr and exits 2."""
    done = subprocess.run(
        [sys.executable, "-m", "internlm_setup"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: internlm-setup")


def test_nothing_is_written_by_looking(home: Path) -> None:
    """Help, version and settings leave an empty HOME empty."""
    for words in (["--version"], ["--help"], ["config", "show"], ["config", "nope"]):
        run(home, *words)
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["config", "--help"], ["complete"]])
def test_looking_imports_nothing_heavy(home: Path, words: list[str]) -> None:
    """`--help`, `--version` and completion import no SDK, no paramiko, no HTTP client, no YAML."""
    variables = {}
    if words == ["complete"]:
        variables = {
            "_INTERNLM_SETUP_COMPLETE": "complete_bash",
            "COMP_WORDS": "internlm-setup con",
            "COMP_CWORD": "1",
        }
        words = []
    listing = (
        "import atexit, sys; from internlm_setup.cli import main\n"
        "atexit.register(lambda: print('\\n@', *sys.modules))\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", listing, *words],
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    shown, _, modules = done.stdout.rpartition("@")
    assert done.returncode == 0, done.stderr
    assert shown.strip()
    light = {"rich"} if variables else set()  # Typer's completion draws with it
    assert (set(HEAVY.split()) - light).isdisjoint(modules.split())


def test_a_thread_that_was_given_up_is_not_torn_down(home: Path) -> None:
    """Libraries in C may be at work in it; what an ordinary exit does would crash them (seen: signal 11)."""
    code = (
        "import atexit, sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "atexit.register(print, 'torn down')\n"
        "from internlm_setup.cli import main\n"
        "sys.exit(main())"
    )
    words = [sys.executable, "-c", code, "config", "path"]
    done = subprocess.run(words, env=environment(home), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n"), "torn down" in done.stdout) == (0, 1, False)


def test_version_does_not_import_typer(home: Path) -> None:
    """`--version` answers before anything slow is loaded."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "internlm_setup", "--version"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("internlm-setup ")
    assert "typer" not in done.stderr


@pytest.mark.parametrize("words", [["--lang", "zh", "broken", "bad"], ["broken", "bad", "--lang=zh"]])
def test_common_options_before_and_after_the_verb(home: Path, words: list[str]) -> None:
    """`--lang` means the same in both places."""
    done = run(home, *words)
    assert done.stderr == "正在处理…\n错误：`模型·é` 已损坏\n\n请重试\n"
    assert (done.stdout, done.returncode) == ("", 65)


def test_english_error(home: Path) -> None:
    """An error is its sentence, a blank line, and the next command; its family is the exit code."""
    done = run(home, "broken", "bad", "-q")
    assert (done.returncode, done.stderr) == (65, "error: `模型·é` is bad\n\nrun it again\n")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "错误："),
        ({"LANG": "C"}, "error:"),
        ({"LANG": "C", "INTERNLM_SETUP_LANG": "zh"}, "错误："),
        ({"LANG": "zh_CN.UTF-8", "INTERNLM_SETUP_LANG": "en"}, "error:"),
        ({"LANG": "zh_CN.GBK", "PYTHONIOENCODING": "gbk"}, "错误："),
        ({"LANG": "zh_CN.UTF-8", "PYTHONIOENCODING": "ascii"}, "error:"),
    ],
)
def test_language_from_the_environment(home: Path, variables: dict[str, str], expected: str) -> None:
    """The variable wins over the locale; a console without Chinese gets English."""
    assert run(home, "broken", "bad", "-q", **variables).stderr.startswith(expected)


def test_language_from_the_config_file(home: Path) -> None:
    """The user's file wins over the locale."""
    file = home / ".config" / "internlm-setup" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("lang: zh\n", encoding="utf-8")
    assert run(home, "broken", "bad", "-q").stderr.startswith("错误：")


@pytest.mark.parametrize("encoding", ["gbk", "ascii"])
def test_consoles_that_lack_characters(home: Path, encoding: str) -> None:
    """No character crashes a console; JSON stays JSON there."""
    done = run(home, "broken", "bad", "--lang", "zh", PYTHONIOENCODING=encoding)
    assert done.returncode == 65
    assert "Traceback" not in done.stderr
    envelope = json.loads(run(home, "broken", "bad", "--json", PYTHONIOENCODING=encoding).stdout)
    assert envelope["errors"][0]["name"] == "模型·é"


def test_envelope_of_an_error(home: Path) -> None:
    """`--json` gives the error's code, words, hint and fields."""
    done = run(home, "broken", "bad", "--json")
    assert json.loads(done.stdout) == {
        "schema": 1,
        "command": ["broken", "bad", "--json"],
        "status": "error",
        "exit_code": 65,
        "data": {},
        "errors": [
            {
                "code": "broken.bad",
                "message": "`模型·é` is bad",
                "hint": "run it again",
                "name": "模型·é",
            }
        ],
    }


@pytest.mark.parametrize(
    "words",
    [
        ["--json"],
        ["--json", "nope"],
        ["config", "show", "--nope", "--json"],
        ["--json", "--lang", "fr"],
    ],
)
def test_envelope_when_the_command_line_is_wrong(home: Path, words: list[str]) -> None:
    """A failure before the command answers in JSON too."""
    done = run(home, *words)
    envelope = json.loads(done.stdout)
    assert (done.returncode, envelope["exit_code"], envelope["status"]) == (2, 2, "error")
    assert envelope["errors"][0]["code"] == "cli.usage"
    assert not set(envelope["errors"][0]["message"]) & set("╭│╰─")


def test_envelope_of_a_success(home: Path) -> None:
    """`--json` puts the data into the envelope."""
    envelope = json.loads(run(home, "--json", "config", "path").stdout)
    assert (envelope["status"], envelope["exit_code"], envelope["errors"]) == ("ok", 0, [])
    assert envelope["data"]["path"] == str(home / ".config" / "internlm-setup" / "config.yaml")


def test_several_errors(home: Path) -> None:
    """Each of several failures is reported; what was achieved is there too."""
    done = run(home, "broken", "several", "--json")
    envelope = json.loads(done.stdout)
    assert [e["code"] for e in envelope["errors"]] == ["broken.bad", "broken.away"]
    assert (envelope["status"], envelope["data"], done.returncode) == ("partial", {"kept": 1}, 65)
    assert done.stderr.count("error: ") == 2


def test_the_answer_is_no(home: Path) -> None:
    """Exit 1 is an answer, not an error."""
    done = run(home, "broken", "no", "-q")
    assert (done.returncode, done.stderr) == (1, "")


def test_bug(home: Path) -> None:
    """A bug is exit 70, an apology and the log's path; the traceback is there, without tokens."""
    done = run(home, "broken", "bug")
    log = home / ".local" / "state" / "internlm-setup" / "log" / "internlm-setup.log"
    assert done.returncode == 70
    assert str(log) in done.stderr
    assert "Traceback" not in done.stderr
    written = log.read_text(encoding="utf-8")
    assert "Traceback" in written
    assert "abcdefghijklmnop" not in written + done.stderr
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_bug_without_a_log(home: Path) -> None:
    """Where no log can be written the traceback goes to stderr."""
    (home / ".local").write_text("in the way", encoding="utf-8")
    done = run(home, "broken", "bug")
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "abcdefghijklmnop" not in done.stderr


def test_vendors_lines_go_to_the_log(home: Path) -> None:
    """What an SDK logs is in the file, masked, and not on the terminal."""
    done = run(home, "broken", "vendor", "-q")
    log = home / ".local" / "state" / "internlm-setup" / "log" / "internlm-setup.log"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "Authorization: ***" in log.read_text(encoding="utf-8")


def test_reader_that_leaves(home: Path) -> None:
    """`… | head` ends us quietly with 141."""
    pipe = subprocess.Popen(
        command(home, "broken", "much", "-q"),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert pipe.stdout is not None
    pipe.stdout.close()
    _, said = pipe.communicate(timeout=30)
    assert (pipe.returncode, said) == (141, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGINT, "Ctrl-C", 130),
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGHUP, "SIGHUP", 129),
    ],
)
def test_signals(home: Path, number: signal.Signals, name: str, code: int) -> None:
    """Each signal ends the run with its own code and names the command that goes on."""
    process = subprocess.Popen(
        command(home, "wait", "--json"),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "asking hub" not in process.stderr.readline():
        time.sleep(0.01)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == code
    assert f"stopped by {name}" in stderr
    assert "`internlm-setup wait --json`" in stderr
    assert json.loads(stdout)["exit_code"] == code


def test_stream(home: Path) -> None:
    """`--json=stream` gives a line per event and the envelope last."""
    process = subprocess.Popen(
        command(home, "--json=stream", "wait"),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {
        "event": "asking",
        "hub": "hub",
        "host": "hub.test",
    }
    process.terminate()
    last = process.communicate(timeout=20)[0].splitlines()[-1]
    assert json.loads(last)["exit_code"] in {1, 143}

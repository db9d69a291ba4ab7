"""Data on stdout, talk on stderr, one envelope."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.cli.output import Output, make_unbreakable
from internlm_setup.core.text import Language, Text

WORDS = Text(en="done", zh="完成")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def made(form: str = "human", *, quiet: bool = False, language: Language = "en", **env: str) -> Output:
    return Output(
        language=language,
        form=form,  # type: ignore[arg-type]
        quiet=quiet,
        env=env,
        stdout=io.StringIO(),
        stderr=Terminal() if env else io.StringIO(),
    )


def said(output: Output) -> tuple[str, str]:
    assert isinstance(output.stdout, io.StringIO)
    assert isinstance(output.stderr, io.StringIO)
    return output.stdout.getvalue(), output.stderr.getvalue()


@dataclass
class Found:
    path: Path
    note: Text


def test_human() -> None:
    """A person gets the line alone on stdout and the talk on stderr."""
    output = made(language="zh")
    output.talk(WORDS)
    output.warn(WORDS)
    output.detail("unheard")
    output.result({"path": "/x"}, Path("/x"))
    assert said(output) == ("/x\n", "完成\n注意：完成\n")


def test_quiet_keeps_data_and_errors() -> None:
    """`-q` takes the talk away, not the data and not the errors."""
    output = made(quiet=True)
    output.talk(WORDS)
    output.warn(WORDS)
    output.complain("error: x")
    output.result({}, "data")
    assert said(output) == ("data\n", "error: x\n")


def test_json() -> None:
    """Dataclasses, paths and texts become JSON; stdout has nothing else."""
    output = made("json", language="zh")
    output.result(Found(Path("/x"), WORDS), "line")
    output.table([WORDS], [["cell"]])
    output.event({"event": "unheard"})
    output.envelope(["fetch"], 0, [])
    stdout, _ = said(output)
    assert json.loads(stdout)["data"] == {"path": "/x", "note": "完成"}


def test_json_that_a_terminal_would_obey() -> None:
    """Controls beyond ASCII are escaped as well; a reader gets them back."""
    written = io.BytesIO()
    output = Output(language="en", form="json", env={}, stdout=io.TextIOWrapper(written, "utf-8"))
    output.result({"said": "\x1b[1A\x9b1A\x7f张"})
    output.envelope(["tunnel"], 0, [])
    stdout = written.getvalue().decode()
    assert "张" in stdout
    assert not any(c in stdout for c in "\x1b\x9b\x7f")
    assert json.loads(stdout)["data"]["said"] == "\x1b[1A\x9b1A\x7f张"


def test_stream_is_lines() -> None:
    """Every line of a stream is one JSON value, the last the envelope."""
    output = made("stream")
    output.event({"event": "asking", "hub": "h"})
    output.envelope(["fetch"], 0, [])
    lines = [json.loads(line) for line in said(output)[0].splitlines()]
    assert [lines[0]["event"], lines[-1]["schema"]] == ["asking", 1]


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    """NO_COLOR, a dumb terminal and a pipe stay plain."""
    assert made(TERM="xterm").paint("error", "x") == "\x1b[1;31mx\x1b[0m"
    assert made(TERM="xterm", NO_COLOR="1").paint("error", "x") == "x"
    assert made(TERM="dumb").paint("error", "x") == "x"
    assert made().paint("error", "x") == "x"


def test_table_in_a_pipe_is_plain_and_whole() -> None:
    """A table in a pipe has no colour, no cut cells and no trailing spaces."""
    output = made(language="zh")
    output.table([WORDS, Text(en="N", zh="数")], [["模" * 60, 1], ["[b]", None]])
    assert said(output)[0].splitlines() == ["完成" + " " * 118 + "数", "模" * 60 + "  1", "[b]"]


def test_talk_that_nobody_hears() -> None:
    """A stderr that is gone is not our failure."""

    class Gone(io.StringIO):
        def write(self, _: str, /) -> int:
            raise OSError(5, "Input/output error")

    Output(language="en", stdout=io.StringIO(), stderr=Gone()).talk("words")


def test_unbreakable_stream() -> None:
    """Typography becomes plain, the rest its escape."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    make_unbreakable(stream)
    stream.write("a…·中\udc80")
    stream.flush()
    assert raw.getvalue() == b"a...-\\u4e2d\\udc80"

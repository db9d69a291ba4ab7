"""The main line, literally, in both languages: docs/reference/used-by.md holds what it must say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from internlm_setup.playground import open_playground
from internlm_setup.playground.hub import HubServer
from servers import namespace
from servers.machine import Done, Machine, files_in

pytestmark = pytest.mark.e2e
LINE = ("fetch", "internlm-chat-7b", "--source", "modelscope")
DOCS = Path(__file__).parents[2] / "docs" / "reference"
PAGES = {"en": DOCS / "used-by.md", "zh": DOCS / "used-by.zh-CN.md"}
LOCALES = {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}
CASE = re.compile(
    r"<!-- case: (?P<name>\S+) -->\n\n"
    r"(?:```text stdout\n(?P<out>.*?)```\n\n)?```text stderr\n(?P<err>.*?)```\n\n"
    r"(?:Exit code: |退出码：)(?P<code>\d+)\n",
    re.DOTALL,
)
PROGRESS = re.compile(r"^[\d.]+ [KMG]?i?B (?:of|/) .*\n", re.MULTILINE)
ASKING = re.compile(r"^(?:asking|正在询问) .*\n", re.MULTILINE)  # missing when the answer is faster than the writer
BOTH = pytest.mark.parametrize("language", ["en", "zh"])


@dataclass(frozen=True)
class Said:
    """What a page promises, or what a run did."""

    out: str
    err: str
    code: int


def promised(language: str, name: str) -> Said:
    """What the reference page of a language shows for a case."""
    cases = {c["name"]: c for c in CASE.finditer(PAGES[language].read_text(encoding="utf-8"))}
    case = cases[name]
    return Said(case["out"] or "", ASKING.sub("", case["err"]), int(case["code"]))


def said(done: Done, machine: Machine) -> Said:
    """What a run said, its folder called `/home/you` and the lines of progress left out."""
    out, err = (text.replace(str(machine.cwd), "/home/you") for text in (done.out, done.err))
    return Said(out, ASKING.sub("", PROGRESS.sub("", err)), done.code)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty HOME, and no variable that leads anywhere."""
    return Machine(tmp_path)


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    """The hub with the stand-in as the playground has it."""
    with open_playground() as server:
        yield server


def in_namespace(machine: Machine, prefix: list[str], language: str) -> Done:
    """Run the line where the network leads nowhere, or skip where there can be no such place."""
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    return machine.run(*LINE, prefix=prefix, LANG=LOCALES[language])


@BOTH
def test_without_dns(machine: Machine, language: str) -> None:
    done = in_namespace(machine, namespace.without_network(machine.root / "net"), language)
    assert said(done, machine) == promised(language, "no-dns")
    assert done.wall_s < 4  # 1.5 s on a machine that does nothing else
    assert list(machine.cwd.iterdir()) == []


@pytest.mark.full
@BOTH
def test_dns_packets_dropped(machine: Machine, language: str) -> None:
    done = in_namespace(machine, namespace.with_packets_dropped(machine.root / "net"), language)
    assert said(done, machine) == promised(language, "dns-dropped")
    assert done.wall_s < 12


@pytest.mark.full
@BOTH
def test_packets_dropped(machine: Machine, language: str) -> None:
    known = {"modelscope.cn": "192.0.2.80"}
    done = in_namespace(machine, namespace.with_packets_dropped(machine.root / "net", known), language)
    assert said(done, machine) == promised(language, "packets-dropped")
    assert done.wall_s < 12


@BOTH
def test_without_a_terminal_and_a_second_run(machine: Machine, hub: HubServer, language: str) -> None:
    machine.variables = hub.environment()
    first = machine.run(*LINE, LANG=LOCALES[language])
    assert said(first, machine) == promised(language, "first")
    sent_bytes = hub.log.sent_bytes
    second = machine.run(*LINE, LANG=LOCALES[language])
    assert said(second, machine) == promised(language, "second")
    assert hub.log.sent_bytes - sent_bytes < 10_000  # the listing alone


@BOTH
def test_inside_the_playground(machine: Machine, language: str) -> None:
    lacks = namespace.missing()
    prefix = [] if lacks else namespace.without_network(machine.root / "net")
    done = machine.run("playground", "--", "internlm-setup", *LINE, prefix=prefix, LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "playground")
    assert len(files_in(machine.cwd / "internlm-chat-7b")) == 20
    assert list(machine.home.iterdir()) == []  # the fetch had a throw-away one


@pytest.mark.parametrize("name", ["no-dns", "dns-dropped", "packets-dropped"])
@BOTH
def test_a_failure_names_host_cause_and_next_command(language: str, name: str) -> None:
    err = promised(language, name).err
    assert "modelscope.cn" in err
    assert "`internlm-setup fetch internlm-chat-7b --source huggingface`" in err
    assert "Traceback" not in err


@pytest.mark.full
def test_no_silence_over_a_second_on_a_terminal(machine: Machine) -> None:
    """Packets are dropped for seconds, and something moves on the screen all the while."""
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    known = {"modelscope.cn": "192.0.2.80"}
    prefix = namespace.with_packets_dropped(machine.root / "net", known)
    times_s, shown, code = machine.run_on_terminal(*LINE, prefix=prefix, TERM="xterm-256color")
    gaps_s = [b - a for a, b in pairwise(times_s)]
    assert code == 69
    assert "no answer in time (time-out)" in shown
    assert max(gaps_s) < 2  # 1 s on a machine that does nothing else

"""`mirrors`, literally, in both languages: docs/reference/used-by-mirrors.md holds what it must say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from internlm_setup.mirrors.world import SITES_VARIABLE
from internlm_setup.playground.mirror import Mirrors
from servers import namespace, pips
from servers.machine import Done, Machine
from servers.shelf import shelf

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="the page shows this system's paths")]
DOCS = Path(__file__).parents[2] / "docs" / "reference"
PAGES = {"en": DOCS / "used-by-mirrors.md", "zh": DOCS / "used-by-mirrors.zh-CN.md"}
LOCALES = {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}
ASKED = {
    "en": (" (by its rules; it is not installed)", " (says `pip`)"),
    "zh": ("（按其规则推算；尚未安装）", "（由 `pip` 确认）"),
}
CASE = re.compile(
    r"<!-- case: (?P<name>\S+) -->\n\n"
    r"(?:```text stdout\n(?P<out>.*?)```\n\n)?```text stderr\n(?P<err>.*?)```\n\n"
    r"(?:Exit code: |退出码：)(?P<code>\d+)\n",
    re.DOTALL,
)
BOTH = pytest.mark.parametrize("language", ["en", "zh"])
NOT_ROOT = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
NAMES = ("mirrors.cernet.edu.cn", "mirrors.tuna.tsinghua.edu.cn")


@dataclass(frozen=True)
class Said:
    """What a page promises, or what a run did."""

    out: str
    err: str
    code: int


@dataclass
class Bare(Machine):
    """An empty HOME, and a PATH with hardly anything on it."""

    path: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.path = [str(shelf(self.root / "bin"))]
        (self.root / "net").mkdir()

    def mirrors(self, language: str, prefix: list[str], *words: str, **variables: str) -> Done:
        """Run the command here, where the network leads nowhere."""
        lacks = namespace.missing()
        if lacks:
            pytest.skip(lacks)
        self.variables = {"PATH": os.pathsep.join(self.path), **variables}
        return self.run("mirrors", *words, prefix=prefix, LANG=LOCALES[language])

    @property
    def dark(self) -> list[str]:
        """A network that is not there."""
        return namespace.without_network(self.root / "net")


@pytest.fixture
def machine(tmp_path: Path) -> Bare:
    return Bare(tmp_path)


def promised(language: str, name: str) -> Said:
    """What the reference page of a language shows for a case."""
    cases = {c["name"]: c for c in CASE.finditer(PAGES[language].read_text(encoding="utf-8"))}
    case = cases[name]
    return Said(case["out"] or "", case["err"], int(case["code"]))


def said(done: Done, machine: Bare) -> Said:
    """What a run said, its folders called `/home/you` and ports left out."""
    out, err = (re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", _at_home(text, machine)) for text in (done.out, done.err))
    return Said(out, err, done.code)


def _at_home(text: str, machine: Bare) -> str:
    return re.sub(r"/\S*/internlm-home-[^/]+", "/home/you", text.replace(str(machine.home), "/home/you"))


@BOTH
def test_without_dns_and_again(machine: Bare, language: str) -> None:
    """Files are written that hold what was shown; the second run has nothing to do."""
    first = machine.mirrors(language, machine.dark)
    assert said(first, machine) == promised(language, "no-dns")
    assert first.wall_s < 4  # 0.6 s on a machine that does nothing else
    for path in (".config/pip/pip.conf", ".condarc"):
        written = (machine.home / path).read_text(encoding="ascii").splitlines()
        shown = [line[1:] for line in first.out.splitlines() if line.startswith("+") and not line.startswith("+++")]
        assert [line for line in shown if line in written] == written
    again = machine.mirrors(language, machine.dark)
    assert said(again, machine) == promised(language, "second")


@BOTH
def test_root_or_not_is_the_same(machine: Bare, language: str) -> None:
    found = machine.mirrors(language, [*machine.dark, *NOT_ROOT])
    assert said(found, machine) == promised(language, "no-dns")


def test_a_terminal_makes_no_difference(machine: Bare) -> None:
    """The same words, nothing asked and nothing coloured."""
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    path = os.pathsep.join(machine.path)
    _, shown, code = machine.run_on_terminal("mirrors", prefix=machine.dark, LANG=LOCALES["en"], PATH=path)
    page = promised("en", "no-dns")
    lines = _at_home(shown, machine).splitlines()  # each file's diff stands behind what was done to it
    assert (sorted(lines), code) == (sorted((page.out + page.err).splitlines()), page.code)


@pytest.mark.full
@BOTH
def test_packets_dropped(machine: Bare, language: str) -> None:
    """Names are known, and nobody ever answers."""
    known = {name: f"192.0.2.{80 + number}" for number, name in enumerate(NAMES)}
    done = machine.mirrors(language, namespace.with_packets_dropped(machine.root / "net", known))
    assert said(done, machine) == promised(language, "packets-dropped")
    assert done.wall_s < 6  # 2 s on a machine that does nothing else


@pytest.mark.full
@BOTH
def test_a_venv_is_active(machine: Bare, language: str) -> None:
    """Its pip reads the user's file, and says so itself."""
    place = machine.home / "venv"
    pips.make(place)
    machine.path.insert(0, str(place / "bin"))
    done = machine.mirrors(language, machine.dark, VIRTUAL_ENV=str(place))
    assert said(done, machine) == promised(language, "venv")
    found = subprocess.check_output(
        [place / "bin" / "pip", "config", "get", "global.index-url"], env=machine.env, text=True
    )
    assert found.strip() == "https://mirrors.cernet.edu.cn/pypi/web/simple"


@pytest.mark.full
@BOTH
def test_a_venvs_own_file_wins(machine: Bare, language: str) -> None:
    """And that is said; with `--scope venv` that file is written."""
    place = machine.home / "venv"
    pips.make(place)
    (place / "pip.conf").write_text("[global]\nindex-url = https://elsewhere.example/simple\n")
    machine.path.insert(0, str(place / "bin"))
    done = machine.mirrors(language, machine.dark, VIRTUAL_ENV=str(place))
    assert said(done, machine) == promised(language, "venv-file")
    machine.mirrors(language, machine.dark, "--tool", "pip", "--scope", "venv", VIRTUAL_ENV=str(place))
    assert "cernet" in (place / "pip.conf").read_text()


@BOTH
def test_out_of_reach_while_the_present_index_answers(machine: Bare, language: str) -> None:
    """The index that a file of the whole system names stands for any that worked until now."""
    with Mirrors("present") as mirrors:
        present = mirrors["present"].url
        (machine.root / "xdg" / "pip").mkdir(parents=True)
        (machine.root / "xdg" / "pip" / "pip.conf").write_text(f"[global]\nindex-url = {present}/simple\n")
        (machine.root / "sites").mkdir()
        for name in ("cernet", "tuna"):  # nobody listens there
            families = 'families: {pypi: {url: "http://127.0.0.1:9/simple"}, conda: {url: "http://127.0.0.1:9"}}\n'
            (machine.root / "sites" / f"{name}.yaml").write_text(families)
        own = {"XDG_CONFIG_DIRS": str(machine.root / "xdg"), SITES_VARIABLE: str(machine.root / "sites")}
        machine.variables = {"PATH": os.pathsep.join(machine.path), **own}
        done = machine.run("mirrors", LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "stranded")


@BOTH
def test_inside_the_playground(machine: Bare, language: str) -> None:
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    machine.path.insert(0, str(Path(sys.executable).parent))
    words = ("playground", "--", "internlm-setup", "mirrors")
    path = os.pathsep.join(machine.path)
    done = machine.run(*words, prefix=machine.dark, LANG=LOCALES[language], PATH=path)
    expected = promised(language, "playground")
    if Path(sys.executable).with_name("pip").exists():  # it is asked, then
        worked_out, asked = ASKED[language]
        expected = replace(expected, err=expected.err.replace(f"simple{worked_out}", f"simple{asked}"))
    assert said(done, machine) == expected
    assert list(machine.home.iterdir()) == []


def test_the_pages_hold_the_same_cases() -> None:
    """Same cases, same stdout, same exit codes in both languages."""
    found = [CASE.findall(page.read_text(encoding="utf-8")) for page in PAGES.values()]
    assert [(name, out, code) for name, out, _, code in found[0]] == [(n, o, c) for n, o, _, c in found[1]]

"""The documentation says what the code does: generated pages are fresh, examples parse, compile and run."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

import pytest
import yaml

from internlm_setup import fetch
from internlm_setup.cli.progress import as_event
from internlm_setup.core.text import Text
from internlm_setup.fetch.catalog import load_catalog
from internlm_setup.fetch.model import FetchedFile, FetchResult
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.playground import open_playground
from internlm_setup.playground.mirror import Mirrors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PAIRS = [page for page in PAGES if page.name.endswith(".zh-CN.md") and "reference" not in page.parts]
ADD_A_HUB = DOCS / "how-to" / "add-a-hub.md"
ADD_A_SITE = DOCS / "how-to" / "add-a-mirror-site.md"
ADD_A_TOOL = DOCS / "how-to" / "add-a-mirrored-tool.md"
FROM_PYTHON = DOCS / "how-to" / "from-python.md"
WITH_TARGETS = """
import sys
from internlm_setup.mirrors import targets
targets.__path__.append(sys.argv.pop(1))
from internlm_setup.cli import main
sys.exit(main(sys.argv[1:]))
"""
PARSE = """
import shlex, sys
from internlm_setup.cli import app
from internlm_setup.cli.options import lift
root = app.build()
for line in sys.stdin.read().splitlines():
    rest, command = lift(shlex.split(line)[1:])[1], root
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    if not {"--help", "--version", "--install-completion"} & set(rest) and (rest or command is not root):
        try:
            command.make_context("x", rest)
        except Exception as error:
            print(line, "->", error)
"""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_pair = pytest.mark.parametrize("chinese", PAIRS, ids=lambda page: str(page.relative_to(ROOT)))
text_of = cache(partial(Path.read_text, encoding="utf-8"))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page: language and content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def only(page: Path, language: str) -> str:
    (found,) = [content for name, content in blocks(page) if name == language]
    return found


def command_names() -> list[str]:
    """Return every command's whole name, the program's first."""
    found = runpy.run_path(str(DOCS / "generate.py"))["commands"]()
    return [" ".join(("internlm-setup", *words)) for words in found]


def run(*words: str, stdin: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **(env or {}), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, *words], input=stdin, env=whole, capture_output=True, encoding="utf-8", check=False
    )


# The generated reference


def test_the_generated_pages_are_fresh() -> None:
    """`docs/generate.py --check` finds nothing to write."""
    done = run(str(DOCS / "generate.py"), "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_is_documented() -> None:
    """Each has a row and a section in both languages, and the READMEs name every first word."""
    for name in command_names():
        for page in ("commands.md", "commands.zh-CN.md"):
            text = text_of(DOCS / "reference" / page)
            assert f"| [`{name}`](#{name.replace(' ', '-')}) |" in text
            assert f"\n## {name}\n" in text
        for readme in ("README.md", "README.zh-CN.md"):
            assert " " not in name or f"`{name.split()[1]}`" in text_of(ROOT / readme)


# The pages that are written by hand


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and a heading that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in headings(file), target


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@each_page
def test_every_page_is_reachable(page: Path) -> None:
    """Some other page links to it, so nobody has to guess that it exists."""
    linked = {
        (other.parent / target.partition("#")[0]).resolve()
        for other in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(other))
        if other != page
    }
    assert page.name == "README.md" or page.resolve() in linked


@each_pair
def test_the_languages_have_one_structure(chinese: Path) -> None:
    """Same headings, tables, links and commands; only the words differ."""
    english = chinese.with_name(chinese.name.replace(".zh-CN", ""))
    for shape in (heading_levels, table_shapes, commands_in, block_shapes, link_count):
        assert shape(chinese) == shape(english), shape.__name__


def heading_levels(page: Path) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(page), re.MULTILINE)]


def table_shapes(page: Path) -> list[int]:
    return [line.count("|") for line in prose(page).splitlines() if line.startswith("|")]


def block_shapes(page: Path) -> list[tuple[str, int]]:
    return [(language, content.count("\n")) for language, content in blocks(page)]


def link_count(page: Path) -> int:
    return len(re.findall(r"\]\([^)\s]+\)", prose(page)))


def commands_in(page: Path) -> list[str]:
    """Return the lines that a person would type, in blocks and in tables."""
    typed = [
        line.removeprefix("$ ")
        for language, content in blocks(page)
        for line in content.splitlines()
        if language == "sh" or line.startswith("$ ")
    ]
    return typed + re.findall(r"`(internlm-setup [^`]+)`", prose(page))


def test_the_documented_commands_can_be_typed() -> None:
    """Every `internlm-setup …` of any page is understood by the command line."""
    lines = {line for page in PAGES for line in commands_in(page)} - set(command_names())
    ours = sorted({m[1] for line in lines if (m := re.match(r"(?:\w+=\S+ )*(internlm-setup( .*)?)$", line))})
    assert len(ours) > 20
    done = run("-c", PARSE, stdin="\n".join(line for line in ours if "…" not in line))
    assert done.stderr == ""
    assert done.stdout == ""


def test_the_readme_is_one_screen() -> None:
    """About sixty lines in either language."""
    assert max(text_of(ROOT / name).count("\n") for name in ("README.md", "README.zh-CN.md")) <= 64


@pytest.mark.parametrize("suffix", [".md", ".zh-CN.md"])
@pytest.mark.parametrize(
    ("command", "page"),
    [("mirrors", "used-by-mirrors"), ("ssh-key", "used-by-tunnel"), ("tunnel --port 33090", "used-by-tunnel")],
)
def test_the_readme_shows_what_is_said(suffix: str, command: str, page: str) -> None:
    """Every line below a command is in the page that is compared with the real output."""
    shown = "".join(text for _, text in blocks(ROOT / f"README{suffix}"))
    lines = shown.split(f"$ internlm-setup {command}\n")[1].split("$ ")[0].splitlines()
    said = text_of(DOCS / "reference" / f"{page}{suffix}").splitlines()
    assert lines
    assert set(lines) - {"[…]"} <= set(said)


def test_decisions_are_numbered_without_gaps() -> None:
    """Each has its number in the name and the title, the same sections, and a link from the first."""
    pages = sorted((DOCS / "adr").glob("*.md"))
    for number, page in enumerate(pages, 1):
        assert page.name.startswith(f"{number:04d}-")
        assert text_of(page).startswith(f"# {number}. ")
        found = re.findall(r"^## (.+)$", text_of(page), re.MULTILINE)
        assert found[:4] == ["Context", "Decision", "Consequences", "Alternatives"]
        assert number == 1 or f"({page.name})" in text_of(pages[0])


def test_events_and_results_are_described() -> None:
    """The JSON page has a row for every event with its fields, and every field of a result."""
    page = text_of(DOCS / "reference" / "json.md")
    sample = {"str": "", "int": 0, "bool": False, "float": 0.0, "Text": Text(en="", zh="")}
    for kind in get_args(events.Event):
        event = kind(**{f.name: sample.get(str(f.type).split(" |")[0]) for f in fields(kind)})
        name, *names = as_event(event)["event"], *(f.name for f in fields(kind))
        assert f"| `{name}` | {', '.join(f'`{each}`' for each in names)} |" in page
    for field in (*fields(FetchResult), *fields(FetchedFile)):
        assert f"`{field.name}`" in page
    manifest = text_of(DOCS / "reference" / "files.md")
    for field in fields(Entry):
        assert f"`{field.name}`" in manifest


# The code in them


@each_page
def test_blocks_are_what_they_say(page: Path) -> None:
    """Python compiles, YAML and JSON parse."""
    for language, content in blocks(page):
        if language == "python":
            compile(content, str(page), "exec")
        elif language == "yaml":
            assert yaml.safe_load(content)
        elif language == "json":
            lines = content.splitlines() if content.count('{"event"') > 1 else [content]
            assert all(map(json.loads, lines))


@pytest.mark.timeout(180)
def test_python_examples_are_typed_as_users_write_them(tmp_path: Path) -> None:
    """mypy, strict, has nothing to say about the door's examples, the worked hub and the worked tool."""
    for page in (FROM_PYTHON, ADD_A_HUB, ADD_A_TOOL):
        for number, content in enumerate(c for language, c in blocks(page) if language == "python"):
            (tmp_path / f"{page.stem.replace('-', '_')}_{number}.py").write_text(content, encoding="utf-8")
    files = [str(path) for path in sorted(tmp_path.glob("*.py"))]
    assert len(files) == 4
    where = ["--config-file", os.devnull, "--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent"]
    done = run("-m", "mypy", "--strict", *where, *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_models_is_the_shipped_one(tmp_path: Path) -> None:
    """The page and `configs/examples` show the same file, and the catalogue reads it."""
    (tmp_path / "mine.yaml").write_text(only(DOCS / "how-to" / "add-models.md", "yaml"), encoding="utf-8")
    shown, shipped = load_catalog([tmp_path]), load_catalog([ROOT / "configs" / "examples" / "models"])
    assert shown == shipped


@pytest.fixture
def classroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Fetch a stand-in as the teacher does, and serve its folder with Python's own web server."""
    taught = tmp_path / "teacher"
    with open_playground(weights_bytes=2 << 20) as hub:
        for name, value in hub.environment().items():
            monkeypatch.setenv(name, value)
        fetch("internlm-chat-7b", source="modelscope", to=taught / "internlm" / "internlm-chat-7b")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(taught))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.loopback
def test_the_worked_hub_works(tmp_path: Path, classroom: str) -> None:
    """The code of "add a hub", in a distribution of its own, fetches and verifies a model."""
    entry = re.search(r'entry-points\."(internlm_setup\.hubs)"\]\n(classroom) = "(.+)"', only(ADD_A_HUB, "toml"))
    assert entry is not None
    package, info = tmp_path / "site" / "classroom_hub", tmp_path / "site" / "classroom_hub-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text(only(ADD_A_HUB, "python"), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: classroom-hub\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n")
    env = {"PYTHONPATH": str(tmp_path / "site"), "CLASSROOM_ENDPOINT": classroom}
    line = ["-m", "internlm_setup", "fetch", "internlm/internlm-chat-7b", "--source", "classroom"]
    done = run(*line, "--to", str(tmp_path / "pupil"), "--json", env=env)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    assert (data["hub"], data["unverified"]) == ("classroom", [])
    assert {file["proof_from"] for file in data["files"]} == {"classroom"}
    original = tmp_path / "teacher" / "internlm" / "internlm-chat-7b"
    for file in data["files"]:
        assert (tmp_path / "pupil" / file["path"]).read_bytes() == (original / file["path"]).read_bytes()
    missing = run(*line[:-3], "no/such", *line[-2:], env=env)
    assert missing.returncode == 66
    assert "Classroom has no model repository `no/such`" in missing.stderr


@pytest.mark.loopback
def test_the_worked_site_works(own_home: Path) -> None:
    """The file of "add a mirror site", moved to loopback, is listed, measured, and led to."""
    with Mirrors("campus") as mirrors:
        text = only(ADD_A_SITE, "yaml").replace("https://mirrors.campus.example", mirrors["campus"].url)
        folder = own_home / ".config" / "internlm-setup" / "mirrors"
        folder.mkdir(parents=True)
        (folder / "campus.yaml").write_text(text, encoding="utf-8")
        line = ["-m", "internlm_setup", "mirrors"]
        assert "campus" in run(*line, "list", "--family", "conda").stdout
        tested = run(*line, "test", "--site", "campus", "--json")
        assert tested.returncode == 0, tested.stderr
        done = run(*line, "--site", "campus", "--tool", "pip,conda")
        assert done.returncode == 0, done.stderr
        url = mirrors["campus"].url
    assert f"index-url = {url}/pypi/web/simple" in (own_home / ".config" / "pip" / "pip.conf").read_text()
    assert f"conda-forge: {url}/anaconda/cloud\n" in (own_home / ".condarc").read_text()
    refused = run(*line, "--site", "campus", "--tool", "npm")
    assert refused.returncode == 66
    assert "it only redirects" in refused.stderr


def test_the_worked_tool_works(own_home: Path, tmp_path: Path) -> None:
    """The file of "add a tool" is found: it is written, seen, examined, reset and undone like any other."""
    (tmp_path / "bun.py").write_text(only(ADD_A_TOOL, "python"), encoding="utf-8")
    bunfig = own_home / ".bunfig.toml"
    before = "# mine\n[install]\n"
    bunfig.write_text(before)

    def mirrors(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run("-c", WITH_TARGETS, str(tmp_path), "mirrors", *words, env=variables)

    done = mirrors("--tool", "bun", "--site", "npmmirror")
    assert done.returncode == 0, done.stderr
    written = bunfig.read_text()
    assert written == f'{before}registry = "https://registry.npmmirror.com"\n'
    status = json.loads(mirrors("status", "--tool", "bun", "--offline", "--json").stdout)["data"]["tools"][0]
    assert (status["site"], status["decided_by"]["where"]) == ("npmmirror", str(bunfig))
    shadowed = mirrors("doctor", "--offline", BUN_CONFIG_REGISTRY="https://own.example")
    assert shadowed.returncode == 1, shadowed.stdout
    assert "`unset BUN_CONFIG_REGISTRY`" in shadowed.stdout
    assert mirrors("reset", "--tool", "bun").returncode == 0
    assert bunfig.read_text() == before
    assert mirrors("undo").returncode == 0
    assert bunfig.read_text() == written
    assert mirrors("undo").returncode == 0
    assert bunfig.read_text() == before

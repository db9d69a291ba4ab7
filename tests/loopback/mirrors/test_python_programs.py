"""The real pip, uv, pdm and npm read what we wrote as we say they do, and install through it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from cases.mirrors import npm, pdm, pip, uv
from cases.mirrors.marked import SITE, Case
from internlm_setup.core.text import without_password
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.edit import changed, ini, npmrc
from internlm_setup.mirrors.model import Effective, Machine, Scope, Serving, Wish
from servers.index import MODULE, PACKAGE, Index, serving
from servers.pips import make

if os.name == "nt":
    pytest.skip("Windows' path rules are tested as functions", allow_module_level=True)

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(300)]
Programs = Mapping[str, Path]
DEFAULT_A = "[[index]]\nurl = 'http://a/'\ndefault = true\n"


@pytest.fixture(scope="session")
def pips(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Make an environment that has a pip of its own; the system's Python brings it."""
    folder = tmp_path_factory.mktemp("python")
    make(folder)
    return {name: folder / "bin" / name for name in ("python", "pip")}


@pytest.fixture(scope="session")
def all_programs(pips: Programs) -> Programs:
    """Install uv and pdm beside pip; find npm."""
    done = subprocess.run([pips["pip"], "install", "-q", "uv", "pdm"], capture_output=True, text=True, check=False)
    node = shutil.which("npm")
    if done.returncode or not node:
        pytest.skip(done.stderr[-500:] or "npm is not installed")
    return {**pips, **{name: pips["pip"].with_name(name) for name in ("uv", "pdm")}, "npm": Path(node)}


@pytest.fixture
def index() -> Iterator[Index]:
    """Serve one package."""
    with serving() as served:
        yield served


def wish(index: Index) -> Wish:
    """Want that index for everything."""
    urls = {"pypi": index.url, "npm": index.npm}
    return Wish(replace(SITE, families={name: Serving(url, "full", url) for name, url in urls.items()}))


def machine(home: Path, programs: Programs, **env: str) -> Machine:
    """Return a machine with an empty home, whose programs find no other settings than root's."""
    plain = {"HOME": str(home), "PATH": f"{programs['pip'].parent}:{os.defpath}", "LANG": "C.UTF-8"}
    quiet = {"UV_CACHE_DIR": str(home / "uv-cache"), "XDG_CONFIG_DIRS": str(home / "xdg"), "PDM_CHECK_UPDATE": "0"}
    quiet |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "npm_config_update_notifier": "false"}
    return Machine(sys.platform, {**plain, **quiet, **env}, home, False, programs)


def read(path: PurePath) -> bytes | None:
    """Read a real file."""
    return Path(path).read_bytes() if Path(path).is_file() else None


def run(here: Machine, *command: str | Path) -> str:
    """Run a program there and return what it said."""
    done = subprocess.run(command, env=dict(here.env), cwd=here.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write(tool: str, here: Machine, scope: Scope, wanted: Wish) -> Path:
    """Write what a target wants, as the journal would."""
    target = targets.get(tool)
    (path,) = (Path(path) for path in target.files(here, scope, read))
    before = read(path) or b""
    syntax = target.syntax(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(changed(syntax, before, target.edits(syntax.look(before), wanted, here)))
    return path


def asked(tool: str, here: Machine) -> Effective:
    """Ask the real program."""
    question = targets.get(tool).ask(here)
    assert question is not None
    return question.read(run(here, *question.command))


def agree(tool: str, here: Machine) -> Effective:
    """Hold what we work out against what the program says."""
    worked_out, said = targets.get(tool).effective(here, read), asked(tool, here)
    assert worked_out.urls == said.urls
    assert (worked_out.decided_by and worked_out.decided_by.key) == (said.decided_by and said.decided_by.key)
    return said


@pytest.mark.parametrize("how", ["user", "venv", "PIP_CONFIG_FILE"])
def test_pip_installs(how: str, pips: Programs, index: Index, tmp_path: Path) -> None:
    """Pip says that it uses our file, and a package arrives through it."""
    env = {"venv": {"VIRTUAL_ENV": str(pips["pip"].parents[1])}, "PIP_CONFIG_FILE": {how: str(tmp_path / "my.conf")}}
    (tmp_path / "my.conf").write_text("[install]\n# mine\nno-deps = true\n")
    here = machine(tmp_path, pips, **env.get(how, {}))
    path = write("pip", here, "venv" if how == "venv" else "user", wish(index))
    try:
        found = agree("pip", here)
        assert (found.urls, found.decided_by and found.decided_by.where) == ((index.url,), str(path))
        run(here, pips["pip"], "install", "--no-cache-dir", "--target", str(tmp_path / "to"), PACKAGE)
    finally:
        path.unlink()
    assert (tmp_path / "to" / f"{MODULE}.py").is_file()
    assert index.asked[0] == f"/pypi/simple/{PACKAGE}/"


@pytest.mark.parametrize(
    ("env", "files"),
    [
        ({}, {}),
        ({}, {".pip/pip.conf": "[global]\nindex-url = http://a\n"}),
        ({}, {".pip/pip.conf": "[install]\nindex-url = http://a\n", ".config/pip/pip.conf": "[global]\nindex-url = http://b\n"}),
        ({}, {".config/pip/pip.conf": "[global]\nindex-url =\n", "xdg/pip/pip.conf": "[global]\nindex-url = http://b\n"}),
        ({"PIP_INDEX_URL": "http://a"}, {".config/pip/pip.conf": "[install]\nindex-url = http://b\n"}),
        ({"PIP_CONFIG_FILE": "/dev/null"}, {".config/pip/pip.conf": "[global]\nindex-url = http://b\n"}),
        ({"PIP_CONFIG_FILE": "my"}, {"my": "[list]\n", ".config/pip/pip.conf": "[global]\nindex-url = http://b\n"}),
        ({"PIP_CONFIG_FILE": "nowhere"}, {".config/pip/pip.conf": "[global]\n--Index_URL : http://b\n"}),
    ],
)  # fmt: skip
def test_pip_agrees(env: dict[str, str], files: dict[str, str], pips: Programs, tmp_path: Path) -> None:
    """Whatever is set where, what we work out is what pip says."""
    lay(tmp_path, files)
    named = {name: str(tmp_path / value) if name == "PIP_CONFIG_FILE" else value for name, value in env.items()}
    agree("pip", machine(tmp_path, pips, **named))


def test_pip_reads_the_corpus_as_we_do(pips: Programs, tmp_path: Path) -> None:
    """Each file, before and after, means to pip what it means to us; what we refuse pip cannot read."""
    wholes = [case for case in pip.CASES if case.name not in {"byte order mark", "comments in GBK"}]
    paths = spread(tmp_path, wholes, {name: data for name, (data, _) in pip.REFUSED.items()})
    script = (
        "import json, os, sys\nfrom pip._internal.configuration import Configuration\n"
        "from pip._internal.exceptions import ConfigurationError\nfound = {}\n"
        "for path in sys.argv[1:]:\n    os.environ['PIP_CONFIG_FILE'] = path\n"
        "    read = Configuration(isolated=True)\n    try:\n        read.load()\n"
        "        found[path] = dict(read._config['env'])\n"
        "    except ConfigurationError:\n        found[path] = None\nprint(json.dumps(found))\n"
    )
    said = json.loads(run(machine(tmp_path, pips), pips["python"], "-c", script, *paths))
    for path in paths:
        if "refused" in path.name:
            assert said[str(path)] is None
        else:
            ours = {f"{section}.{name}": value for (section, name), value in ini.look(path.read_bytes()).items()}
            assert said[str(path)] == ours


@pytest.mark.full
class TestUv:
    """uv."""

    def test_installs(self, all_programs: Programs, index: Index, tmp_path: Path) -> None:
        """A package arrives, and uv says that our file decides."""
        here = machine(tmp_path, all_programs)
        lay(tmp_path, {".config/uv/uv.toml": "# mine\n[[index]]\nname = 'torch'\nurl = 'http://a'\nexplicit = true\n"})
        path = write("uv", here, "user", wish(index))
        found = agree("uv", here)
        assert (found.urls, found.decided_by and found.decided_by.where) == ((index.url,), str(path))
        run(here, all_programs["uv"], "pip", "install", "--target", str(tmp_path / "to"), PACKAGE)
        assert (tmp_path / "to" / f"{MODULE}.py").is_file()
        assert index.asked[0] == f"/pypi/simple/{PACKAGE}/"

    @pytest.mark.parametrize("case", [case for case in uv.CASES if "," not in case.name], ids=lambda case: case.name)
    def test_reads_the_corpus_as_we_do(self, case: Case, all_programs: Programs, tmp_path: Path) -> None:
        """Each file, before and after, means to uv what it means to us."""
        here = machine(tmp_path, all_programs)
        for data in (case.before, case.after):
            lay(tmp_path, {".config/uv/uv.toml": ""})
            (tmp_path / ".config/uv/uv.toml").write_bytes(data)
            ours, said = targets.get("uv").effective(here, read).urls, asked("uv", here).urls
            assert [without_password(url) for url in ours] == [url.replace("****", "***") for url in said]
        assert asked("uv", here).urls == (SITE.families["pypi"].url,)

    @pytest.mark.parametrize(
        ("env", "files"),
        [
            ({}, {}),
            ({"UV_INDEX_URL": "http://a/"}, {".config/uv/uv.toml": "index-url = 'http://b/'"}),
            ({"UV_INDEX_URL": "http://a/", "UV_DEFAULT_INDEX": "http://b/"}, {}),
            ({"UV_NO_CONFIG": "1"}, {".config/uv/uv.toml": "index-url = 'http://b/'"}),
            ({}, {"xdg/uv/uv.toml": DEFAULT_A}),
            ({}, {".config/uv/uv.toml": "index-url = 'http://b/'", "xdg/uv/uv.toml": "[pip]\nindex-url = 'http://a/'"}),
            ({}, {".config/uv/uv.toml": "index-url = 'http://b/'\n[pip]\nindex-url = 'http://a/'"}),
            ({}, {".config/uv/uv.toml": "index-url = 'http://b/'", "xdg/uv/uv.toml": DEFAULT_A}),
            ({"UV_CONFIG_FILE": "my"}, {"my": "index-url = 'http://b/'", ".config/uv/uv.toml": "index-url = 'http://a/'"}),
        ],
    )  # fmt: skip
    def test_agrees(self, env: dict[str, str], files: dict[str, str], all_programs: Programs, tmp_path: Path) -> None:
        """Whatever is set where, what we work out is what uv says."""
        lay(tmp_path, files)
        named = {name: str(tmp_path / value) if name == "UV_CONFIG_FILE" else value for name, value in env.items()}
        here = machine(tmp_path, all_programs, **named)
        assert targets.get("uv").effective(here, read).urls == asked("uv", here).urls

    def test_the_advice_about_locks_is_true(self, all_programs: Programs, index: Index, tmp_path: Path) -> None:
        """A lock made through a mirror names it; one made anew without uv.toml does not."""
        here, lock = machine(tmp_path, all_programs), tmp_path / "project" / "uv.lock"
        project = f'[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.10"\ndependencies = ["{PACKAGE}"]\n'
        lay(tmp_path, {"project/pyproject.toml": project})
        write("uv", here, "user", wish(index))
        command = (all_programs["uv"], "lock", "--project", lock.parent)
        run(here, *command)
        assert index.url in lock.read_text()
        with serving() as upstream:
            run(replace(here, env={**here.env, "UV_NO_CONFIG": "1", "UV_DEFAULT_INDEX": upstream.url}), *command)
            assert upstream.url in lock.read_text()
        assert index.url not in lock.read_text()


@pytest.mark.full
def test_pdm_reads_what_we_wrote(all_programs: Programs, index: Index, tmp_path: Path) -> None:
    """`pdm config pypi.url` is ours, for every shape of file."""
    for number, case in enumerate(case for case in pdm.CASES if "," not in case.name):
        home = tmp_path / str(number)
        here = machine(home, all_programs)
        lay(home, {".config/pdm/config.toml": case.before.decode()})
        write("pdm", here, "user", wish(index))
        assert run(here, all_programs["pdm"], "config", "pypi.url").strip() == index.url, case.name
        assert targets.get("pdm").effective(here, read).urls == (index.url,)


@pytest.mark.full
class TestNpm:
    """npm."""

    def test_installs(self, all_programs: Programs, index: Index, tmp_path: Path) -> None:
        """A package arrives, and npm says that our file decides."""
        here = machine(tmp_path, all_programs)
        lay(tmp_path, {".npmrc": "; mine\nfund=false\naudit=false\n", "project/package.json": "{}"})
        path = write("npm", here, "user", wish(index))
        found = agree("npm", here)
        assert (found.urls, found.decided_by and found.decided_by.where) == ((index.npm,), str(path))
        run(here, all_programs["npm"], "install", "--prefix", tmp_path / "project", PACKAGE)
        assert (tmp_path / "project" / "node_modules" / PACKAGE / "package.json").is_file()
        assert index.asked[0] == f"/npm/{PACKAGE}"

    def test_reads_the_corpus_as_we_do(self, all_programs: Programs, tmp_path: Path) -> None:
        """Each file, before and after, means to npm's own parser what it means to us."""
        modules = Path(run(machine(tmp_path, all_programs), all_programs["npm"], "root", "--global").strip())
        parser = next(
            path for path in (modules / "npm/node_modules/ini", Path("/usr/share/nodejs/ini")) if path.is_dir()
        )
        paths = spread(tmp_path, npm.CASES, {})
        script = (
            f"const ini = require('{parser}'), fs = require('fs'), found = {{}};"
            "for (const path of process.argv.slice(1)) found[path] = ini.parse(fs.readFileSync(path, 'utf8'));"
            "console.log(JSON.stringify(found))"
        )
        said = json.loads(run(machine(tmp_path, all_programs), "node", "-e", script, *paths))
        for path in paths:
            theirs = {name: value for name, value in said[str(path)].items() if not isinstance(value, dict)}
            ours = {
                name: list(v) if isinstance(v, tuple) else v for (name,), v in npmrc.look(path.read_bytes()).items()
            }
            assert theirs == ours, path.read_text(errors="replace")


def lay(home: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8", newline="")


def spread(folder: Path, cases: Sequence[Case], refused: Mapping[str, bytes]) -> list[Path]:
    """Write every case, before and after, into files of their own."""
    data = [content for case in cases for content in (case.before, case.after)]
    named = {f"{number}.conf": content for number, content in enumerate(data)}
    named |= {f"{number}.refused": content for number, content in enumerate(refused.values())}
    for name, content in named.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in named]

"""`mirrors` as a person runs it: written, undone, reset, borrowed, refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.cli.standins import stand_ins
from internlm_setup.core.paths import Paths
from internlm_setup.mirrors import upgrade_pip
from internlm_setup.mirrors.errors import ExternallyManaged, NoPip
from internlm_setup.mirrors.world import SITES_VARIABLE, make_world
from internlm_setup.playground.mirror import Mirrors
from servers import namespace, pips
from servers.machine import Machine
from servers.shelf import shelf

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="programs are linked into a folder")]
PIP = Path(".config/pip/pip.conf")
CONDA = Path(".condarc")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mirrors, Path]]:
    """A stand-in for every site, and the folder that leads there."""
    folder = tmp_path_factory.mktemp("sites")
    with stand_ins(folder) as mirrors:
        yield mirrors, folder


@pytest.fixture
def machine(tmp_path: Path, sites: tuple[Mirrors, Path]) -> Machine:
    """An empty HOME, hardly any programs, and every mirror on loopback."""
    path = shelf(tmp_path / "bin", "sleep", "cat")
    return Machine(tmp_path, {SITES_VARIABLE: str(sites[1]), "PATH": str(path)})


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with a pip."""
    place = tmp_path_factory.mktemp("venv")
    pips.make(place)
    return place


def files(machine: Machine) -> dict[str, bytes]:
    """Every file of the home folder but our own state."""
    found = (file for file in machine.home.rglob("*") if file.is_file() and ".local" not in file.parts)
    return {str(file.relative_to(machine.home)): file.read_bytes() for file in found}


def write(machine: Machine, path: Path, text: str) -> None:
    (machine.home / path).parent.mkdir(parents=True, exist_ok=True)
    (machine.home / path).write_bytes(text.encode())


def data(out: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(out)["data"]
    return found


# Written and taken back


def test_files_are_edited_and_undone_to_the_byte(machine: Machine) -> None:
    """Comments, other keys and line ends stay; undo gives back what was."""
    write(machine, PIP, "; mine\r\n[global]\r\ntimeout = 9   # patience\r\nindex-url = https://old.example/simple\r\n")
    write(machine, CONDA, "# mine\nchannels: [bioconda]  # keep\nauto_update_conda: false\n")
    before = files(machine)
    done = machine.run("mirrors")
    assert done.code == 0
    assert "pip: changed" in done.err
    after = files(machine)
    assert after[str(PIP)].startswith(
        b"; mine\r\n[global]\r\ntimeout = 9   # patience\r\nindex-url = http://127.0.0.1:"
    )
    assert b"# mine" in after[str(CONDA)]
    assert b"auto_update_conda: false" in after[str(CONDA)]
    assert machine.run("mirrors", "undo", "1").code == 0
    assert files(machine) == before


def test_what_was_made_is_gone_after_undo(machine: Machine) -> None:
    machine.run("mirrors")
    assert set(files(machine)) == {str(PIP), str(CONDA)}
    done = machine.run("mirrors", "undo")
    assert (done.code, files(machine)) == (0, {})
    assert not (machine.home / ".config").exists()
    assert "there is nothing to undo" in machine.run("mirrors", "undo").err


def test_reset_takes_out_mirrors_alone(machine: Machine) -> None:
    """Whoever wrote them; and undo takes that back too."""
    write(machine, PIP, "[global]\ntimeout = 9\nindex-url = https://pypi.tuna.tsinghua.edu.cn/simple\n")
    write(machine, Path(".config/uv/uv.toml"), '[[index]]\nname = "own"\nurl = "https://own.example/simple"\n')
    before = files(machine)
    done = machine.run("mirrors", "reset")
    assert done.code == 0
    assert files(machine)[str(PIP)] == b"[global]\ntimeout = 9\n"
    assert files(machine)[".config/uv/uv.toml"] == before[".config/uv/uv.toml"]
    assert "no file leads to a mirror" in machine.run("mirrors", "reset").err
    machine.run("mirrors", "undo")
    assert files(machine) == before


def test_a_dry_run_shows_all_and_writes_nothing(machine: Machine) -> None:
    done = machine.run("mirrors", "--dry-run")
    assert (done.code, files(machine)) == (0, {})
    assert "+index-url = http://127.0.0.1:" in done.out
    assert done.err.splitlines()[-1] == "nothing was written"
    assert not (machine.home / ".local/state/internlm-setup/mirrors").exists()


def test_json(machine: Machine) -> None:
    """One object: the files with their diffs, what is in force, how to undo."""
    done = machine.run("mirrors", "--json")
    found = data(done.out)
    listed = found["files"]
    assert isinstance(listed, list)
    assert [(f["tool"], f["action"]) for f in listed] == [("pip", "created"), ("conda", "created")]
    assert (found["undo"], found["sites"]) == ("1", {"pip": "cernet", "conda": "tuna"})
    assert data(machine.run("mirrors", "undo", "--json").out)["files"]


def test_passwords_are_shown_nowhere(machine: Machine) -> None:
    """Not in the diff, not in JSON, not in what is in force."""
    write(machine, PIP, "[global]\nindex-url = https://me:hunter2@old.example/simple\n[install]\nx = y\n")
    machine.variables = {**machine.variables, "PIP_INDEX_URL": "https://me:hunter2@env.example/simple"}
    said = [machine.run("mirrors", *words) for words in (("--dry-run",), ("--json",), ("--site", "tuna"))]
    for done in said:
        assert "hunter2" not in done.out + done.err
    assert "the variable `PIP_INDEX_URL` wins over it and says https://me:***@env.example/simple" in said[-1].err


def test_passwords_of_ones_own_site_are_shown_nowhere(machine: Machine) -> None:
    """Nor those on a command line: not in advice, not in what is borrowed, listed or measured."""
    url = "http://me:hunter2@127.0.0.1:9"
    lab = "\n".join(f"  {family}: {{url: {url}/{family}}}" for family in ("pypi", "npm", "huggingface", "pytorch"))
    write(machine, Path(".config/internlm-setup/mirrors/lab.yaml"), f"families:\n{lab}\n")
    lines = [
        ("--site", "lab", "--tool", "pip,npm,huggingface,pytorch,poetry", "--json"),
        ("exec", "--site", "lab", "-v", "--json", "--", "cat", f"{url}/x"),
        ("list", "--json"),
        ("list", "--family", "pypi"),
        ("test", "--site", "lab", "--family", "pypi,pytorch", "--json"),
        ("status", "--json"),
    ]
    for words in lines:
        done = machine.run("mirrors", *words)
        assert "://me:***@127.0.0.1" in done.out, words
        said = done.out + done.err.replace("cat: 'http://me:hunter2@", "").replace("cat: http://me:hunter2@", "")
        assert "hunter2" not in said, words


def test_files_that_are_turned_off(machine: Machine) -> None:
    """What is in force then is the built-in default, and why is said."""
    machine.variables = {**machine.variables, "PIP_CONFIG_FILE": "/dev/null"}
    done = machine.run("mirrors", "--tool", "pip")
    assert "pip does not use what was written, but its built-in default" in done.err
    assert "`PIP_CONFIG_FILE` turns every pip configuration file off" in done.err


# Tools, sites, profiles


def test_a_tool_that_is_named_is_written_though_absent(machine: Machine) -> None:
    done = machine.run("mirrors", "--tool", "uv", "--site", "tuna")
    assert done.code == 0
    assert set(files(machine)) == {".config/uv/uv.toml"}


def test_a_site_for_what_it_serves(machine: Machine) -> None:
    """There is no conda at cernet: pip is written, and who has conda is said."""
    done = machine.run("mirrors", "--site", "cernet")
    assert (done.code, set(files(machine))) == (0, {str(PIP)})
    assert "skipped conda: `cernet` does not serve conda" in done.err


def test_a_site_without_either_is_for_its_own_tools(machine: Machine) -> None:
    """What is not installed is named; with `--tool` it is written; advice needs no file."""
    done = machine.run("mirrors", "--site", "npmmirror")
    assert (done.code, files(machine)) == (0, {})
    assert "skipped, not installed: npm" in done.err
    machine.run("mirrors", "--site", "npmmirror", "--tool", "npm")
    assert set(files(machine)) == {".npmrc"}
    assert "export HF_ENDPOINT=" in machine.run("mirrors", "--site", "hf-mirror").err


def test_conda_forge_only(machine: Machine) -> None:
    machine.run("mirrors", "--profile", "conda-forge-only", "--tool", "conda")
    written = files(machine)[str(CONDA)].decode()
    assert "conda-forge" in written
    assert "default_channels" not in written
    assert "pkgs/main" not in written


def test_gpu(machine: Machine) -> None:
    """conda-forge, nvidia from who has it, and a command for torch."""
    done = machine.run("mirrors", "--profile", "gpu")
    written = files(machine)[str(CONDA)].decode()
    assert written.splitlines()[:3] == ["channels:", "  - conda-forge", "  - nvidia"]
    assert "  nvidia: http://127.0.0.1:" in written
    assert "pip install torch" in done.err
    assert "pip install torch" in machine.run("mirrors", "--profile", "gpu", "--site", "ustc", "--dry-run").err


def test_auto_measures_and_says_why(machine: Machine, sites: tuple[Mirrors, Path]) -> None:
    """The choice of each family, in a line with the reason."""
    done = machine.run("mirrors", "--site", "auto", "--json")
    chosen = data(done.out)["sites"]
    assert isinstance(chosen, dict)
    assert (done.code, set(chosen)) == (0, {"pip", "conda"})
    assert "measuring the sites for pypi" in done.err
    said = [line for line in done.err.splitlines() if line.startswith(f"pip: {chosen['pip']}: ")]
    assert len(said) == 1


def test_auto_keeps_what_the_profile_is_for(machine: Machine) -> None:
    """The sites are measured, the channels are the profile's; what is only advised about is not measured."""
    done = machine.run("mirrors", "--site", "auto", "--profile", "gpu")
    written = files(machine)[str(CONDA)].decode()
    assert written.splitlines()[:3] == ["channels:", "  - conda-forge", "  - nvidia"]
    assert "default_channels" not in written
    assert "measuring the sites for conda" in done.err
    assert "measuring the sites for pytorch" not in done.err


def test_a_venv_that_is_no_condas(machine: Machine, python: Path) -> None:
    """Pip's own file there is written; conda reads none there, which is said, or refused where it is named."""
    machine.variables = {**machine.variables, "VIRTUAL_ENV": str(python)}
    done = machine.run("mirrors", "--scope", "venv")
    assert (done.code, files(machine)) == (0, {})
    assert "skipped conda: conda has no file of the scope `venv` here" in done.err
    assert "conda does not use what was written" not in done.err
    assert "index-url" in (python / "pip.conf").read_text()
    machine.run("mirrors", "undo")
    assert not (python / "pip.conf").exists()
    refused = machine.run("mirrors", "--scope", "venv", "--tool", "conda")
    assert refused.code == 66
    assert "it has: user, system" in refused.err


def test_auto_with_nobody_there_changes_nothing(machine: Machine) -> None:
    """It says so, and names what works without measuring."""
    machine.variables = {"PATH": machine.env["PATH"]}
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    done = machine.run("mirrors", "--site", "auto", prefix=namespace.without_network(machine.root / "net"))
    assert (done.code, files(machine)) == (69, {})
    assert "nothing was changed" in done.err
    assert "`internlm-setup mirrors --profile tutorial`" in done.err


# Refused


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--site", "tunna"), 66, "did you mean `tuna`"),
        (("--tool", "pipp"), 66, "did you mean `pip`"),
        (("--profile", "tutorail"), 66, "did you mean `tutorial`"),
        (("--site", "cernet", "--tool", "conda"), 66, "these do:"),
        (("--site", "douban"), 66, "these do:"),
        (("--scope", "venv"), 66, "no virtual environment is active"),
        (("--scope", "all"), 2, "`--scope` takes user, venv or system"),
        (("--site", "tuna", "--profile", "auto"), 2, "leave `--site tuna` or the profile out"),
        (("--dry-run", "undo"), 2, "options stand behind the verb"),
        (("undo", "77"), 66, "`77`"),
    ],
)
def test_a_wrong_line_is_refused(machine: Machine, words: tuple[str, ...], code: int, said: str) -> None:
    done = machine.run("mirrors", *words)
    assert (done.code, files(machine)) == (code, {})
    assert said in done.err


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [(CONDA, "channels:\n\t- x\n", 2), (PIP, "index-url = x\n", 1)],
)
def test_a_file_that_cannot_be_parsed(machine: Machine, path: Path, text: str, line: int) -> None:
    """It is named with its line, and nothing at all is written."""
    write(machine, path, text)
    done = machine.run("mirrors")
    assert (done.code, set(files(machine))) == (78, {str(path)})
    assert f"`{machine.home / path}`, line {line}: " in done.err


def test_a_folder_where_a_file_should_be(machine: Machine) -> None:
    (machine.home / CONDA).mkdir()
    done = machine.run("mirrors")
    assert (done.code, files(machine)) == (73, {})
    assert f"`{machine.home / CONDA}`" in done.err


def test_two_at_once(machine: Machine) -> None:
    """Both end well, or one refuses; the files are whole either way."""
    runs = [machine.start("mirrors", "--site", site) for site in ("tuna", "nju")]
    codes = [run.wait(timeout=50) for run in runs]
    for run in runs:
        run.communicate()
    assert set(codes) <= {0, 73}
    assert 0 in codes
    hosts = {line.split("/")[2] for line in files(machine)[str(PIP)].decode().splitlines() if "http" in line}
    assert len(hosts) == 1


# Borrowed for one command


def test_exec_gives_variables_and_the_childs_exit_code(machine: Machine) -> None:
    done = machine.run("mirrors", "exec", "--", "env")
    lines = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    assert done.code == 0
    assert lines["PIP_INDEX_URL"].endswith("/pypi/web/simple")
    assert lines["CONDA_DEFAULT_CHANNELS"].endswith("/anaconda/pkgs/main")
    assert "HF_ENDPOINT" not in lines
    assert machine.run("mirrors", "exec", "--", "sh", "-c", "exit 7").code == 7
    assert machine.run("mirrors", "exec", "--", "no-such-program").code == 66
    assert files(machine) == {}


def test_exec_through_a_site_that_was_named(machine: Machine) -> None:
    done = machine.run("mirrors", "exec", "--site", "hf-mirror", "--", "env")
    assert "HF_ENDPOINT=http://127.0.0.1:" in done.out
    assert "PIP_INDEX_URL" not in done.out
    assert machine.run("mirrors", "exec", "--site", "npmmirror", "--", "pip", "install", "x").code == 66


@pytest.mark.full
def test_exec_really_installs(machine: Machine, python: Path, sites: tuple[Mirrors, Path]) -> None:
    """A package comes from the mirror, and no file was written."""
    machine.variables = {**machine.variables, "PATH": f"{python / 'bin'}:{machine.env['PATH']}"}
    done = machine.run(
        "mirrors", "exec", "--site", "tuna", "--", "pip", "install", "--no-cache-dir", "playground-hello"
    )
    assert done.code == 0, done.err
    said = subprocess.check_output(
        [python / "bin" / "python", "-c", "import playground_hello; print(playground_hello.WORDS)"], text=True
    )
    assert said == "hello from a mirror\n"
    assert files(machine) == {}


@pytest.mark.full
def test_the_real_pip_installs_by_what_was_written(machine: Machine, python: Path) -> None:
    machine.variables = {**machine.variables, "PATH": f"{python / 'bin'}:{machine.env['PATH']}"}
    assert machine.run("mirrors").code == 0
    got = subprocess.run(
        [python / "bin" / "pip", "download", "--no-cache-dir", "--no-deps", "-d", machine.cwd, "playground-hello"],
        env=machine.env,
        capture_output=True,
        check=False,
    )
    assert got.returncode == 0, got.stderr
    assert [file.name for file in machine.cwd.iterdir()] == ["playground_hello-1.0-py3-none-any.whl"]


@pytest.mark.full
def test_upgrade_pip_goes_where_it_can(machine: Machine, python: Path) -> None:
    """The present index is out of reach, so the mirror is asked; its pip is older, so nothing changes."""
    machine.variables = {
        **machine.variables,
        "PATH": f"{python / 'bin'}:{machine.env['PATH']}",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    done = machine.run("mirrors", "upgrade-pip")
    assert done.code == 0, done.err
    assert "through cernet: the present package index does not answer" in done.err
    assert "Requirement already satisfied: pip" in done.out


def test_upgrade_pip_without_a_pip(machine: Machine) -> None:
    world = make_world(machine.env, machine.home, machine.cwd, Paths.of(machine.env, machine.home))
    with pytest.raises(NoPip):
        upgrade_pip.upgrade(None, world)


@pytest.mark.full
def test_upgrade_pip_leaves_a_managed_python_alone(machine: Machine, tmp_path: Path) -> None:
    """PEP 668: the same standard library, with the marker in it."""
    real = Path(sysconfig.get_path("stdlib"))
    farm = tmp_path / "managed" / "lib" / real.name
    farm.mkdir(parents=True)
    for entry in real.iterdir():
        (farm / entry.name).symlink_to(entry)
    (farm / "EXTERNALLY-MANAGED").unlink(missing_ok=True)
    (farm / "EXTERNALLY-MANAGED").write_text("[externally-managed]\n")
    program = tmp_path / "bin" / "python3"
    program.symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    env = {**machine.env, "PYTHONHOME": str(tmp_path / "managed")}
    world = make_world(env, machine.home, machine.cwd, Paths.of(env, machine.home))
    with pytest.raises(ExternallyManaged) as caught:
        upgrade_pip.upgrade(None, world)
    assert "EXTERNALLY-MANAGED" in str(caught.value)

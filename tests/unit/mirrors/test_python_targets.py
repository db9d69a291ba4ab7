"""pip, uv, pdm and npm: where their files are on every system, what wins, and how the programs' answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from cases.mirrors.marked import MIRROR, WISH
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.edit import changed
from internlm_setup.mirrors.model import Effective, Layer, Machine, Reads, Scope, Value

HOME: Mapping[str, PurePath] = {
    "linux": PurePosixPath("/home/me"),
    "darwin": PurePosixPath("/Users/me"),
    "win32": PureWindowsPath("C:/Users/me"),
}
PIP, UV, PDM, NPM = (targets.get(name) for name in ("pip", "uv", "pdm", "npm"))


def machine(platform: str = "linux", programs: Mapping[str, str] | None = None, **env: str) -> Machine:
    """Return a machine of somebody who is not root."""
    found = {name: Path(path) for name, path in (programs or {}).items()}
    return Machine(platform, env, HOME[platform], False, found)


def disk(files: Mapping[str, str]) -> Reads:
    """Return a disk that holds these files and no others."""
    return lambda path: files[path.as_posix()].encode() if path.as_posix() in files else None


NOTHING = disk({})
LIBRARY = "/Users/me/Library/Application Support"


@pytest.mark.parametrize(
    ("tool", "scope", "here", "files"),
    [
        ("pip", "user", machine(), ["/home/me/.config/pip/pip.conf"]),
        ("pip", "user", machine(XDG_CONFIG_HOME="/x"), ["/x/pip/pip.conf"]),
        ("pip", "user", machine(XDG_CONFIG_HOME="x"), ["/home/me/.config/pip/pip.conf"]),
        ("pip", "user", machine("darwin"), ["/Users/me/.config/pip/pip.conf"]),
        ("pip", "user", machine("win32"), ["C:/Users/me/AppData/Roaming/pip/pip.ini"]),
        ("pip", "user", machine("win32", APPDATA="D:/Roaming"), ["D:/Roaming/pip/pip.ini"]),
        ("pip", "venv", machine(), []),
        ("pip", "venv", machine(VIRTUAL_ENV="/v"), ["/v/pip.conf"]),
        ("pip", "venv", machine(CONDA_PREFIX="/c"), ["/c/pip.conf"]),
        ("pip", "venv", machine("win32", VIRTUAL_ENV="D:/v"), ["D:/v/pip.ini"]),
        ("pip", "system", machine(), ["/etc/pip.conf"]),
        ("pip", "system", machine("darwin"), ["/Library/Application Support/pip/pip.conf"]),
        ("pip", "system", machine("win32", PROGRAMDATA="D:/Data"), ["D:/Data/pip/pip.ini"]),
        ("uv", "user", machine(), ["/home/me/.config/uv/uv.toml"]),
        ("uv", "user", machine(UV_CONFIG_FILE="/my/uv.toml"), ["/my/uv.toml"]),
        ("uv", "user", machine("darwin"), ["/Users/me/.config/uv/uv.toml"]),
        ("uv", "user", machine("win32"), ["C:/Users/me/AppData/Roaming/uv/uv.toml"]),
        ("uv", "system", machine(), ["/etc/uv/uv.toml"]),
        ("uv", "system", machine("win32"), ["C:/ProgramData/uv/uv.toml"]),
        ("pdm", "user", machine(), ["/home/me/.config/pdm/config.toml"]),
        ("pdm", "user", machine(PDM_CONFIG_FILE="/my/pdm.toml"), ["/my/pdm.toml"]),
        ("pdm", "user", machine("darwin"), [f"{LIBRARY}/pdm/config.toml"]),
        ("pdm", "user", machine("win32"), ["C:/Users/me/AppData/Local/pdm/pdm/config.toml"]),
        ("pdm", "system", machine(), ["/etc/xdg/pdm/config.toml"]),
        ("pdm", "system", machine("darwin"), ["/Library/Application Support/pdm/config.toml"]),
        ("pdm", "system", machine("win32"), ["C:/ProgramData/pdm/pdm/config.toml"]),
        ("npm", "user", machine(), ["/home/me/.npmrc"]),
        ("npm", "user", machine("win32"), ["C:/Users/me/.npmrc"]),
        ("npm", "user", machine(NPM_CONFIG_USERCONFIG="/my/npmrc"), ["/my/npmrc"]),
        ("npm", "system", machine(), []),
        ("npm", "system", machine(programs={"npm": "/opt/node/bin/npm"}), ["/opt/node/etc/npmrc"]),
        ("npm", "system", machine(npm_config_prefix="/p"), ["/p/etc/npmrc"]),
        ("npm", "system", machine(npm_config_globalconfig="/g/npmrc"), ["/g/npmrc"]),
        ("npm", "system", machine("win32"), ["C:/Users/me/AppData/Roaming/npm/etc/npmrc"]),
    ],
)
def test_where_nothing_exists(tool: str, scope: Scope, here: Machine, files: list[str]) -> None:
    """The file is the one that the tool itself would make."""
    assert [path.as_posix() for path in targets.get(tool).files(here, scope, NOTHING)] == files


@pytest.mark.parametrize(
    ("tool", "scope", "here", "there", "chosen"),
    [
        ("pip", "user", machine(), ["/home/me/.pip/pip.conf"], "/home/me/.pip/pip.conf"),
        (
            "pip",
            "user",
            machine(),
            ["/home/me/.pip/pip.conf", "/home/me/.config/pip/pip.conf"],
            "/home/me/.config/pip/pip.conf",
        ),
        ("pip", "user", machine("win32"), ["C:/Users/me/pip/pip.ini"], "C:/Users/me/pip/pip.ini"),
        ("pip", "user", machine("darwin"), [f"{LIBRARY}/pip/pip.conf"], f"{LIBRARY}/pip/pip.conf"),
        ("pip", "user", machine(PIP_CONFIG_FILE="/my/pip.conf"), ["/my/pip.conf"], "/my/pip.conf"),
        ("pip", "user", machine(PIP_CONFIG_FILE="/my/pip.conf"), [], "/home/me/.config/pip/pip.conf"),
        ("pip", "user", machine(PIP_CONFIG_FILE="/dev/null"), ["/dev/null"], "/home/me/.config/pip/pip.conf"),
        ("pip", "system", machine(), ["/etc/xdg/pip/pip.conf"], "/etc/xdg/pip/pip.conf"),
        ("pip", "system", machine(XDG_CONFIG_DIRS="/a:/b"), ["/a/pip/pip.conf", "/b/pip/pip.conf"], "/b/pip/pip.conf"),
        ("uv", "system", machine(), ["/etc/xdg/uv/uv.toml", "/etc/uv/uv.toml"], "/etc/xdg/uv/uv.toml"),
        ("uv", "system", machine(XDG_CONFIG_DIRS="/a:/b"), ["/b/uv/uv.toml"], "/b/uv/uv.toml"),
    ],
)
def test_the_strongest_that_exists(tool: str, scope: Scope, here: Machine, there: list[str], chosen: str) -> None:
    """A file of the scope that exists is taken, the strongest of several."""
    (path,) = targets.get(tool).files(here, scope, disk(dict.fromkeys(there, "")))
    assert path.as_posix() == chosen


OWN, OLD, SITE, VENV = "/home/me/.config/pip/pip.conf", "/home/me/.pip/pip.conf", "/etc/pip.conf", "/v/pip.conf"
PDM_FILE, NPM_FILE = "/home/me/.config/pdm/config.toml", "/home/me/.npmrc"
USER_UV, SYSTEM_UV = "/home/me/.config/uv/uv.toml", "/etc/uv/uv.toml"
A, B = "https://a.test/simple", "https://b.test/simple"
GLOBAL_A, GLOBAL_B = f"[global]\nindex-url = {A}\n", f"[global]\nindex_url = {B}\n"
INSTALL_B = f"[install]\nindex-url: {B}\n"
PDM_A, NPM_A = f"pypi.url = '{A}'", f"registry={A}"
DEFAULT_A = f"[[index]]\nurl = '{A}'\ndefault = true\n"


@pytest.mark.parametrize(
    ("tool", "env", "files", "url", "where", "overruled"),
    [
        ("pip", {}, {}, None, None, []),
        ("pip", {}, {OWN: GLOBAL_A}, A, OWN, []),
        ("pip", {}, {OWN: GLOBAL_A, SITE: GLOBAL_B}, A, OWN, [SITE]),
        ("pip", {}, {OWN: GLOBAL_A, OLD: GLOBAL_B}, A, OWN, [OLD]),
        ("pip", {}, {OWN: GLOBAL_A, SITE: INSTALL_B}, B, SITE, [OWN]),
        ("pip", {"VIRTUAL_ENV": "/v"}, {OWN: GLOBAL_A, VENV: GLOBAL_B}, B, VENV, [OWN]),
        ("pip", {"PIP_INDEX_URL": B}, {OWN: GLOBAL_A}, B, "PIP_INDEX_URL", [OWN]),
        ("pip", {"PIP_INDEX_URL": A}, {OWN: GLOBAL_A}, A, "PIP_INDEX_URL", []),
        ("pip", {"PIP_INDEX_URL": ""}, {OWN: GLOBAL_A}, A, OWN, []),
        ("pip", {"PIP_CONFIG_FILE": "/my"}, {OWN: GLOBAL_A, "/my": GLOBAL_B}, B, "/my", []),
        ("pip", {"PIP_CONFIG_FILE": "/my"}, {OWN: GLOBAL_A, "/my": ""}, None, None, []),
        ("pip", {"PIP_CONFIG_FILE": "/my"}, {OWN: GLOBAL_A}, A, OWN, []),
        ("pip", {"PIP_CONFIG_FILE": "/dev/null"}, {OWN: GLOBAL_A, "/dev/null": ""}, None, None, []),
        ("pip", {}, {OWN: "[global]\nindex-url =\n", SITE: GLOBAL_B}, None, None, []),
        ("pip", {}, {OWN: "index-url = x\n", SITE: GLOBAL_B}, B, SITE, []),
        ("uv", {}, {USER_UV: DEFAULT_A}, A, USER_UV, []),
        ("uv", {}, {USER_UV: f"index-url = '{B}'\n", SYSTEM_UV: DEFAULT_A}, A, SYSTEM_UV, [USER_UV]),
        ("uv", {}, {USER_UV: f"index-url = '{B}'\n"}, B, USER_UV, []),
        ("uv", {"UV_INDEX_URL": B}, {USER_UV: DEFAULT_A}, B, "UV_INDEX_URL", [USER_UV]),
        ("uv", {"UV_INDEX_URL": B, "UV_DEFAULT_INDEX": A}, {}, A, "UV_DEFAULT_INDEX", ["UV_INDEX_URL"]),
        ("uv", {"UV_NO_CONFIG": "1"}, {USER_UV: DEFAULT_A}, None, None, []),
        ("uv", {"UV_CONFIG_FILE": "/my"}, {USER_UV: DEFAULT_A, "/my": ""}, None, None, []),
        ("pdm", {"PDM_PYPI_URL": B}, {PDM_FILE: PDM_A}, B, "PDM_PYPI_URL", [PDM_FILE]),
        ("npm", {"NPM_CONFIG_REGISTRY": B}, {NPM_FILE: NPM_A}, B, "NPM_CONFIG_REGISTRY", [NPM_FILE]),
        ("npm", {"npm_config_registry": ""}, {NPM_FILE: NPM_A}, A, NPM_FILE, []),
        ("npm", {}, {NPM_FILE: "[x]\nregistry=y"}, None, None, []),
    ],
)  # fmt: skip
def test_what_wins(
    tool: str, env: dict[str, str], files: dict[str, str], url: str | None, where: str | None, overruled: list[str]
) -> None:
    """The tool's own order decides, and what loses is named."""
    found = targets.get(tool).effective(machine("linux", {}, **env), disk(files))
    assert found.urls == ((url,) if url else ())
    assert (found.decided_by.where if found.decided_by else None) == where
    assert [layer.where for layer in found.overruled] == overruled


@pytest.mark.parametrize(
    ("tool", "env", "files", "said"),
    [
        ("pip", {"PIP_CONFIG_FILE": "/dev/null"}, {}, "turns every pip configuration file off"),
        ("pip", {"PIP_CONFIG_FILE": "/my"}, {"/my": ""}, "does not read the user's own"),
        ("pip", {"PIP_EXTRA_INDEX_URL": B}, {}, "`extra-index-url` is set as well"),
        ("pip", {}, {OWN: f"[global]\nextra_index_url = {B}\n"}, "`extra-index-url` is set as well"),
        ("pip", {}, {OWN: "# x\nindex-url = x\n"}, f"`{OWN}`, line 2, cannot be parsed"),
        ("uv", {"UV_NO_CONFIG": "true"}, {}, "turns every uv configuration file off"),
        ("uv", {"UV_CONFIG_FILE": "/my"}, {}, "the only file that uv reads"),
        ("uv", {}, {USER_UV: "x\n"}, f"`{USER_UV}`, line 1, cannot be parsed"),
    ],
)
def test_notes(tool: str, env: dict[str, str], files: dict[str, str], said: str) -> None:
    """What turns files off, what is merged, and what cannot be read is said."""
    (note,) = targets.get(tool).effective(machine("linux", {}, **env), disk(files)).notes
    assert said in note.en
    assert note.zh


@pytest.mark.parametrize(
    ("tool", "before", "after"),
    [
        ("pip", f"[global]\nindex-url = {MIRROR}/x\ntimeout = 3\n", "[global]\ntimeout = 3\n"),
        ("pip", f"[install]\nindex_url = {MIRROR}/x\n", "[install]\n"),
        ("pip", f"[global]\nindex-url = {A}\n", f"[global]\nindex-url = {A}\n"),
        (
            "pip",
            f"[global]\nextra-index-url =\n    {MIRROR}/x\n    {A}\n",
            f"[global]\nextra-index-url = {A}\n",
        ),
        ("uv", f"python-install-mirror = '{MIRROR}'\n[[index]]\nurl = '{MIRROR}/x'\ndefault = true\n", ""),
        ("uv", f"index-url = '{MIRROR}'\n[pip]\nindex-url = '{MIRROR}'\n", "[pip]\n"),
        ("uv", f"[[index]]\nurl = '{MIRROR}/x'\n", f"[[index]]\nurl = '{MIRROR}/x'\n"),
        ("pdm", f"[pypi]\nurl = '{MIRROR}'\nverify_ssl = true\n", "[pypi]\nverify_ssl = true\n"),
        ("npm", f"registry={MIRROR}/npm\nfund=false\n", "fund=false\n"),
        ("npm", "registry=https://npm.corp.test\n", "registry=https://npm.corp.test\n"),
    ],
)
def test_reset(tool: str, before: str, after: str) -> None:
    """The keys that name a mirror go; nothing is written in their place."""
    target = targets.get(tool)
    syntax = target.syntax(PurePosixPath("file"))
    edits = target.owned(syntax.look(before.encode()), lambda url: url.startswith(MIRROR))
    assert changed(syntax, before.encode(), edits).decode() == after


def values(tool: str) -> dict[str, Value | None]:
    """Return what a tool's target sets in an empty file."""
    return {".".join(edit.key): edit.value for edit in targets.get(tool).edits({}, WISH, machine())}


def test_what_is_set() -> None:
    """The address, and for uv where its Pythons come from; no `trusted-host`, no second index."""
    assert values("pip") == {"global.index-url": f"{MIRROR}/pypi/simple"}
    assert values("uv") == {
        "index.default.url": f"{MIRROR}/pypi/simple",
        "python-install-mirror": f"{MIRROR}/python-builds",
    }
    assert values("pdm") == {"pypi.url": f"{MIRROR}/pypi/simple"}
    assert values("npm") == {"registry": f"{MIRROR}/npm"}


PIP_SAYS = """\
env_var:
  PIP_INDEX_URL='https://a.test/simple'
  PIP_TIMEOUT='3'
env:
global:
  /etc/xdg/pip/pip.conf, exists: False
  /etc/pip.conf, exists: True
    global.index-url: https://b.test/simple
    global.find-links:
    /opt/a
    /opt/b: c
site:
  /v/pip.conf, exists: False
user:
  /home/me/.pip/pip.conf, exists: False
  /home/me/.config/pip/pip.conf, exists: True
    install.index-url: https://c.test/simple
"""


def asked(tool: str, said: str, **env: str) -> Effective:
    """Return what a program's words come to."""
    question = targets.get(tool).ask(machine(programs={tool: f"/usr/bin/{tool}"}, **env))
    assert question is not None
    assert question.command[0] == f"/usr/bin/{tool}"
    return question.read(said)


def test_pip_is_heard() -> None:
    """Variables, then `[install]`, then `[global]`, each with its file."""
    found = asked("pip", PIP_SAYS)
    assert (found.urls, found.asked) == ((A,), "pip")
    assert found.decided_by == Layer("variable", "PIP_INDEX_URL")
    assert found.overruled == (
        Layer("file", OWN, ("install", "index-url"), "user"),
        Layer("file", SITE, ("global", "index-url"), "system"),
    )


def test_what_turns_files_off_is_said_though_the_program_does_not() -> None:
    """Else nobody would know why what was written has no effect."""
    (said,) = asked("pip", "env_var:\nglobal:\n  /etc/pip.conf, exists: True\n", PIP_CONFIG_FILE="/dev/null").notes
    assert "turns every pip configuration file off" in said.en
    uv = "\n        index_locations: IndexLocations {\n            flat_index: [],"
    (said,) = asked("uv", uv, UV_NO_CONFIG="1").notes
    assert "turns every uv configuration file off" in said.en


def test_npm_is_heard() -> None:
    """The last that is not overridden decides."""
    said = (
        f'; "user" config from /home/me/.npmrc\n\n; registry = "{A}" ; overridden by env\n\n'
        f'; "env" config from environment\n\nregistry = "{B}"\n\n; npm version = 11.19.1\n'
    )
    found = asked("npm", said)
    assert (found.urls, found.decided_by) == ((B,), Layer("variable", "npm_config_registry"))
    assert found.overruled == (Layer("file", "/home/me/.npmrc", ("registry",), "user"),)


@pytest.mark.parametrize("tool", ["pip", "uv", "npm"])
def test_other_words_are_not_understood(tool: str) -> None:
    """An answer of another shape is refused, so that the rules are asked instead."""
    with pytest.raises(ValueError):
        asked(tool, "error: unknown command\n")


def test_no_program_no_question() -> None:
    """What is not installed is not asked; pdm has no such question."""
    assert [targets.get(tool).ask(machine()) for tool in ("pip", "uv", "npm")] == [None, None, None]
    assert PDM.ask(machine(programs={"pdm": "/usr/bin/pdm"})) is None


def test_advice() -> None:
    """What a mirror does to lock files is said."""
    assert "uv.lock" in UV.advice(WISH, machine())[0].en
    assert "package-lock.json" in NPM.advice(WISH, machine())[0].en
    assert [*PIP.advice(WISH, machine()), *PDM.advice(WISH, machine())] == []

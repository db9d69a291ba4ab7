"""Every check of `doctor`: what it finds, what its repair makes of a file, and that good files are left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.core.paths import Paths
from internlm_setup.mirrors import checks
from internlm_setup.mirrors.checks.unparseable import laid_out
from internlm_setup.mirrors.doctor import Diagnosis, diagnose
from internlm_setup.mirrors.world import make_world

CONDA, PIP, UV, NPM = ".condarc", ".config/pip/pip.conf", ".config/uv/uv.toml", ".npmrc"
TUNA = "https://mirrors.tuna.tsinghua.edu.cn/anaconda"
TAUGHT = f"""\
channels:
- defaults
show_channel_urls: true
default_channels:
- {TUNA}/pkgs/main
- {TUNA}/pkgs/r
- {TUNA}/pkgs/msys2
custom_channels:
conda-forge: {TUNA}/cloud
pytorch: {TUNA}/cloud
"""
RIGHT = TAUGHT.replace("\nconda-forge", "\n  conda-forge").replace("\npytorch", "\n  pytorch")
LAID_OUT = RIGHT.replace("- ", "  - ")
NOTEBOOK = f"""\
 channels:   - defaults show_channel_urls: true default_channels:
 - {TUNA}/pkgs/main
 - {TUNA}/pkgs/r
 - {TUNA}/pkgs/msys2 custom_channels:
 conda-forge: {TUNA}/cloud
 pytorch: {TUNA}/cloud EOF"""

# Which check, which file, before, after.
CASES = {
    "the tutorial's block": ("conda-strays", CONDA, TAUGHT, RIGHT),
    "the same, copied with the indent of its page": (
        "conda-strays",
        CONDA,
        "".join(f"    {line}\n" for line in TAUGHT.splitlines()),
        "".join(f"    {line}\n" for line in RIGHT.splitlines()),
    ),
    "CRLF, comments, other keys below, no last line end": (
        "conda-strays",
        CONDA,
        "# 1\r\ncustom_channels:  # 2\r\n# 3\r\na: 'https://a.example/c'   # 4\r\n\r\nb: http://b\r\nchannel_alias: http://b",
        "# 1\r\ncustom_channels:  # 2\r\n# 3\r\n  a: 'https://a.example/c'   # 4\r\n\r\n  b: http://b\r\nchannel_alias: http://b",
    ),
    "channels that are named twice": (
        "conda-strays",
        CONDA,
        f"custom_channels:\n  conda-forge: {TUNA}/cloud  # keep\nconda-forge: {TUNA}/x\npytorch: {TUNA}/cloud\n# end\n",
        f"custom_channels:\n  conda-forge: {TUNA}/cloud  # keep\n  pytorch: {TUNA}/cloud\n# end\n",
    ),
    "all on one line": ("unparseable", CONDA, TAUGHT.replace("\n", " "), LAID_OUT),
    "some lines lost, as in a notebook": (
        "unparseable",
        CONDA,
        NOTEBOOK,
        LAID_OUT,
    ),
    "free and pro": (
        "conda-given-up",
        CONDA,
        f"channels:\n  - {TUNA}/pkgs/free/   # old\n  - a # c\ndefault_channels: [{TUNA}/pkgs/main, {TUNA}/pkgs/pro]\n",
        f"channels:\n  - a # c\ndefault_channels: [{TUNA}/pkgs/main]\n",
    ),
    "an alias without cloud": (
        "conda-alias",
        CONDA,
        f"# a\nchannel_alias: {TUNA}\nchannels: [ defaults ]   # c\n",
        "# a\nchannels: [ defaults ]   # c\n",
    ),
    "a doubled name": (
        "conda-doubled",
        CONDA,
        f'custom_channels:\n    conda-forge: "{TUNA}/cloud/conda-forge/"  # c\n    pytorch: {TUNA}/cloud\n',
        f'custom_channels:\n    conda-forge: "{TUNA}/cloud"  # c\n    pytorch: {TUNA}/cloud\n',
    ),
    "http, conda": (
        "plain-http",
        CONDA,
        f"default_channels:\n  - http{TUNA[5:]}/pkgs/main # c\n  - http://plain.example/r\n",
        f"default_channels:\n  - {TUNA}/pkgs/main # c\n  - http://plain.example/r\n",
    ),
    "http, pip": (
        "plain-http",
        PIP,
        "[global]\r\nindex-url = http://mirrors.aliyun.com/pypi/simple/\r\ntimeout=9",
        "[global]\r\nindex-url = https://mirrors.aliyun.com/pypi/simple/\r\ntimeout=9",
    ),
    "http, uv": (
        "plain-http",
        UV,
        '[[index]]\nurl = "http://mirrors.aliyun.com/pypi/simple" # c\ndefault = true\n',
        '[[index]]\nurl = "https://mirrors.aliyun.com/pypi/simple" # c\ndefault = true\n',
    ),
    "ssl_verify": (
        "unverified",
        CONDA,
        f"ssl_verify: false  # tip\ndefault_channels:\n- {TUNA}/pkgs/main\n",
        f"default_channels:\n- {TUNA}/pkgs/main\n",
    ),
    "strict-ssl": (
        "unverified",
        NPM,
        "; mine\nstrict-ssl=false\nregistry=https://registry.npmmirror.com\n",
        "; mine\nregistry=https://registry.npmmirror.com\n",
    ),
    "trusted-host, one": (
        "trusted-host",
        PIP,
        "[global]\ntimeout : 9\n[install]\ntrusted_host=mirrors.aliyun.com\n# c\n",
        "[global]\ntimeout : 9\n[install]\n# c\n",
    ),
    "trusted-host, among others": (
        "trusted-host",
        PIP,
        "[install]\ntrusted-host = own.example mirrors.aliyun.com\n",
        "[install]\ntrusted-host = own.example\n",
    ),
    "allow-insecure-host": (
        "trusted-host",
        UV,
        'allow-insecure-host = ["mirrors.aliyun.com", "own.example"]\n',
        'allow-insecure-host = ["own.example"]\n',
    ),
    "a retired index": (
        "retired",
        PIP,
        "[global]\nindex-url = https://pypi.doubanio.com/simple\nextra-index-url = https://own.example/simple\n",
        "[global]\nextra-index-url = https://own.example/simple\n",
    ),
}  # fmt: skip

GOOD = {
    CONDA: RIGHT + f"channel_alias: {TUNA}/cloud\nssl_verify: true\n",
    PIP: "[global]\nindex-url = https://pypi.tuna.tsinghua.edu.cn/simple\n[install]\ntrusted-host = own.example\n",
    UV: '[[index]]\nurl = "https://mirrors.aliyun.com/pypi/simple"\ndefault = true\n',
    NPM: "registry=https://registry.npmmirror.com\nstrict-ssl=true\n",
}


def put(home: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(text.encode())


def look(home: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Diagnosis:
    """Look offline; what the catalogue says of channels that nobody was asked for has a test of its own."""
    whole = {"HOME": str(home), "PATH": "", **(env or {})}
    seen = diagnose(make_world(whole, home, cwd or home, Paths.of(whole, home)), online=False)
    first, left = (tuple(f for f in part if f.check != "conda-dead") for part in (seen.found, seen.left))
    return Diagnosis(first, seen.changes, left)


def found(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(each.check, each.finding.level) for each in diagnosis.found]


@pytest.mark.parametrize(("check", "name", "before", "after"), CASES.values(), ids=CASES)
def test_a_repair(own_home: Path, check: str, name: str, before: str, after: str) -> None:
    """One finding of one check; the repair is exact, is all there is to do, and has nothing left to find."""
    put(own_home, {name: before})
    diagnosis = look(own_home)
    assert found(diagnosis) == [(check, "wrong")]
    (change,) = diagnosis.changes
    assert (change.path, change.before) == (own_home / name, before.encode())
    assert change.after is not None
    assert change.after.decode() == after
    assert diagnosis.left == ()
    put(own_home, {name: after})
    assert look(own_home).found == ()


def test_the_catalogue_is_quoted_where_no_mirror_is_asked(own_home: Path) -> None:
    """TUNA's `r` and `msys2` were not there when it was looked at; `main` was."""
    put(own_home, {CONDA: RIGHT})
    whole = {"HOME": str(own_home), "PATH": ""}
    diagnosis = diagnose(make_world(whole, own_home, own_home, Paths.of(whole, own_home)), online=False)
    assert found(diagnosis) == [("conda-dead", "advice")] * 2
    for each, name in zip(diagnosis.found, ("r", "msys2"), strict=True):
        assert f"{TUNA}/pkgs/{name}`, and the mirror was not asked" in each.finding.message.en
        assert "2026-08-18" in each.finding.message.zh
    assert diagnosis.changes == ()


def test_good_files_are_left_alone(own_home: Path) -> None:
    """A mirror, an own host that is trusted, and certificates that are checked: nothing is found."""
    put(own_home, GOOD)
    assert look(own_home) == Diagnosis((), (), ())


def test_every_check_has_a_case() -> None:
    """A new check comes with a test here, in this file or in the one that asks real sites."""
    elsewhere = {"conda-dead", "conda-merged", "shadowed", "proxied", "uv-lock"}
    assert {case[0] for case in CASES.values()} | elsewhere == set(checks.known())


def test_several_troubles_of_one_file_are_one_change(own_home: Path) -> None:
    """The collapsed block is laid out first; what is wrong inside it is repaired too."""
    wrong = TAUGHT.replace("\n", " ").replace("pkgs/r ", "pkgs/free ").replace("https", "http")
    put(own_home, {CONDA: wrong})
    diagnosis = look(own_home)
    assert found(diagnosis) == [("unparseable", "wrong")]
    (change,) = diagnosis.changes
    assert (change.before, change.after) == (wrong.encode(), LAID_OUT.replace(f"  - {TUNA}/pkgs/r\n", "").encode())
    assert diagnosis.left == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "channels: - defaults",
        "channels: - defaults channels: - conda-forge",
        "channels: - defaults show_channel_urls: true ssl_verify: false",
        "channels: - defaults show_channel_urls: maybe",
        "channels: show_channel_urls: true",
        "channels: - defaults # mine\nshow_channel_urls: true x",
        "custom_channels: conda-forge: show_channel_urls: true",
    ],
)
def test_only_the_known_block_is_laid_out(text: str) -> None:
    assert laid_out(text.encode()) is None


def test_what_cannot_be_parsed_is_named_and_left(own_home: Path) -> None:
    """The file and the line, and no repair."""
    put(own_home, {PIP: "[global]\nindex-url = x\n[global\n", CONDA: "a: [\n"})
    diagnosis = look(own_home)
    assert found(diagnosis) == [("unparseable", "wrong")] * 2
    assert diagnosis.changes == ()
    assert f"`{own_home / PIP}`, line 3, cannot be parsed" in " ".join(e.finding.message.en for e in diagnosis.found)


def test_a_doubled_name_elsewhere_is_only_advised_about(own_home: Path) -> None:
    """A private server may have its channel there."""
    put(own_home, {CONDA: "custom_channels:\n  ours: https://own.example/ours\n"})
    diagnosis = look(own_home)
    assert found(diagnosis) == [("conda-doubled", "advice")]
    assert diagnosis.changes == ()


def test_a_file_outside_of_the_home_is_left_to_its_owner(own_home: Path, tmp_path: Path) -> None:
    """It is found, and named; of an environment that is active it would be repaired."""
    put(tmp_path, {CONDA: TAUGHT})
    diagnosis = look(own_home, {"CONDA_ROOT": str(tmp_path)})
    assert (len(diagnosis.found), diagnosis.changes, len(diagnosis.left)) == (1, (), 1)
    assert diagnosis.found[0].finding.repair.en == f"change it by hand in `{tmp_path / CONDA}`"
    (change,) = look(own_home, {"CONDA_PREFIX": str(tmp_path)}).changes
    assert change.after == RIGHT.encode()


@pytest.mark.parametrize(
    ("name", "value", "file"),
    [
        ("PIP_INDEX_URL", "https://own.example/simple", PIP),
        ("PIP_CONFIG_FILE", "/dev/null", PIP),
        ("UV_DEFAULT_INDEX", "https://own.example/simple", UV),
        ("UV_NO_CONFIG", "1", UV),
        ("npm_config_registry", "https://own.example", NPM),
        ("CONDA_CHANNELS", "https://own.example/c", CONDA),
    ],
)
def test_a_variable_that_wins(own_home: Path, name: str, value: str, file: str) -> None:
    """It is named, with the command that takes it out; one that says the same mirror is no trouble."""
    put(own_home, {file: GOOD[file]})
    (each,) = look(own_home, {name: value}).found
    assert (each.check, each.finding.level, each.finding.change) == ("shadowed", "wrong", None)
    assert f"`{name}`" in each.finding.message.en
    assert each.finding.repair.en.startswith(f"`unset {name}`")
    if value.startswith("https"):
        assert look(own_home, {name: "https://mirrors.ustc.edu.cn/pypi/simple"}).found == ()


def test_two_variables_that_win_together(own_home: Path) -> None:
    put(own_home, {PIP: GOOD[PIP]})
    (each,) = look(own_home, {"PIP_INDEX_URL": "https://own.example/s", "PIP_CONFIG_FILE": "/dev/null"}).found
    assert each.finding.repair.en.startswith("`unset PIP_INDEX_URL PIP_CONFIG_FILE`")


def test_the_file_of_an_environment_that_wins(own_home: Path, tmp_path: Path) -> None:
    put(own_home, {PIP: GOOD[PIP]})
    put(tmp_path, {"pip.conf": "[global]\nindex-url = https://own.example/simple\n"})
    (each,) = look(own_home, {"VIRTUAL_ENV": str(tmp_path)}).found
    assert (each.check, each.finding.repair.en) == ("shadowed", "`internlm-setup mirrors --tool pip --scope venv`")
    assert str(tmp_path / "pip.conf") in each.finding.message.en


def test_the_file_of_the_installation_is_merged(own_home: Path, tmp_path: Path) -> None:
    """It is wrong only where it adds what is no mirror's."""
    put(own_home, {CONDA: GOOD[CONDA]})
    env = {"CONDA_ROOT": str(tmp_path)}
    put(tmp_path, {CONDA: "channels: [conda-forge]\n"})
    assert look(own_home, env).found == ()
    put(tmp_path, {CONDA: "default_channels: [https://own.example/pkgs/main]\n"})
    (each,) = look(own_home, env).found
    assert (each.check, each.finding.level) == ("conda-merged", "wrong")
    assert "`https://own.example/pkgs/main`" in each.finding.message.en
    assert each.finding.repair.en == "`internlm-setup mirrors --tool conda --scope system`"


def test_a_proxy_before_a_mirror(own_home: Path) -> None:
    """Only advice, since the network may have no other way out; with `no_proxy` there is nothing to say."""
    put(own_home, {PIP: GOOD[PIP]})
    env = {"https_proxy": "http://127.0.0.1:7890", "no_proxy": "localhost"}
    (each,) = look(own_home, env).found
    assert (each.check, each.finding.level) == ("proxied", "advice")
    assert 'no_proxy="localhost,pypi.tuna.tsinghua.edu.cn"' in each.finding.repair.en
    assert look(own_home, {**env, "no_proxy": "pypi.tuna.tsinghua.edu.cn"}).found == ()


def test_a_lock_with_mirrors(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text('source = { registry = "https://pypi.tuna.tsinghua.edu.cn/simple" }\n')
    (each,) = look(own_home, cwd=tmp_path).found
    assert (each.check, each.finding.level) == ("uv-lock", "advice")
    (tmp_path / "uv.lock").write_text('source = { registry = "https://own.example/simple" }\n')
    assert look(own_home, cwd=tmp_path).found == ()


@pytest.mark.parametrize("name", ["PIP_TRUSTED_HOST", "UV_INSECURE_HOST"])
def test_a_variable_that_trusts(own_home: Path, name: str) -> None:
    (each,) = look(own_home, {name: "own.example mirrors.aliyun.com"}).found
    assert (each.check, each.finding.change) == ("trusted-host", None)
    assert "`mirrors.aliyun.com`" in each.finding.message.en
    assert look(own_home, {name: "own.example"}).found == ()


def test_a_variable_that_leads_to_a_retired_site(own_home: Path) -> None:
    (each,) = look(own_home, {"PIP_INDEX_URL": "https://pypi.douban.com/simple"}).found
    assert (each.check, each.finding.repair.en[:20]) == ("retired", "`unset PIP_INDEX_URL"[:20])

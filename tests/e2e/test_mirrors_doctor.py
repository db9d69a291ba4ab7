"""`mirrors status` and `mirrors doctor` as a person runs them in an empty HOME, in both languages."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from servers.machine import Machine
from servers.shelf import shelf

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="programs are linked into a folder")]
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
COLLAPSED = TAUGHT.replace("\n", " ")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty HOME, and hardly any programs."""
    return Machine(tmp_path, {"PATH": str(shelf(tmp_path / "bin"))})


def test_an_empty_home(machine: Machine) -> None:
    """Conda and pip have a line each; nothing is wrong, and nothing is written."""
    done = machine.run("mirrors", "status")
    assert done.code == 0
    assert {"conda", "pip"} <= {line.split()[0] for line in done.out.splitlines()}
    assert "pip    built-in default" in done.out
    assert "not installed, and nothing is set: " in done.err
    done = machine.run("mirrors", "doctor")
    assert (done.code, done.out, done.err) == (0, "", "nothing is wrong\n")
    done = machine.run("mirrors", "doctor", "--fix", "--lang", "zh")
    assert (done.code, done.out, done.err) == (0, "", "没有发现问题\n")
    assert not [file for file in machine.home.rglob("*") if file.is_file() and ".local" not in file.parts]


def test_the_tutorials_block_is_found_repaired_and_undone(machine: Machine) -> None:
    """Exit 1 as long as it is wrong; the repair is proved, then there is nothing to find; undo gives the bytes back."""
    condarc = machine.home / ".condarc"
    condarc.write_text(TAUGHT)
    found = machine.run("mirrors", "doctor", "--offline")
    assert found.code == 1
    assert "wrong: " in found.out
    assert "`conda-forge`, `pytorch` not indented below `custom_channels`" in found.out
    assert "1 of 1 can be repaired, and undone: `internlm-setup mirrors doctor --fix`" in found.err
    assert condarc.read_text() == TAUGHT
    fixed = machine.run("mirrors", "doctor", "--fix", "--offline")
    assert fixed.code == 0
    assert re.findall(r"^[-+][^-+].*", fixed.out, re.MULTILINE) == [
        f"-conda-forge: {TUNA}/cloud",
        f"-pytorch: {TUNA}/cloud",
        f"+  conda-forge: {TUNA}/cloud",
        f"+  pytorch: {TUNA}/cloud",
    ]
    assert f"conda: changed `{condarc}`\nto undo: `internlm-setup mirrors undo 1`\nconda now uses {TUNA}" in fixed.err
    assert machine.run("mirrors", "doctor", "--offline").code == 0
    assert machine.run("mirrors", "undo").code == 0
    assert condarc.read_text() == TAUGHT


def test_the_collapsed_block_in_chinese(machine: Machine) -> None:
    """A file that cannot be parsed is repaired all the same, and undone."""
    condarc = machine.home / ".condarc"
    condarc.write_text(COLLAPSED)
    done = machine.run("mirrors", "doctor", "--fix", "--offline", "--lang", "zh")
    assert done.code == 0
    assert "有误：" in done.out
    assert "换行丢失" in done.out
    assert "撤销：`internlm-setup mirrors undo 1`" in done.err
    assert f"  conda-forge: {TUNA}/cloud\n" in condarc.read_text()
    done = machine.run("mirrors", "status", "--offline", "--lang", "zh")
    assert "tuna，未询问" in done.out
    assert machine.run("mirrors", "undo").code == 0
    assert condarc.read_text() == COLLAPSED


def test_what_is_left(machine: Machine) -> None:
    """What `--fix` cannot repair is named with its command, in JSON too, and the exit code is 1."""
    (machine.home / ".condarc").write_text(TAUGHT + "channel_alias: " + TUNA + "\n")
    (machine.home / ".npmrc").write_text("registry=https://registry.npmmirror.com\n")
    done = machine.run("mirrors", "doctor", "--fix", "--offline", "--json", npm_config_registry="https://own.example")
    assert done.code == 1
    said = json.loads(done.out)
    assert (said["status"], said["exit_code"]) == ("ok", 1)
    data = said["data"]
    wrong = [each for each in data["findings"] if each["level"] == "wrong"]
    assert [(each["check"], each["fixable"]) for each in wrong] == [
        ("conda-alias", True),
        ("conda-strays", True),
        ("shadowed", False),
    ]
    assert [each["check"] for each in data["left"] if each["level"] == "wrong"] == ["shadowed"]
    assert [file["action"] for file in data["files"]] == ["changed"]
    assert data["effective"][0]["urls"][0] == f"{TUNA}/pkgs/main"


def test_poetry_and_docker_are_explained(machine: Machine) -> None:
    done = machine.run("mirrors", "status", "--tool", "poetry,docker", "--lang", "zh")
    assert done.code == 0
    assert "poetry：Poetry 没有对所有项目生效的设置" in done.err
    assert "docker：公共的 Docker Hub 镜像已于 2024 年关闭" in done.err
    wrong = machine.run("mirrors", "status", "--tool", "dokcer")
    assert wrong.code == 66
    assert "did you mean `docker`" in wrong.err

"""`mirrors doctor` and `mirrors status` with sites that answer, are silent, or have lost a channel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import internlm_setup
from internlm_setup.mirrors.doctor import diagnose
from internlm_setup.mirrors.status import statuses
from internlm_setup.mirrors.world import World
from internlm_setup.playground.mirror import Mirrors

pytestmark = pytest.mark.loopback


def condarc(home: Path, base: str) -> str:
    """Write a file that names five channels of a site, and return it."""
    text = (
        f"channels: [defaults, {base}/cloud/conda-forge]\n"
        f"default_channels:\n- {base}/pkgs/main  # a\n- {base}/pkgs/r\n# b\n"
        f"custom_channels:\n  conda-forge: {base}/cloud\n  nvidia: {base}/cloud # c\n"
    )
    (home / ".condarc").write_text(text)
    return text


def test_channels_that_are_gone_are_taken_out(mirrors: Mirrors, world: World, own_home: Path) -> None:
    """Only those that the site says it does not have; nothing else of the file is touched."""
    base = f"{mirrors['near'].url}/anaconda"
    mirrors["near"].channels = frozenset({"main", "conda-forge"})
    before = condarc(own_home, base)
    diagnosis = diagnose(world, online=True)
    (found,) = diagnosis.found
    assert (found.check, found.finding.level) == ("conda-dead", "wrong")
    assert f"`{base}/cloud/nvidia`, `{base}/pkgs/r`" in found.finding.message.en
    (change,) = diagnosis.changes
    after = before.replace(f"- {base}/pkgs/r\n", "").replace(f"  nvidia: {base}/cloud # c\n", "")
    assert change.after == after.encode()
    assert diagnosis.left == ()
    assert diagnose(world, online=False).found == ()


def test_a_site_that_is_silent_has_lost_nothing(mirrors: Mirrors, world: World, own_home: Path) -> None:
    """A refusal, and a server that is not there, are no 404."""
    mirrors["near"].refuse(503)
    condarc(own_home, f"{mirrors['near'].url}/anaconda")
    assert diagnose(world, online=True).found == ()


def test_health(mirrors: Mirrors, world: World, own_home: Path) -> None:
    """A site answers, is silent with a reason, or is not asked; nobody asks an address that is no site's."""
    (own_home / ".config" / "pip").mkdir(parents=True)
    pip = own_home / ".config" / "pip" / "pip.conf"
    pip.write_text(f"[global]\nindex-url = {mirrors['near'].url}/pypi/web/simple\n")
    (status,) = statuses(["pip"], world, online=True)
    assert (status.site, status.health, status.silence) == ("near", "answers", None)
    mirrors["near"].refuse(403)
    (status,) = statuses(["pip"], world, online=True)
    assert status.health == "silent"
    assert status.silence is not None
    assert "403" in status.silence.en
    (status,) = statuses(["pip"], world, online=False)
    assert (status.site, status.health) == ("near", "not asked")
    pip.write_text("[global]\nindex-url = https://own.invalid/simple\n")
    (status,) = statuses(["pip"], world, online=True)
    assert (status.site, status.health) == (None, "not asked")


def test_the_real_programs_are_asked(env: dict[str, str], own_home: Path) -> None:
    """Pip says itself what it uses, and which file or variable decides."""
    (own_home / ".pip").mkdir()
    (own_home / ".pip" / "pip.conf").write_text("[global]\nindex-url = https://me:secret@own.invalid/simple\n")
    (asked,) = run(env, "status", "--tool", "pip", "--json")["tools"]
    assert asked["asked"] == "pip"
    assert asked["urls"] == ["https://me:***@own.invalid/simple"]
    assert asked["decided_by"] == {"kind": "file", "where": str(own_home / ".pip/pip.conf"), "key": "global.index-url"}
    (asked,) = run({**env, "PIP_INDEX_URL": "https://b.invalid"}, "status", "--tool", "pip", "--json")["tools"]
    assert asked["decided_by"]["where"] == "PIP_INDEX_URL"
    assert asked["overruled"][0]["where"] == str(own_home / ".pip/pip.conf")


def run(env: dict[str, str], *words: str) -> Any:
    whole = {**env, "PYTHONPATH": str(Path(internlm_setup.__file__).parents[1]), "PYTHONUTF8": "1"}
    line = [sys.executable, "-m", "internlm_setup", "mirrors", *words]
    return json.loads(subprocess.run(line, env=whole, capture_output=True, check=True).stdout)["data"]

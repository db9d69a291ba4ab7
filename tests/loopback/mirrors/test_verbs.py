"""`mirrors list` and `mirrors test` as a person runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import internlm_setup
from internlm_setup.playground.mirror import Mirrors

pytestmark = pytest.mark.loopback

SOURCE = Path(internlm_setup.__file__).parents[1]
FOUR = "near,far,old,late"


def run(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    whole = {**env, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1"}
    line = [sys.executable, "-m", "internlm_setup", "mirrors", *words]
    return subprocess.run(line, env=whole, capture_output=True, encoding="utf-8", check=False)


def data(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)["data"]


def test_list(env: dict[str, str]) -> None:
    """One line a site, the user's own too; retired ones only in JSON."""
    done = run(env, "list")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "pypi conda npm apt" in lines["near"]
    assert "Tsinghua" in lines["tuna"]
    assert "douban" not in lines
    assert "internlm-setup mirrors test" in done.stderr
    sites = {site["id"]: site for site in data(run(env, "list", "--json"))["sites"]}
    assert sites["douban"]["retired"]
    assert sites["tuna"]["families"]["conda"]["channels"]["main"].endswith("/anaconda/pkgs/main")


def test_list_of_a_family(env: dict[str, str]) -> None:
    """Where it is, its channels, and with `-v` who is left out and why."""
    done = run(env, "list", "--family", "conda", "-v", "--lang", "zh")
    assert done.returncode == 0
    assert "https://mirrors.sustech.edu.cn/anaconda" in done.stdout
    assert "nvidia" in done.stdout
    assert "cernet" not in done.stdout
    assert "MirrorZ 有意不为 Anaconda 提供跳转" in done.stderr
    wrong = run(env, "list", "--family", "cnoda")
    assert wrong.returncode == 66
    assert "known families: pypi, conda" in wrong.stderr


def test_a_bad_site_file(env: dict[str, str], own_home: Path) -> None:
    """Exit 78, naming the file and the field."""
    bad = own_home / ".config" / "internlm-setup" / "mirrors" / "bad.yaml"
    bad.write_text("families: {pypi: {}}")
    done = run(env, "list")
    assert done.returncode == 78
    assert f"`{bad}`, families.pypi" in done.stderr


def test_test(env: dict[str, str], mirrors: Mirrors) -> None:
    """A table with a verdict on each, and which is best."""
    mirrors["far"].redirect(mirrors["near"].url)
    mirrors["old"].age_s = 6 * 86400
    mirrors["late"].refuse(403)
    done = run(env, "test", "--family", "pypi", "--site", FOUR)
    assert done.returncode == 0
    lines = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert lines["SITE"].split() == ["FOR", "SITE", "ANSWERS", "FIRST", "BYTE", "FRESHNESS", "SPEED", "VERDICT", "WHY"]
    assert "up to date" in lines["near"]
    assert "iB/s" in lines["near"]
    assert f"sent on to {mirrors['near'].url.removeprefix('http://')}" in lines["far"]
    assert "its copy is behind: 6 d" in lines["old"]
    assert "it refuses this network (403)" in lines["late"]
    assert f"\npypi: {done.stdout.splitlines()[1].split()[1]}" in done.stderr


def test_test_as_data(env: dict[str, str], mirrors: Mirrors) -> None:
    """Everything that the table says and more, for every family that was asked about."""
    mirrors["near"].channels = frozenset({"main", "conda-forge"})
    found = data(run(env, "test", "--site", "near,far", "--json"))["families"]
    assert set(found) == {"pypi", "conda"}
    near = next(site for site in found["conda"]["sites"] if site["site"] == "near")
    assert near["channels"] == {"main": True, "conda-forge": True, "r": False}
    assert (near["answers"], near["sent_on_to"], near["behind_s"]) == (True, None, 0)
    assert near["bytes_per_s"] > 0
    assert found["pypi"]["chosen"] in {"near", "far"}


def test_test_without_network(env: dict[str, str], mirrors: Mirrors) -> None:
    """Said in a table and an error; JSON is still whole."""
    mirrors.close()
    done = run(env, "test", "--family", "npm", "--site", FOUR, "--lang", "zh")
    assert done.returncode == 69
    assert "连接被拒绝" in done.stdout
    assert "未作任何改动" in done.stderr
    whole = json.loads(run(env, "test", "--family", "npm", "--site", FOUR, "--json").stdout)
    assert (whole["exit_code"], whole["status"]) == (69, "partial")
    assert whole["data"]["families"]["npm"]["chosen"] is None
    both = json.loads(run(env, "test", "--site", FOUR, "--json").stdout)
    assert [error["code"] for error in both["errors"]] == ["mirrors.no-site-answers"] * 2


def test_test_of_what_is_not_there(env: dict[str, str]) -> None:
    """A site without the family, an unknown site, an unknown family: 66, with what there is."""
    for words, said in (
        (("--family", "conda", "--site", "cernet"), "MirrorZ leaves Anaconda out"),
        (("--site", "naer"), "did you mean `near`"),
        (("--family", "pip"), "known families"),
        (("--tool", "nothing"), "there is no tool `nothing`"),
    ):
        done = run(env, "test", *words)
        assert done.returncode == 66
        assert said in done.stderr


def test_sites_are_asked_about_what_they_serve(env: dict[str, str], mirrors: Mirrors, own_home: Path) -> None:
    """Without a family: pypi and conda where a named site has them, else whatever it has."""
    only = {"families": {"npm": {"url": f"{mirrors['near'].url}/npm"}}}
    (own_home / ".config" / "internlm-setup" / "mirrors" / "only.yaml").write_text(json.dumps(only))
    assert set(data(run(env, "test", "--site", "only", "--json"))["families"]) == {"npm"}

"""Profiles: the shipped ones and the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.tunnel.errors import BadProfile, UnknownProfile
from internlm_setup.tunnel.forwards import parse
from internlm_setup.tunnel.profiles import Profile, as_yaml, load_profiles

SHIPPED = Path(__file__).parents[3] / "configs" / "tunnels.yaml"


def own(folder: Path, text: str) -> Path:
    file = folder / "tunnels.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_users_file_adds_and_wins(tmp_path: Path) -> None:
    """A profile of the same name is replaced whole, and the default may be another."""
    text = """
default: lab
profiles:
  - {name: lab, host: lab.example.org, port: 2222, user: me, jumps: [gate], remote: ["0:localhost:22"], dynamic: [1080]}
  - {name: internstudio, host: elsewhere}
"""
    found = load_profiles([SHIPPED, own(tmp_path, text)])
    assert found.want().host == "lab.example.org"
    assert found.want("lab").port == 2222
    assert found.want("lab").forwards == (parse("remote", "0:localhost:22"), parse("dynamic", "1080"))
    assert found.want("internstudio").host == "elsewhere"
    assert found.want("internstudio").user is None


def test_a_file_that_is_not_there_or_empty(tmp_path: Path) -> None:
    """Both are no trouble."""
    assert load_profiles([SHIPPED, tmp_path / "none"]) == load_profiles([SHIPPED, own(tmp_path, "")])


def test_a_profile_that_is_not_there() -> None:
    """The message names those that are."""
    with pytest.raises(UnknownProfile, match="internstudio") as caught:
        load_profiles([SHIPPED]).want("lab")
    assert caught.value.exit_code is ExitCode.NOT_FOUND


def test_a_profile_is_written_as_it_is_read(tmp_path: Path) -> None:
    """What a pasted command becomes can go into the user's file."""
    forwards = (parse("local", "6006"), parse("remote", "*:0:[::1]:1"), parse("dynamic", "1080"))
    profile = Profile("lab", SHIPPED_TITLE, "h", "me", 33090, ("~/.ssh/k",), ("a@b:1", "c"), forwards, "on", "openssh")
    found = load_profiles([SHIPPED, own(tmp_path, as_yaml(profile))]).want("lab")
    assert as_yaml(found) == as_yaml(profile)
    assert found.forwards == forwards
    assert (found.compression, found.engine) == ("on", "openssh")


SHIPPED_TITLE = load_profiles([SHIPPED]).want().title


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("profiles: [", "line 1"),
        ("- a", "a list expected"),
        ("profiles: a", "a list expected"),
        ("other: a", "other: there is no such field"),
        ("profiles: [a]", "profiles[1]: `a` does not belong here"),
        ("profiles: [{name: a}]", "profiles[1].host: missing"),
        ("profiles: [{host: a}]", "profiles[1].name: missing"),
        ("profiles: [{name: a b, host: c}]", "profiles[1].name: `a b` does not belong"),
        ("profiles: [{name: a, host: -oProxyCommand=x}]", "profiles[1].host: `-oProxyCommand=x` does not belong"),
        ("profiles: [{name: a, host: b, port: 70000}]", "profiles[1].port: `70000` does not belong"),
        ("profiles: [{name: a, host: b, port: x}]", "profiles[1].port: `x` does not belong"),
        ("profiles: [{name: a, host: b, title: x}]", "profiles[1].title: `x` does not belong"),
        ("profiles: [{name: a, host: b, local: '6006'}]", "profiles[1].local: a list expected"),
        ("profiles: [{name: a, host: b, local: ['0']}]", "profiles[1].local: `-L 0` is no forward: `0` is no port"),
        ("profiles: [{name: a, host: b, compression: yes}]", "profiles[1].compression: `yes` does not belong"),
        ("profiles: [{name: a, host: b, compression: [on]}]", "profiles[1].compression: `['on']` does not belong"),
        ("profiles: [{name: a, host: b, engine: fast}]", "profiles[1].engine: `fast` does not belong"),
        ("profiles: [{name: a, host: b, hold: 3}]", "profiles[1].hold: there is no such field"),
        ("profiles: [{name: a, host: b}, {name: a, host: c}]", "a is given twice"),
        ("default: a", "default: there is no profile `a`"),
        ("default: [a]", "default: there is no profile"),
    ],
)
def test_a_bad_file_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    """The message names the file, the field and what is wrong; the exit code is 78."""
    file = own(tmp_path, text)
    with pytest.raises(BadProfile) as caught:
        load_profiles([SHIPPED, file])
    assert str(file) in caught.value.message()
    assert complaint in caught.value.message()
    assert caught.value.message("zh")
    assert caught.value.exit_code is ExitCode.CONFIG

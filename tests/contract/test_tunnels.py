"""The shipped profiles keep their rules; each is found, never listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from internlm_setup.core.paths import shipped_configs
from internlm_setup.tunnel.forwards import parse
from internlm_setup.tunnel.profiles import FILE, Profile, load_profiles

PATH = shipped_configs() / FILE
PROFILES = load_profiles([PATH])

each_profile = pytest.mark.parametrize("profile", PROFILES.by_name.values(), ids=lambda profile: profile.name)


def test_the_default_is_the_tutorials() -> None:
    """Server, account and forward are what chapter 2.2 of the tutorial types; the port is each machine's own."""
    found = PROFILES.want()
    assert found.name == "internstudio"
    assert (found.host, found.user, found.port) == ("ssh.intern-ai.org.cn", "root", None)
    assert found.forwards == (parse("local", "6006:127.0.0.1:6006"),)


@each_profile
def test_a_profile_is_called_something_in_both_languages(profile: Profile) -> None:
    """Its title is no mere name."""
    assert re.search(r"[A-Za-z]", profile.title.en)
    assert re.search(r"[\u4e00-\u9fff]", profile.title.zh)


@each_profile
def test_a_profile_forwards_something(profile: Profile) -> None:
    """And opens nothing to the network."""
    assert profile.forwards
    assert {each.bind.host for each in profile.forwards} == {""}


def test_the_file_says_where_it_is_from() -> None:
    """Source and date are in its header."""
    text = Path(PATH).read_text("utf-8")
    assert re.search(r"^# Source: ", text, re.MULTILINE)
    assert re.search(r"^# Checked on \d{4}-\d\d-\d\d: ", text, re.MULTILINE)

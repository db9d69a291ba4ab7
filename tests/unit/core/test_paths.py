"""Folders are worked out from what is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.paths import Paths, home_folder, shipped_configs

HOME = Path("/home/me")


def test_defaults_on_linux() -> None:
    """Without variables the XDG defaults hold."""
    paths = Paths.of({}, HOME, "linux")
    assert paths.config_file == HOME / ".config/internlm-setup/config.yaml"
    assert paths.state == HOME / ".local/state/internlm-setup"
    assert paths.cache == HOME / ".cache/internlm-setup"
    assert paths.log_file == HOME / ".local/state/internlm-setup/log/internlm-setup.log"


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_variables_win(platform: str) -> None:
    """Absolute XDG folders are used; relative ones are not."""
    env = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "rel"}
    paths = Paths.of(env, HOME, platform)
    assert (paths.config, paths.log) == (Path("/c/internlm-setup"), Path("/s/internlm-setup/log"))
    assert paths.cache.is_relative_to(HOME)


def test_macos_and_windows() -> None:
    """Each system has its own places."""
    assert Paths.of({}, HOME, "darwin").config == HOME / "Library/Application Support/internlm-setup"
    assert Paths.of({"LOCALAPPDATA": "/l"}, HOME, "win32").state == Path("/l/internlm-setup")
    assert Paths.of({}, HOME, "win32").config == HOME / "AppData/Local/internlm-setup"


def test_home() -> None:
    """HOME is believed when it is absolute."""
    assert home_folder({"HOME": "/throw/away"}) == Path("/throw/away")
    assert home_folder({"HOME": "x"}) == Path.home()


def test_shipped_configs_are_there() -> None:
    """The data files are found."""
    assert (shipped_configs() / "hubs.yaml").is_file()

"""Where this tool keeps its own files, worked out from what it is given.

Nothing here reads the process's environment or makes a folder: a throw-away HOME is an argument.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

NAME = "internlm-setup"


@dataclass(frozen=True, slots=True)
class Paths:
    """The tool's own folders; none of them need exist.

    Attributes:
        config: What the user wrote: `config.yaml`, `models/*.yaml`.
        state: What the tool remembers, such as the list of past fetches.
        cache: What can be deleted at any time.
        log: The log files.
    """

    config: Path
    state: Path
    cache: Path
    log: Path

    @property
    def config_file(self) -> Path:
        """The user's settings."""
        return self.config / "config.yaml"

    @property
    def log_file(self) -> Path:
        """The log that is being written now."""
        return self.log / f"{NAME}.log"

    @classmethod
    def of(cls, env: Mapping[str, str], home: Path, platform: str = sys.platform) -> Paths:
        """Work the folders out.

        Args:
            env: The environment; absolute `XDG_*` folders win everywhere.
            home: The home folder.
            platform: As `sys.platform` spells it.

        Source:
            XDG Base Directory Specification 0.8; on macOS and Windows as `platformdirs` has it.
        """
        config, state, cache = _defaults(env, home, platform)
        state_dir = _xdg(env, "XDG_STATE_HOME") or state
        return cls(
            config=_xdg(env, "XDG_CONFIG_HOME") or config,
            state=state_dir,
            cache=_xdg(env, "XDG_CACHE_HOME") or cache,
            log=state_dir / "log",
        )


def home_folder(env: Mapping[str, str]) -> Path:
    """Return the home folder an environment speaks of, or the account's where it speaks of none."""
    named = env.get("HOME") or env.get("USERPROFILE")
    return Path(named) if named and PurePath(named).is_absolute() else Path.home()


def shipped_configs() -> Path:
    """Return the folder of data files that came with this installation.

    A wheel carries it inside the package; an editable installation uses the repository's.
    """
    inside = Path(__file__).parents[1] / "configs"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "configs"


def _defaults(env: Mapping[str, str], home: Path, platform: str) -> tuple[Path, Path, Path]:
    if platform == "darwin":
        support = home / "Library" / "Application Support" / NAME
        return support, support, home / "Library" / "Caches" / NAME
    if platform == "win32":
        local = Path(env.get("LOCALAPPDATA") or home / "AppData" / "Local") / NAME
        return local, local, local / "Cache"
    return home / ".config" / NAME, home / ".local" / "state" / NAME, home / ".cache" / NAME


def _xdg(env: Mapping[str, str], name: str) -> Path | None:
    """Return our folder under a variable's; relative ones do not count (the specification)."""
    value = env.get(name, "")
    return Path(value) / NAME if PurePath(value).is_absolute() else None

"""What one run of the command line has: its environment, language, output, folders and settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internlm_setup.cli.options import Common
from internlm_setup.cli.output import Output
from internlm_setup.core.paths import Paths
from internlm_setup.core.setting_rules import Origin, Value
from internlm_setup.core.text import Language

if TYPE_CHECKING:
    from internlm_setup.core.settings import Settings
    from internlm_setup.fetch.transfer.events import Listener


@dataclass(frozen=True, slots=True)
class Session:
    """Handed to every command as Typer's `ctx.obj`.

    Attributes:
        argv: The command line as typed, without the program's name.
        env: The environment.
        home: The home folder.
        paths: This tool's own folders.
        language: Of everything said.
        language_origin: Where that choice came from.
        common: What the common options said.
        output: The only way to say anything.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    home: Path
    paths: Paths
    language: Language
    language_origin: Origin
    common: Common
    output: Output

    @classmethod
    def of(cls, ctx: Any) -> Session:
        """Return the session of a Typer context."""
        session = ctx.obj
        if not isinstance(session, cls):
            raise TypeError("the context was not made by cli.app.run")
        return session

    def settings(self, **given: Value) -> Settings:
        """Resolve every setting; `given` is what the command's options said, None for the others.

        Raises:
            ConfigError: The user's file or a variable holds something that is not allowed.
            BadOption: An option does.
        """
        from internlm_setup.core.paths import shipped_configs
        from internlm_setup.core.settings import hub_defaults, resolve_settings

        return resolve_settings(
            env=self.env,
            config_file=self.paths.config_file,
            hubs=hub_defaults(shipped_configs() / "hubs.yaml"),
            given={"lang": self.common.lang, **given},
        )

    def progress(self) -> AbstractContextManager[Listener]:
        """Return what shows events while work is done: `with session.progress() as listener: …`."""
        from internlm_setup.cli.progress import progress

        return progress(self.output)


def expanded(path: Path) -> Path:
    """Return a path with a leading `~` as the home folder; where nobody has that name, it is a name like any other."""
    with suppress(RuntimeError):
        return path.expanduser()
    return path

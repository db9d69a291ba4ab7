"""internlm-setup: from a bare machine to a verified InternLM model you can talk to.

The Python door. Nothing heavy is imported until a function is called.

Example:
    from internlm_setup import fetch, hubs

    path = fetch("internlm-chat-7b", source="modelscope", to="models/chat")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from internlm_setup.core.errors import SetupError
    from internlm_setup.fetch.transfer.events import Event

    __version__: str

__all__ = ["SetupError", "__version__", "fetch", "hubs"]


def fetch(
    model: str = "",
    *,
    source: str | None = None,
    revision: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    to: str | PathLike[str] | None = None,
    layout: str = "dir",
    jobs: int | None = None,
    limit_rate: str | None = None,
    force: bool = False,
    engine: str = "native",
    lock: str | PathLike[str] | None = None,
    reuse: Sequence[str | PathLike[str]] = (),
    copy: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Path:
    """Download a model, verify every file, and return its folder.

    Stopped and called again, it goes on where it was. Settings come from the arguments, then the environment
    (`INTERNLM_SETUP_SOURCE`, `HF_ENDPOINT`, …), then the user's `config.yaml`, as on the command line.

    Args:
        model: A name that `internlm-setup models list` shows, or `ORG/NAME`; left away to fetch what `lock` says.
        source: `auto`, a hub's id, or several joined by commas in order of preference.
        revision: Branch, tag or commit; None for the hub's default.
        include: Globs of files to take; empty means all.
        exclude: Globs of files to leave.
        to: The destination; None means `./<repository name>`.
        layout: `dir`, `hf-cache` or `modelscope-cache`.
        jobs: Connections in all.
        limit_rate: Speed limit in all, such as `"10M"` for 10 MiB/s.
        force: Replace files that are in the way.
        engine: `native`, or `official` for the vendor's own downloader; both verify every file.
        lock: The lock file to write; without a model, the one that says what to fetch.
        reuse: Folders to search for files that need not be downloaded, beside those that are searched anyway.
        copy: Whether files found on this machine are copied, never hard linked.
        on_event: Told the values of `internlm_setup.fetch.transfer.events` as things happen, one at a time.

    Returns:
        The absolute path of the model's folder.

    Raises:
        SetupError: With `code`, `message("en")`, `next_step("en")` and `exit_code`; whatever came is kept.
    """
    import os

    from internlm_setup.core.log import close_log, open_log
    from internlm_setup.core.paths import Paths, home_folder, shipped_configs
    from internlm_setup.core.settings import hub_defaults, resolve_settings
    from internlm_setup.fetch import service
    from internlm_setup.fetch.transfer.events import ignore
    from internlm_setup.fetch.world import make_world

    env = dict(os.environ)
    home = home_folder(env)
    paths = Paths.of(env, home)
    settings = resolve_settings(
        env=env,
        config_file=paths.config_file,
        hubs=hub_defaults(shipped_configs() / "hubs.yaml"),
        given={"source": source, "jobs": jobs, "limit_rate": limit_rate},
    )
    request = service.Request(
        model=model,
        sources=settings.sources,
        revision=revision,
        include=tuple(include),
        exclude=tuple(exclude),
        to=None if to is None else Path(to).expanduser(),
        layout=layout,
        jobs=settings.jobs,
        most_jobs=settings.most_jobs,
        limit_rate_bytes_per_s=settings.limit_rate_bytes_per_s,
        force=force,
        engine=engine,
        lock=None if lock is None else Path(lock).expanduser(),
        reuse=tuple(Path(folder).expanduser() for folder in reuse),
        copy=copy,
    )
    world = make_world(env, home, Path.cwd(), paths, settings)
    log = open_log(paths.log_file)
    try:
        return service.fetch(request, world, on_event or ignore).path
    finally:
        close_log(log)


def hubs() -> tuple[str, ...]:
    """Return the ids that `source` takes: the shipped hubs and those of other installed distributions."""
    from internlm_setup.fetch.hubs import known

    return tuple(known())


if not TYPE_CHECKING:  # a type checker must see a misspelt name as one

    def __getattr__(name: str) -> object:
        """Load the version and the error's base class on first use."""
        if name == "__version__":
            from importlib.metadata import version

            return version("internlm-setup")
        if name == "SetupError":
            from internlm_setup.core.errors import SetupError

            return SetupError
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

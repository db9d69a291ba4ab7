"""When no hub answers: a folder that looks like the model, offered as what it is, found and not verified."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from internlm_setup.core.errors import SetupError, SeveralErrors, UnavailableError
from internlm_setup.core.parallel import within
from internlm_setup.core.text import Text
from internlm_setup.fetch import history
from internlm_setup.fetch.compare import is_weights
from internlm_setup.fetch.errors import HubUnreachable
from internlm_setup.fetch.reuse.places import places
from internlm_setup.fetch.reuse.search import PATIENCE_S
from internlm_setup.fetch.transfer.plan import STATE_FOLDER
from internlm_setup.fetch.world import World

_WITH_RECORD = Text(en="to check it against its own record, without a network", zh="无需网络，按其自身记录核对")
_WITHOUT = Text(
    en="use it as it is, or have it verified once a hub answers",
    zh="可以直接使用；待平台可用后再校验",
)


@dataclass(eq=False)
class FoundNotVerified(UnavailableError):
    """No hub answers, and a folder that looks like the model is on this machine."""

    model: str
    folder: str
    how: Text
    command: str

    code = "fetch.found-not-verified"
    text = Text(
        en="no hub answers, but `{folder}` looks like `{model}`: found, not verified",
        zh="没有平台应答，但 `{folder}` 看起来是 `{model}`：已找到，【未经】校验",
    )
    hint = Text(en="{how}: `{command}`", zh="{how}：`{command}`")


@contextmanager
def offered(model: str, sources: Sequence[str], asked: Sequence[Path], world: World) -> Iterator[None]:
    """Add to the failure of every hub in the block what is on this machine, if anything is.

    Raises:
        SeveralErrors: The hubs' failures and FoundNotVerified; the exit code is that of the failures.
    """
    try:
        yield
    except SetupError as error:
        failures = error.errors if isinstance(error, SeveralErrors) else (error,)
        if not all(isinstance(one, HubUnreachable) for one in failures):
            raise
        wanted = world.catalog.want(model, sources or None)
        folder = _known_folder(wanted.name, wanted.ids.values(), asked, world)
        if folder is None:
            raise
        if (folder / STATE_FOLDER / "manifest.json").is_file():
            how, words = _WITH_RECORD, ["verify", str(folder)]
        else:
            how, words = _WITHOUT, ["fetch", model, "--reuse", str(folder)]
        offer = FoundNotVerified(wanted.name, str(folder), how, shlex.join(["internlm-setup", *words]))
        raise SeveralErrors([*failures, offer]) from error


def _known_folder(name: str, repos: Iterable[str], asked: Sequence[Path], world: World) -> Path | None:
    """Return the folder of an earlier fetch of this name, else the first that was asked for or is called so."""
    fetched = history.find(world.state, name)
    if fetched is not None and _holds_files(fetched):
        return fetched
    named = [pattern for repo in dict.fromkeys(repos) for pattern in _patterns(repo)]
    for place in places(asked, world.local_models, world.state, world.home, world.env):
        if place.folder in asked and _holds_a_model(place.folder):
            return place.folder
        try:
            folder = within(PATIENCE_S, partial(_called_so, place.folder, named))
        except TimeoutError:  # a dead network share
            continue
        if folder is not None:
            return folder
    return None


def _patterns(repo: str) -> Iterator[str]:
    """Yield what a repository's folder may be called: plainly, and in the vendors' caches, old and new."""
    owner, _, name = glob.escape(repo).rpartition("/")
    for flat in (name, f"{owner}/{name}", f"models/{owner}/{name}", f"hub/models/{owner}/{name}"):
        yield flat.replace(".", "___")  # ModelScope's way before 1.38
        yield flat
    yield f"models--{owner}--{name}/snapshots/*"
    yield f"models/{owner}--{name}/snapshots/*"


def _called_so(top: Path, patterns: Sequence[str]) -> Path | None:
    found = (folder for pattern in patterns for folder in sorted(top.glob(pattern)))
    return next((folder for folder in found if _holds_files(folder)), None)


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_file() for path in folder.iterdir())


def _holds_a_model(folder: Path) -> bool:
    """Say whether any model lies in a folder itself; which one it is, nothing tells."""
    files = (path for path in folder.iterdir() if path.is_file())
    return any(path.name == "config.json" or is_weights(path.name) for path in files)

"""Stand-ins on loopback for every mirror site of the catalogue and for the dev machine, and files that lead there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Serving
    from internlm_setup.playground.mirror import Mirrors
    from internlm_setup.playground.sshd import DevMachine

SSH_PORT = 33090  # the tutorial's, where it is free


@contextmanager
def stand_ins(folder: Path) -> Iterator[Mirrors]:
    """Serve until the block ends.

    Args:
        folder: Gets one file a site, to be laid over the catalogue (`INTERNLM_SETUP_MIRRORS`).
    """
    from internlm_setup.core.paths import shipped_configs
    from internlm_setup.mirrors.sites import load_sites
    from internlm_setup.playground.mirror import Mirrors

    living = [site for site in load_sites([shipped_configs() / "mirrors"]) if site.retired is None]
    with Mirrors(*(site.id for site in living)) as mirrors:
        for site in living:
            own = mirrors[site.id]
            if "conda" in site.families:
                own.channels = frozenset(site.families["conda"].channels)
            families = {family: _moved(serving, own.url) for family, serving in site.families.items()}
            # JSON is YAML, and needs no library.
            (folder / f"{site.id}.yaml").write_text(json.dumps({"families": families}), encoding="utf-8")
        yield mirrors


def _moved(serving: Serving, origin: str) -> dict[str, object]:
    """Return what a site serves as if it were at another origin."""
    moved: dict[str, object] = {"url": origin + urlsplit(serving.url).path}
    if serving.channels:
        moved["channels"] = {name: origin + urlsplit(url).path for name, url in serving.channels.items()}
    return moved


def dev_host() -> str:
    """Return the name that the dev machine stands in for."""
    from internlm_setup.tunnel.profiles import load_profiles
    from internlm_setup.tunnel.service import SHIPPED

    return load_profiles([SHIPPED]).want().host


@contextmanager
def dev_machine(home: Path) -> Iterator[DevMachine]:
    """Run a dev machine until the block ends.

    It lets in whoever has the key to a `.pub` in `home`'s `.ssh`.

    Args:
        home: Its `.ssh` gets what leads `ssh.intern-ai.org.cn` there and makes its key known; the real `ssh`, which
            looks for its files elsewhere, is given them by `-F`.
    """
    from internlm_setup.playground.sshd import DevMachine
    from internlm_setup.ssh_key.service import FILES

    folder = home / ".ssh"
    folder.mkdir(mode=0o700)
    with DevMachine([folder], SSH_PORT) as machine:
        known, *keys = (folder / file for file in ("known_hosts", *FILES.values()))
        known.write_text(machine.known_line, encoding="utf-8")
        own = ["HostName 127.0.0.1", "User root", f'UserKnownHostsFile "{known}"']
        lines = [f"Host {dev_host()}", *own, *(f'IdentityFile "{key}"' for key in keys)]
        (folder / "config").write_text("\n    ".join(lines) + "\n", encoding="utf-8")
        yield machine


def give_key(home: Path) -> None:
    """Make a key for a home that is thrown away, so that its first command can log in to the dev machine."""
    from internlm_setup.ssh_key import service

    service.create(service.key_folder(home) / service.FILES["ed25519"], "ed25519", "you@playground")

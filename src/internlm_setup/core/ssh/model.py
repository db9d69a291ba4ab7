"""The values of an SSH connection: whom to reach, as whom, and by which keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HostSpec:
    """One server, resolved: command line over profile over `~/.ssh/config` over defaults.

    Attributes:
        host: The name or address to connect to.
        port: Its port.
        user: The account there.
        alias: What the person called it; host keys are looked up by `host` and `port` all the same.
        identity_files: Private keys to try, in order; those that are not there are passed over.
        identities_only: Whether the agent's other keys stay out of it.
        certificate_files: Certificates of these keys; `<key>-cert.pub` is looked for by itself.
        known_hosts: Files of known host keys, the one that is written first.
        proxy_command: A program whose input and output are the connection, ready to run; None for TCP.
        jumps: Servers to go through first, nearest first.
        known_as: The name that host keys are looked up by instead (`HostKeyAlias`); empty for `host`.
    """

    host: str
    port: int = 22
    user: str = ""
    alias: str = ""
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    certificate_files: tuple[Path, ...] = ()
    known_hosts: tuple[Path, ...] = ()
    proxy_command: str | None = None
    jumps: tuple[HostSpec, ...] = ()
    known_as: str = ""

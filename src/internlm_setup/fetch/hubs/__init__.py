"""The hubs: one file each, found by `core.registry`, or in another distribution through the entry-point group below.

A hub's file holds a class with the members of `fetch.model.Hub` under the name `HUB`. It is made with the endpoint to
ask (None: its own), and the run's `Network`, environment and home folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from internlm_setup.core import registry
from internlm_setup.core.http import Network
from internlm_setup.fetch.errors import UnknownHub
from internlm_setup.fetch.model import Hub

ENTRY_POINTS = "internlm_setup.hubs"


class HubMaker(Protocol):
    """A hub's class: makes one when called, and says what it is called before that."""

    id: str
    title: str

    def __call__(self, *, endpoint: str | None, network: Network, env: Mapping[str, str], home: Path) -> Hub:
        """Make the hub; `endpoint` None means its own."""
        ...


def known() -> dict[str, HubMaker]:
    """Return every installed hub's class by its id."""
    return registry.plugins(__name__, "HUB", ENTRY_POINTS)


def is_known(hub_id: str) -> bool:
    """Say whether a hub is installed; a shipped one is not imported for that."""
    return registry.module(__name__, hub_id) is not None or hub_id in known()


def get(hub_id: str) -> HubMaker:
    """Return one hub's class.

    Raises:
        UnknownHub: No such hub is installed.
    """
    hub: HubMaker | None = registry.plugin(__name__, "HUB", hub_id, ENTRY_POINTS)
    if hub is None:
        raise UnknownHub(hub_id, ", ".join(known()))
    return hub


def make(hub_id: str, endpoint: str | None, network: Network, env: Mapping[str, str], home: Path) -> Hub:
    """Make one hub.

    Raises:
        UnknownHub: No such hub is installed.
    """
    return get(hub_id)(endpoint=endpoint, network=network, env=env, home=home)

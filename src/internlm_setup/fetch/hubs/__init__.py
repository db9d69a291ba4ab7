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


def make(hub_id: str, endpoint: str | None, network: Network, env: Mapping[str, str], home: Path) -> Hub:
    """Make one hub.

    Raises:
        UnknownHub: No such hub is installed.
    """
    classes = known()
    if hub_id not in classes:
        raise UnknownHub(hub_id, ", ".join(classes))
    return classes[hub_id](endpoint=endpoint, network=network, env=env, home=home)

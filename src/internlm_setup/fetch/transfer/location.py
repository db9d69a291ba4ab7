"""Where the bytes of a content are: one worker asks the hub, the others wait a moment for what it learns.

Their own questions would have the same answer, and come no sooner.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from internlm_setup.core.http import origin_of
from internlm_setup.fetch.model import Location

MOST_WAITING_S = 2.0
LOOK_EVERY_S = 0.1


class Whereabouts:
    """The location of one content, as far as it is known. Safe for several threads."""

    def __init__(self, locate: Callable[[], Location]) -> None:
        self._locate = locate
        self._changed = threading.Condition()
        self._location: Location | None = None
        self._known = False
        self._stays = True  # no redirect leads elsewhere
        self._asked = False

    @property
    def at_hub(self) -> bool:
        """Whether the hub itself is asked next, as far as is known. Takes no lock: others hold it for long."""
        return not self._known or self._stays

    @contextmanager
    def asking(self, cancelled: threading.Event) -> Iterator[Location]:
        """Give the location to ask at, while it is asked; waits when somebody else is on the way to learn a better one.

        What he does not learn within 2 s, or at all, the next one asks for himself.
        """
        with self._changed:
            give_up_s = time.monotonic() + MOST_WAITING_S
            while self._asked and time.monotonic() < give_up_s and not cancelled.is_set():
                self._changed.wait(LOOK_EVERY_S)
            location = self._location = self._location or self._locate()
            may_lead_on = not self._known and origin_of(location.url) == location.origin
            self._asked |= may_lead_on
        try:
            yield location
        finally:
            if may_lead_on:
                self._answered()

    def _answered(self) -> None:
        with self._changed:
            self._asked = False
            self._changed.notify_all()

    def learned(self, final: Location) -> None:
        """Remember where the redirects lead, so that everyone goes there at once."""
        stays = origin_of(final.url) == final.origin
        with self._changed:
            self._location, self._known, self._stays = final, True, stays
            self._answered()

    def forget(self) -> None:
        """The location is stale."""
        with self._changed:
            self._location, self._known = None, False

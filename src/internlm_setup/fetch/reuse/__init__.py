"""What is on this machine already, before any network: found by size, proved by hash, then cloned, linked or copied.

`search` only looks; `take` puts what proves right in place; `offered` speaks up when no hub answers.
"""

from __future__ import annotations

from internlm_setup.fetch.reuse.offer import offered
from internlm_setup.fetch.reuse.places import named, places
from internlm_setup.fetch.reuse.search import Found, search
from internlm_setup.fetch.reuse.take import Taken, take

__all__ = ["Found", "Taken", "named", "offered", "places", "search", "take"]

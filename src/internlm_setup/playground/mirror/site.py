"""One stand-in site: what it serves, and everything that can be wrong with it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import formatdate
from fnmatch import fnmatchcase

NEWEST_SERIAL = 30_000_000
_CHANGES_PER_S = 0.1  # of the index that all copy


@dataclass(frozen=True, slots=True)
class Rule:
    """What a site does with some of its paths.

    Attributes:
        path: A pattern of `fnmatch` that the whole path must match.
        status: What is answered.
        to: For a redirect: the origin that the path is looked for at.
    """

    path: str
    status: int
    to: str = ""


@dataclass(slots=True)
class MirrorSite:
    """A site; every field may be changed while it serves.

    Attributes:
        name: What it is called in the log.
        url: Its origin, once it listens.
        latency_s: How long it thinks before each answer.
        bytes_per_s: How fast each of its bodies leaves; None for as fast as it goes.
        age_s: How long ago it last copied anything.
        channels: The conda channels it has; None for whichever is asked for.
        rules: The first whose path matches decides; where none does, the copy is served.
    """

    name: str
    url: str = ""
    latency_s: float = 0.0
    bytes_per_s: float | None = None
    age_s: float = 0.0
    channels: frozenset[str] | None = None
    rules: list[Rule] = field(default_factory=list)
    began_s: float = field(default_factory=time.time)

    def refuse(self, status: int, path: str = "*") -> None:
        """Answer with a status of failure where the path matches."""
        self.rules.insert(0, Rule(path, status))

    def redirect(self, to: str, path: str = "*", status: int = 302) -> None:
        """Send whoever asks for such a path on to another origin."""
        self.rules.insert(0, Rule(path, status, to))

    def rule(self, path: str) -> Rule | None:
        """Return the rule that decides about a path, if one does."""
        return next((rule for rule in self.rules if fnmatchcase(path, rule.path)), None)

    @property
    def serial(self) -> int:
        """The number of the last change that it knows of."""
        return NEWEST_SERIAL - int(self.age_s * _CHANGES_PER_S)

    @property
    def copied_at(self) -> str:
        """When it last copied anything, as HTTP writes it."""
        return formatdate(self.began_s - self.age_s, usegmt=True)

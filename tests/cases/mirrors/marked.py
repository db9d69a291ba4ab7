"""Files with what becomes of them: `<old => new>` is what changes, and all else stays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Serving, Site, Wish

MIRROR = "https://mirror.test"
FAMILIES = {"pypi": "/pypi/simple", "npm": "/npm", "python": "/python-builds"}
SITE = Site(
    id="mirror",
    title=Text(en="Mirror", zh="镜像"),
    checked_on="2026-11-01",
    families={name: Serving(MIRROR + path, "full", f"{MIRROR}/help") for name, path in FAMILIES.items()},
)
WISH = Wish(SITE)
_CHANGE = re.compile(r"<([^<>]*) => ([^<>]*)>")


@dataclass(frozen=True, slots=True)
class Case:
    """One file, and what it becomes."""

    name: str
    before: bytes
    after: bytes


def cases(bodies: Mapping[str, str]) -> Iterator[Case]:
    """Return each file up to three times: as it is, with CRLF, and without the end of a last line that stays.

    Args:
        bodies: Name to marked text; `@p@`, `@n@` and `@b@` stand for the mirror's PyPI, npm and builds of Python.
    """
    marks = {"@p@": "pypi", "@n@": "npm", "@b@": "python"}
    for name, body in bodies.items():
        marked = re.sub("@[pnb]@", lambda found: SITE.families[marks[found[0]]].url, body)
        yield _case(name, marked)
        if "\n" in _CHANGE.sub(r"\1", marked):
            yield _case(f"{name}, CRLF", marked.replace("\n", "\r\n"))
        if marked.endswith("\n"):
            yield _case(f"{name}, cut", marked[:-1])


def _case(name: str, marked: str) -> Case:
    return Case(name, _CHANGE.sub(r"\1", marked).encode(), _CHANGE.sub(lambda found: found[2], marked).encode())

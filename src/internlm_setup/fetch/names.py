"""What people type as a model's name, a page's address included; and how names compare.

Pure. Which model a name means is `fetch.catalog`'s business.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import BadModelName

PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.)){0,127}")
REPO = re.compile(f"{PART.pattern}/{PART.pattern}")
EITHER = re.compile(f"(?:{PART.pattern}/)?{PART.pattern}")

# Words in the host of a model's page, with their hub; what may follow `ORG/NAME` in the address.
_SITES = {"hf": "huggingface", "hf-mirror": "huggingface"}
_SITES |= {hub: hub for hub in ("huggingface", "modelscope", "openxlab", "modelers")}
_PAGE_TAILS = ("", "tree/main", "tree/master", "files", "summary")
_NO_PAGE = Text(en="not a model's page at a hub we know", zh="不是已知模型库的模型页面")
_MORE_THAN_A_MODEL = Text(en="the address names a revision or a file too", zh="该地址还包含版本或文件")
_NOT_A_NAME = Text(
    en="a name is letters, digits, `.`, `_` and `-`, with one `/` at most",
    zh="名称由字母、数字、`.`、`_`、`-` 组成，最多一个 `/`",
)


def split_revision(typed: str) -> tuple[str, str | None]:
    """Return what was typed before and after an `@`; a page's address has no such part."""
    name, at, revision = typed.strip().partition("@")
    return (typed, None) if "://" in typed or not at else (name, revision or None)


def read_name(typed: str) -> tuple[str, str | None]:
    """Return the name or `ORG/NAME` that was typed, and the hub if it was a page's address."""
    name, hub = typed.strip(), None
    scheme, is_url, rest = name.rpartition("://")
    if is_url or ("." in name.split("/")[0].strip(".") and name.count("/") > 1):  # HOST/ORG/NAME
        rest = re.split(r"[?#]", rest)[0].rpartition("@")[2]  # the rest may be a token: never shown
        host, *path = rest.strip("/").split("/")
        hub = next((_SITES[word] for word in host.casefold().split(".") if word in _SITES), None)
        path = path[2 if path[:2] == ["models", "detail"] else path[:1] == ["models"] :]
        name, tail = "/".join(path[:2]), "/".join(path[2:])
        if hub is None or "/" not in name or scheme not in {"", "http", "https"}:
            raise BadModelName(shown(rest), _NO_PAGE)
        if EITHER.fullmatch(name) and tail not in _PAGE_TAILS:
            command = f"internlm-setup fetch {name}"
            revision = tail.removeprefix("tree/")
            if tail != revision and EITHER.fullmatch(revision):
                command += f" --revision {revision}"
            raise BadModelName(shown(rest), _MORE_THAN_A_MODEL, command)
    if not EITHER.fullmatch(name):
        raise BadModelName(shown(name), _NOT_A_NAME)
    return name, hub


def shown(name: str) -> str:
    """Return a name as it may be printed: no control characters, not without end."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name[:200])


def short(repo: str) -> str:
    """Return the name without its organisation."""
    return repo.rpartition("/")[2]


def plain(name: str) -> str:
    """Return the name without case, with one separator for all."""
    return re.sub(r"[._-]", "-", name.casefold())


def likeness(one: str, other: str) -> float:
    """Compare two plain names, from 0 to 1: whole, by their words, and one inside the other."""
    pairs = (one, other), ("-".join(sorted(one.split("-"))), "-".join(sorted(other.split("-"))))
    alike = max(SequenceMatcher(None, *pair).ratio() for pair in pairs)
    return 0.8 + alike / 5 if one in other else alike


def natural(name: str) -> list[str | int]:
    """Return a key that sorts numbers by value."""
    return [int(t) if t.isdecimal() else t for t in re.split(r"([0-9]+)", name.casefold())]

"""What a site is asked about each family: a small page that every site has, how new it is, and a file to time.

Nothing is downloaded by an address of ours: the file to time is one that the site's own answer names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Family, Serving
from internlm_setup.mirrors.probe.ask import Heard, Query
from internlm_setup.mirrors.sites import channel_url

DAY_S = 86400.0
NEEDED_CHANNELS = ("main", "conda-forge")  # what a site must have to be worth choosing for conda

_LEAD_CHANNELS = ("conda-forge", "main")  # conda-forge changes every hour, which makes its age worth knowing
_BUSY = "botocore"  # released on every working day
_LARGE_AT_HUB = "internlm/internlm-chat-7b/resolve/main/pytorch_model-00001-of-00008.bin"
_CUDA = "cu128"
# Suites that change every day; the first of these distributions that a site has is looked at.
_SUITES = (
    ("debian", "sid"),
    ("ubuntu", "noble-updates"),
    ("ubuntu-ports", "noble-updates"),
    ("debian-security", "stable-security"),
)
_HREF = re.compile(rb"""href=["']([^"'#]+\.whl)[#"']""")
_SERIAL = re.compile(rb"<!--\s*SERIAL (\d+)\s*-->")
_LATEST = re.compile(rb'"latest"\s*:\s*"([0-9A-Za-z.+-]+)"')
_RELEASE_DATE = re.compile(rb"^Date: (.+)$", re.MULTILINE)
_RELEASE_FILE = re.compile(rb"^ [0-9a-f]{32,128}\s+(\d+)\s+(\S+\.(?:gz|xz|bz2))$", re.MULTILINE)
_PAGE_BYTES = 512 << 10


@dataclass(frozen=True, slots=True)
class Stamp:
    """How new a copy says that it is: the number of the last change, and when that was, where it says so."""

    serial: int | None = None
    modified_s: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """How one site is asked about one family.

    Attributes:
        looks: Tried in order until one is answered with what `is_right` takes.
        is_right: Whether that is what such a site says.
        age: Asked for the stamp; None where the look itself shows it.
        stamp: Reads it.
        sample: The address of a file to time, out of the look; None where it names none.
        what: What was expected, for people.
    """

    looks: tuple[Query, ...]
    is_right: Callable[[Heard], bool]
    what: Text
    sample: Callable[[Heard], str | None]
    stamp: Callable[[Heard], Stamp]
    age: Query | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How far behind the newest a copy may be: above `stale_s` it is put last, above `dead_s` it is not used."""

    stale_s: float = 3 * DAY_S
    dead_s: float = 14 * DAY_S


PATIENCE: Mapping[Family, Patience] = {"pypi": Patience(stale_s=DAY_S)}


def question(family: Family, serving: Serving, subdir: str) -> Question:
    """Return how a site is asked; `subdir` is conda's folder of this machine's packages."""
    return _MAKERS[family](serving, subdir)


def _pypi(serving: Serving, _: str) -> Question:
    page = {"Accept": "text/html"}
    return Question(
        looks=(Query(f"{serving.url}/pip/", headers=page, most_bytes=_PAGE_BYTES),),
        is_right=lambda heard: bool(_HREF.search(heard.body)),
        what=Text(en="a package index", zh="软件包索引"),
        sample=_last_wheel,
        stamp=_serial,
        age=Query(f"{serving.url}/{_BUSY}/", headers={**page, "Range": "bytes=-1024"}, most_bytes=1024),
    )


def _conda(serving: Serving, subdir: str) -> Question:
    names = [name for name in _LEAD_CHANNELS if name in serving.channels] or list(serving.channels) or ["conda-forge"]
    return Question(
        looks=channel_looks(channel_url(serving, names[0]), subdir),
        is_right=is_file,
        what=Text(en="a conda channel", zh="conda 频道"),
        sample=lambda heard: heard.url,
        stamp=_modified,
    )


def is_file(heard: Heard) -> bool:
    """Tell a file from the page with which a portal answers everything."""
    return not heard.headers.get("content-type", "").startswith("text/html")


def channel_looks(url: str, subdir: str) -> tuple[Query, ...]:
    """Return how it is seen that a channel is there: by its index, compressed or plain."""
    return tuple(Query(f"{url}/{subdir}/repodata.json{end}", "HEAD") for end in (".zst", ""))


def _npm(serving: Serving, _: str) -> Question:
    def sample(heard: Heard) -> str | None:
        latest = _LATEST.search(heard.body)
        return f"{serving.url}/npm/-/npm-{latest[1].decode()}.tgz" if latest else None

    short = {"Accept": "application/vnd.npm.install-v1+json"}
    return Question(
        looks=(Query(f"{serving.url}/npm", headers=short),),
        is_right=lambda heard: heard.body.lstrip()[:1] == b"{",
        what=Text(en="an npm registry", zh="npm registry"),
        sample=sample,
        stamp=_modified,
    )


def _apt(serving: Serving, _: str) -> Question:
    name, suite = next((pair for pair in _SUITES if pair[0] in serving.paths), _SUITES[0])
    return Question(
        looks=(Query(f"{serving.url}/{serving.paths.get(name, name)}/dists/{suite}/Release"),),
        is_right=lambda heard: b"\nSuite: " in b"\n" + heard.body,
        what=Text(en="an apt tree", zh="apt 软件源"),
        sample=_largest_list,
        stamp=_release_date,
    )


def _huggingface(serving: Serving, _: str) -> Question:
    large = f"{serving.url}/{_LARGE_AT_HUB}"
    return Question(
        looks=(Query(large, "HEAD"),),
        is_right=is_file,
        what=Text(en="a model hub", zh="模型库"),
        sample=lambda _: large,
        stamp=_unknown,
    )


def _pytorch(serving: Serving, _: str) -> Question:
    page = f"{serving.url}/{_CUDA}/torch/" if serving.style == "index" else f"{serving.url}/{_CUDA}/"
    return Question(
        looks=(Query(page, most_bytes=_PAGE_BYTES),),
        is_right=lambda heard: bool(_HREF.search(heard.body)),
        what=Text(en="a page of wheels", zh="wheel 列表页"),
        sample=_last_wheel,
        stamp=_unknown,
    )


def _python(serving: Serving, _: str) -> Question:
    return Question(
        looks=(Query(f"{serving.url}/"),),
        is_right=lambda _: True,
        what=Text(en="a folder of releases", zh="发布文件目录"),
        sample=lambda _: None,
        stamp=_unknown,
    )


_MAKERS: Mapping[Family, Callable[[Serving, str], Question]] = {
    "pypi": _pypi,
    "conda": _conda,
    "npm": _npm,
    "apt": _apt,
    "huggingface": _huggingface,
    "pytorch": _pytorch,
    "python": _python,
}


def _last_wheel(heard: Heard) -> str | None:
    found: Sequence[bytes] = _HREF.findall(heard.body)
    return urljoin(heard.url, found[-1].decode("utf-8", "replace")) if found else None


def _largest_list(heard: Heard) -> str | None:
    found = max(_RELEASE_FILE.findall(heard.body), key=lambda row: int(row[0]), default=None)
    return urljoin(heard.url, found[1].decode("utf-8", "replace")) if found else None


def _serial(heard: Heard) -> Stamp:
    found = _SERIAL.search(heard.body)
    said = found[1].decode() if found else heard.headers.get("x-pypi-last-serial", "")
    return Stamp(int(said) if said.isdecimal() else None, _modified(heard).modified_s)


def _modified(heard: Heard) -> Stamp:
    return Stamp(modified_s=_seconds(heard.headers.get("last-modified", "")))


def _release_date(heard: Heard) -> Stamp:
    found = _RELEASE_DATE.search(heard.body)
    return Stamp(modified_s=_seconds(found[1].decode("ascii", "replace").replace("UTC", "GMT") if found else ""))


def _unknown(_: Heard) -> Stamp:
    return Stamp()


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None

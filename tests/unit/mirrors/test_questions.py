"""What a site is asked about a family, and what is read out of its answers."""

from __future__ import annotations

import pytest

from internlm_setup.mirrors.model import Serving
from internlm_setup.mirrors.probe.ask import Heard
from internlm_setup.mirrors.probe.questions import Question, Stamp, question
from internlm_setup.mirrors.sites import FAMILIES

DATE, DATE_S = "Sat, 08 Aug 2026 06:00:00 GMT", 1786168800.0


def asked(family: str, **has: object) -> Question:
    return question(family, Serving("https://one.test/x", "full", "", **has), "linux-64")  # type: ignore[arg-type]


def looks(family: str, **has: object) -> list[str]:
    return [query.url.removeprefix("https://one.test/x/") for query in asked(family, **has).looks]


@pytest.mark.parametrize(
    ("family", "has", "url"),
    [
        ("pypi", {}, "pip/"),
        ("conda", {"channels": {"main": "https://one.test/x/m"}}, "m/linux-64/repodata.json.zst"),
        ("conda", {}, "cloud/conda-forge/linux-64/repodata.json.zst"),
        ("npm", {}, "npm"),
        ("apt", {"paths": {"ubuntu": "u", "debian": "d"}}, "d/dists/sid/Release"),
        ("apt", {"paths": {"ubuntu": "u"}}, "u/dists/noble-updates/Release"),
        ("apt", {}, "debian/dists/sid/Release"),
        ("huggingface", {}, "internlm/internlm-chat-7b/resolve/main/pytorch_model-00001-of-00008.bin"),
        ("pytorch", {}, "cu128/torch/"),
        ("pytorch", {"style": "find-links"}, "cu128/"),
        ("python", {}, ""),
    ],
)
def test_what_is_looked_at(family: str, has: dict[str, object], url: str) -> None:
    """A small page that every such site has."""
    assert looks(family, **has)[0] == url


def test_every_family_can_be_asked() -> None:
    """None was forgotten."""
    assert all(looks(family) for family in FAMILIES)


@pytest.mark.parametrize(
    ("heard", "stamp"),
    [
        (Heard("", body=b"<a>x</a>\n<!--SERIAL 123-->"), Stamp(123)),
        (Heard("", headers={"x-pypi-last-serial": "123"}), Stamp(123)),
        (Heard("", headers={"last-modified": DATE}), Stamp(None, DATE_S)),
        (Heard("", headers={"last-modified": "yesterday", "x-pypi-last-serial": "?"}), Stamp()),
    ],
)
def test_how_new_an_index_is(heard: Heard, stamp: Stamp) -> None:
    """The number of the last change, in the page or in the head, and the date."""
    assert asked("pypi").stamp(heard) == stamp


def test_how_new_an_apt_tree_is() -> None:
    """The date that its index was made, not when the file was copied."""
    body = b"Suite: sid\nDate: Sat, 08 Aug 2026 06:00:00 UTC\nValid-Until: Sun, 09 Aug 2026 06:00:00 UTC\n"
    assert asked("apt").stamp(Heard("", headers={"last-modified": "x"}, body=body)) == Stamp(None, DATE_S)
    assert asked("apt").stamp(Heard("")) == Stamp()


@pytest.mark.parametrize(
    ("family", "body", "sample"),
    [
        (
            "pypi",
            b"<a href=\"../../p/a-1.whl#sha256=0\">a</a><a href='../../p/a-2.whl'>b</a>",
            "https://one.test/p/a-2.whl",
        ),
        ("pypi", b'<a href="../../p/a-1.tar.gz">a</a>', None),
        ("npm", b'{"dist-tags": {"next": "2", "latest":"1.2.3"}', "https://one.test/x/npm/-/npm-1.2.3.tgz"),
        ("npm", b"{}", None),
        (
            "apt",
            b" %b 9 a/Packages\n %b 7 a/x.gz\n %b 8 a/y.xz\n" % ((b"0" * 64,) * 3),
            "https://one.test/x/pip/a/y.xz",
        ),
        ("apt", b"", None),
        ("conda", b"", "https://one.test/x/pip/"),
        ("python", b"", None),
    ],
)
def test_what_is_timed(family: str, body: bytes, sample: str | None) -> None:
    """A file that the answer names; for conda the index itself."""
    assert asked(family).sample(Heard("https://one.test/x/pip/", body=body)) == sample

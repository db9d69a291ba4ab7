"""apt's two formats: one address changes, and nothing else; what apt refuses is refused with its line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.mirrors.apt import CASES, Case
from internlm_setup.mirrors.edit import TouchesMore, Unparseable, aptlist, changed, deb822
from internlm_setup.mirrors.model import Edit, Syntax

NEW = "https://other.test/debian"


def syntax_of(case: Case) -> Syntax:
    return deb822 if case.name.endswith(".sources") else aptlist


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_address_can_be_changed_alone(case: Case) -> None:
    """Whichever address is changed, and back again, the file is what it was."""
    syntax = syntax_of(case)
    for key, value in syntax.look(case.before).items():
        if key[-1] in {"URIs", "uri"} and " " not in str(value) and "%" not in case.before.decode():
            after = changed(syntax, case.before, [Edit(key, NEW)])
            assert syntax.look(after)[key] == NEW
            assert changed(syntax, after, [Edit(key, str(value))]) == case.before


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"deb\n", 1),
        (b"\ndeb http://a/debian bookworm\n", 2),
        (b"rpm http://a/debian bookworm main\n", 1),
        (b"# x\n\xef\xbb\xbfdeb http://a/debian bookworm main\n", 2),
        (b"deb [arch=amd64]http://a/debian bookworm main\n", 1),
        (b"deb [arch=amd64 http://a/debian bookworm main\n", 1),
        (b'deb "http://a/debian bookworm main\n', 1),
        (b"deb http://a/debian ./ main\n", 1),
    ],
)
def test_lines_that_apt_refuses(data: bytes, line: int) -> None:
    """The line is named."""
    with pytest.raises(Unparseable) as caught:
        aptlist.look(data)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xef\xbb\xbfTypes: deb\n", 1),
        (b"# x\n\nURIs: http://a/debian\n", 3),
        (b"Types: rpm\n", 1),
        (b"Types: deb\nSuites: a\nComponents: main\n", 1),
        (b"Types: deb\nURIs: http://a/debian\nComponents: main\n", 1),
        (b"Types: deb\nURIs: http://a/debian\nSuites: a\n", 1),
        (b"Types: deb\nURIs: http://a/debian\nnonsense\n", 3),
    ],
)
def test_paragraphs_that_apt_refuses(data: bytes, line: int) -> None:
    """The line is named, or the first one of the paragraph."""
    with pytest.raises(Unparseable) as caught:
        deb822.look(data)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("syntax", "key", "value"),
    [
        (deb822, ("0", "Suites"), "sid"),
        (deb822, ("0", "URIs"), None),
        (deb822, ("0", "URIs"), "  "),
        (deb822, ("7", "URIs"), NEW),
        (aptlist, ("0", "suite"), "sid"),
        (aptlist, ("0", "uri"), None),
        (aptlist, ("3", "uri"), NEW),
        (aptlist, ("0", "uri"), "https://other.test/a b"),
        (aptlist, ("0", "uri"), "https://other.test/#"),
    ],
)
def test_anything_else_is_not_ours_to_change(syntax: Syntax, key: tuple[str, ...], value: str | None) -> None:
    """Only addresses, only to other ones, only where there is one."""
    paragraph = b"Types: deb\nURIs: http://a/debian\nSuites: a\nComponents: main\n"
    data = paragraph if syntax is deb822 else b"deb http://a/debian a main\n"
    with pytest.raises(TouchesMore):
        changed(syntax, data, [Edit(key, value)])


def test_more_addresses_than_before_follow_the_last() -> None:
    """They stand behind it, in its line."""
    data = b"Types: deb\nURIs:\n http://a/debian\n# c\n http://b/debian \nSuites: a\nComponents: main\n"
    after = changed(deb822, data, [Edit(("0", "URIs"), "http://c/x http://d/x http://e/x")])
    assert after == data.replace(b"http://a/debian", b"http://c/x").replace(
        b"http://b/debian", b"http://d/x http://e/x"
    )


NOISE = st.sampled_from(["", "# note\n", "\n", "#URIs: http://z/debian\n"])
URI = st.builds("http://{}/debian".format, st.text("abc.1-", min_size=1, max_size=8))
GAP = st.sampled_from([" ", "\t", "\n ", "  ", "\n\t", "\n# in between\n  ", "\r\n "])
END = st.sampled_from(["\n", "\r\n", " \n"])


@st.composite
def paragraphs(draw: st.DrawFn) -> str:
    """One paragraph in some order, with some noise."""
    uris = "".join(gap + uri for gap, uri in draw(st.lists(st.tuples(GAP, URI), min_size=1, max_size=4)))
    name = draw(st.sampled_from(["URIs", "uris", "URIS "]))
    fields = ["Types: deb", f"{name}:{uris}", "Suites: a", "Components:\n main", "X-Note: http://x/debian"]
    lines = [
        draw(NOISE.filter(lambda noise: noise != "\n")) + field + draw(END) for field in draw(st.permutations(fields))
    ]
    return "".join(lines)


@given(st.lists(st.tuples(NOISE, paragraphs()), min_size=1, max_size=3), st.data())
def test_only_the_words_of_the_field_change(parts: list[tuple[str, str]], data: st.DataObject) -> None:
    """Without the old and the new words both files are the same bytes, as long as there are as many of them."""
    before = "\n".join(noise + paragraph for noise, paragraph in parts).encode()
    keys = [key for key in deb822.look(before) if key[-1] == "URIs"]
    key = data.draw(st.sampled_from(keys))
    count = len(str(deb822.look(before)[key]).split())
    new = [f"https://new.test/{number}" for number in range(data.draw(st.integers(1, count)))]
    after = changed(deb822, before, [Edit(key, " ".join(new))])
    if len(new) == count:
        old = iter(str(deb822.look(before)[key]).split())
        assert re.sub(rb"https://new\.test/\d", lambda _: next(old).encode(), after) == before
    else:
        comments = re.compile(rb"^#.*$", re.MULTILINE)
        assert comments.findall(after) == comments.findall(before)


@given(
    st.lists(st.sampled_from(['deb "{}" a main', "deb [ x=y ] {} a  main # {}", "\tdeb-src {} ./", "# {}", ""])),
    st.data(),
)
def test_only_the_address_of_a_line_changes(templates: list[str], data: st.DataObject) -> None:
    """The new address stands exactly where the old one stood."""
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    before = end.join(template.replace("{}", f"http://h{n}/debian") for n, template in enumerate(templates)).encode()
    keys = [key for key in aptlist.look(before) if key[-1] == "uri"]
    for key in keys:
        old = str(aptlist.look(before)[key]).encode()
        assert changed(aptlist, before, [Edit(key, NEW)]) == before.replace(old, NEW.encode(), 1)

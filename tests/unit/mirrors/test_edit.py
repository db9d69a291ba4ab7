"""Editing pip's, npm's, uv's and pdm's files: one key changes, and nothing else does."""

# ruff: noqa: E501

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.mirrors import npm, pdm, pip, uv
from cases.mirrors.marked import WISH, Case
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.edit import TouchesMore, Unparseable, changed, ini, npmrc, toml
from internlm_setup.mirrors.model import Edit, Key, Machine, Syntax

MACHINE = Machine("linux", {}, PurePosixPath("/home/me"), False, {})
CORPUS = [(tool, case) for tool, of in (("pip", pip), ("npm", npm), ("uv", uv), ("pdm", pdm)) for case in of.CASES]
URL = "https://mirror.test/simple"
INDEX, DEFAULT = ("global", "index-url"), ("index", "default", "url")


def edited(tool: str, data: bytes) -> bytes:
    """Return what a tool's file becomes."""
    target = targets.get(tool)
    syntax = target.syntax(PurePosixPath("file"))
    return changed(syntax, data, target.edits(syntax.look(data), WISH, MACHINE))


@pytest.mark.parametrize(("tool", "case"), CORPUS, ids=[f"{tool}: {case.name}" for tool, case in CORPUS])
class TestCorpus:
    """What holds for every file."""

    def test_becomes(self, tool: str, case: Case) -> None:
        """The marked places change, and no other byte does."""
        assert edited(tool, case.before) == case.after

    def test_twice_is_once(self, tool: str, case: Case) -> None:
        """There is nothing left to do."""
        assert edited(tool, case.after) == case.after


def test_the_corpus_is_large() -> None:
    """No file is there twice."""
    assert len({(tool, case.before) for tool, case in CORPUS}) == len(CORPUS) >= 200


@pytest.mark.parametrize(
    ("syntax", "data", "line"),
    [(ini, data, line) for data, line in pip.REFUSED.values()]
    + [(toml, data, line) for data, line in uv.REFUSED.values()],
    ids=[f"pip: {name}" for name in pip.REFUSED] + [f"uv: {name}" for name in uv.REFUSED],
)
def test_refused_with_its_line(syntax: Syntax, data: bytes, line: int) -> None:
    """What the tool itself cannot read is not edited, and the line is named."""
    with pytest.raises(Unparseable) as caught:
        changed(syntax, data, [Edit(INDEX, URL)])
    assert caught.value.line == line
    assert caught.value.reason


@pytest.mark.parametrize(
    ("syntax", "data", "key", "value"),
    [
        (ini, b"[global]\n", INDEX, "two\nlines"),
        (ini, b"[global]\n", INDEX, " space before"),
        (ini, b"[DEFAULT]\ntimeout = 3\n", INDEX, URL),
        (ini, b"[DEFAULT]\nindex-url = a\n[global]\ntimeout = 3\n", INDEX, None),
        (npmrc, b"ca[]=a\nca[]=b\n", ("ca",), "c"),
        (toml, b"index = []\n", DEFAULT, URL),
        (toml, b"[[index]]\nurl = 'a'\ndefault = true\n[[index]]\nurl = 'b'\ndefault = true\n", DEFAULT, None),
        (toml, b"pypi = 'a'\n", ("pypi", "url"), URL),
    ],
)
def test_what_cannot_be_changed_alone_is_refused(syntax: Syntax, data: bytes, key: Key, value: str | None) -> None:
    """The proof fails, and says which key it was about."""
    with pytest.raises(TouchesMore) as caught:
        changed(syntax, data, [Edit(key, value)])
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("syntax", "key", "before", "after"),
    [
        (
            ini,
            INDEX,
            b"[global]\n# a\nindex-url = x\n    # b\n    y\ntimeout = 3",
            b"[global]\n# a\n    # b\ntimeout = 3",
        ),
        (ini, INDEX, b"[global]\nindex-url = x\nindex_url = y\n", b"[global]\n"),
        (ini, INDEX, b"[global]\ntimeout = 3\n", b"[global]\ntimeout = 3\n"),
        (
            npmrc,
            ("registry",),
            b"registry=a\nfund=false\nregistry=b\n[x]\nregistry=c\n",
            b"fund=false\n[x]\nregistry=c\n",
        ),
        (toml, DEFAULT, b"a = 1\n\n[[index]]\nurl = 'x'\ndefault = true\n", b"a = 1\n"),
        (toml, DEFAULT, b"a = 1\r\n\r\n[[index]]\r\nurl = 'x'\r\ndefault = true\r\n", b"a = 1\r\n"),
        (
            toml,
            DEFAULT,
            b"[[index]]\nurl = 'a'\n# mine\n[[index]]\nname = 'x'\nurl = 'x' # here\ndefault = true\n# b\n[[index]]\nurl = 'b'\n",
            b"[[index]]\nurl = 'a'\n# mine\n# b\n[[index]]\nurl = 'b'\n",
        ),
        (toml, DEFAULT, b"index = [{ url = 'x', default = true }, { url = 'a' }]\n", b"index = [{ url = 'a' }]\n"),
        (toml, DEFAULT, b"index = [{ url = 'a' }, { url = 'x', default = true }]\n", b"index = [{ url = 'a' }]\n"),
        (toml, ("a",), b"  a = [\n  1, # one\n] # two\nb = 2\n", b"b = 2\n"),
        (toml, ("p", "url"), b"p = { url = 'x', a = 1 }\n", b"p = { a = 1 }\n"),
        (toml, ("p", "url"), b"p = { a = 1, url = 'x' }\n", b"p = { a = 1 }\n"),
    ],
)
def test_removing(syntax: Syntax, key: Key, before: bytes, after: bytes) -> None:
    """The key's own lines go; comments stay."""
    assert changed(syntax, before, [Edit(key, None)]) == after


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        (
            b"",
            ("mirrors", "https://a.test/x"),
            ("https://b.test/x",),
            b'[mirrors]\n"https://a.test/x" = ["https://b.test/x"]\n',
        ),
        (
            b'[mirrors]\n"https://a.test" = [\n  "b", # c\n]\n',
            ("mirrors", "https://a.test"),
            ("d", "e"),
            b'[mirrors]\n"https://a.test" = ["d", "e"]\n',
        ),
        (b"[a.b]\nx = 1\n", ("a", "y"), True, b"[a.b]\nx = 1\n\n[a]\ny = true\n"),
        (b"a.b.x = 1\n", ("a", "b", "y"), "z", b'a.b.y = "z"\na.b.x = 1\n'),
        (b"[a]\nb.x = 1\n", ("a", "b", "y"), "z", b'[a]\nb.y = "z"\nb.x = 1\n'),
        (
            b"[[i]]\nx = 1\n[[i]]\nx = 2\n[i.s]\ny = 3\n",
            ("i", "#1", "s", "y"),
            "z",
            b'[[i]]\nx = 1\n[[i]]\nx = 2\n[i.s]\ny = "z"\n',
        ),
        (b"[[i]]\nx = 1\n[[i]]\nx = 2\n", ("i", "#0", "y"), "z", b'[[i]]\ny = "z"\nx = 1\n[[i]]\nx = 2\n'),
        (b"x = 'a'\n", ("x",), "it's", b'x = "it\'s"\n'),
    ],
)
def test_toml_beyond_the_corpus(before: bytes, key: Key, value: str | bool | tuple[str, ...], after: bytes) -> None:
    """Lists, truth, quoted and dotted keys, and entries by their number."""
    assert changed(toml, before, [Edit(key, value)]) == after


def test_pip_spellings_are_one_key() -> None:
    """Names are told apart as pip does."""
    assert ini.look(b"[install]\n--Index_URL: a\n") == {("install", "index-url"): "a"}


def test_npm_values() -> None:
    """Quotes, comments, escapes, words and lists mean what they mean to npm."""
    data = b'a = "x\\"y"\nb=\'q\'\nc=1;2\nd=1\\;2\ne=true\nf=null\ng\nh[]=1\nh[]=2\ni=1\ni[]=2\n'
    assert {key[0]: value for key, value in npmrc.look(data).items()} == {
        "a": 'x"y',
        "b": "q",
        "c": "1",
        "d": "1;2",
        "e": True,
        "f": None,
        "g": True,
        "h": ("1", "2"),
        "i": ("1", "2"),
    }


NAMES = st.from_regex(r"[a-z][a-z_-]{0,8}[a-z]", fullmatch=True).filter(lambda name: name != "default")
WORDS = st.from_regex(r"[a-zA-Z0-9:/.@%{}\[\]镜像 ]{0,20}", fullmatch=True).map(str.strip)
NOISE = st.sampled_from(["", "# 注释", "; note", "   ", "# [global]", "#index-url = x"])
LINE_ENDS = st.sampled_from(["\n", "\r\n"])


@st.composite
def ini_files(draw: st.DrawFn) -> bytes:
    """Draw a file that pip can read."""
    lines = draw(st.lists(NOISE, max_size=2))
    for section in draw(st.lists(st.sampled_from(["global", "install", "list", "Global", "my section"]), unique=True)):
        lines += [f"[{section}]", *draw(st.lists(NOISE, max_size=2))]
        indent = draw(st.sampled_from(["", "", "  ", "\t"]))
        names = draw(st.lists(st.one_of(st.sampled_from(["index-url", "index_url", "timeout"]), NAMES), unique=True))
        for name in names:
            sign = draw(st.sampled_from(["=", " = ", ": ", ":", "  =\t"]))
            lines.append(f"{indent}{name}{sign}{draw(WORDS)}")
            lines += [f"{indent}    {more}x" for more in draw(st.lists(WORDS, max_size=2))]
            lines += draw(st.lists(NOISE, max_size=2))
    return _joined(draw, lines)


@st.composite
def npmrc_files(draw: st.DrawFn) -> bytes:
    """Draw any `.npmrc`."""
    setting = st.tuples(st.one_of(st.sampled_from(["registry", "@a:registry", "[x]", "fund"]), NAMES), WORDS)
    pairs = setting.map(lambda pair: pair[0] if pair[0] == "[x]" else f"{pair[0]}={pair[1]}")
    return _joined(draw, draw(st.lists(st.one_of(NOISE, pairs))))


@st.composite
def toml_files(draw: st.DrawFn) -> bytes:
    """Draw a file with the shapes that uv.toml has."""
    values = st.sampled_from(
        ["true", '"x"', "'y'", "[ 1, 2 ] # c", '"""a\n[[index]]\n"""', "{ a = 1, b = [ 'c' ] }", "1.5", "[]"]
    )
    lines = draw(st.lists(st.sampled_from(["", "# 注释", "#x = 1"]), max_size=2))
    tables = ["", *draw(st.lists(st.sampled_from(["[pip]", "[a.b]", '[c."d.e"]']), unique=True))]
    tables += ["[[index]]"] * draw(st.integers(0, 3))
    default = draw(st.integers(-1, len(tables)))
    for number, table in enumerate([tables[0], *draw(st.permutations(tables[1:]))]):
        lines += [table] if table else []
        for name in draw(st.lists(NAMES, unique=True, max_size=4)):
            lines += [f"{name} = {draw(values)}", *draw(st.lists(st.sampled_from(["", "# 注释"]), max_size=1))]
        if table == "[[index]]":
            lines += ["\"url\" = 'x'"] + (["default = true"] if number == default else [])
    return _joined(draw, lines)


def _joined(draw: st.DrawFn, lines: list[str]) -> bytes:
    text = draw(LINE_ENDS).join("\n".join(lines).split("\n"))
    return (text + draw(st.sampled_from(["", "\n"]))).encode()


def holds(syntax: Syntax, data: bytes, key: Key) -> None:
    """Assert what an edit promises, without the editor's own proof."""
    before = syntax.look(data)
    after = syntax.splice(data, Edit(key, URL))
    found = syntax.look(after)
    assert found.pop(key) == URL
    assert {name: value for name, value in found.items() if name[:-1] != DEFAULT[:-1]} == {
        name: value for name, value in before.items() if name != key and name[:-1] != DEFAULT[:-1]
    }
    assert changed(syntax, after, [Edit(key, URL)]) == after
    if key not in before:
        left = iter(after.splitlines())
        assert all(line in left for line in data.splitlines()), "a line is gone, or in another place"


@given(data=ini_files())
def test_any_ini_file(data: bytes) -> None:
    """Nothing but the key differs."""
    holds(ini, data, INDEX)


@given(data=npmrc_files())
def test_any_npmrc(data: bytes) -> None:
    """Nothing but the key differs."""
    holds(npmrc, data, ("registry",))


@given(
    data=toml_files(), key=st.sampled_from([DEFAULT, ("python-install-mirror",), ("pypi", "url"), ("pip", "index-url")])
)
def test_any_toml(data: bytes, key: Key) -> None:
    """Nothing but the key differs."""
    holds(toml, data, key)

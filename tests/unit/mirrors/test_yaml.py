"""`.condarc` files are changed in the key that is meant and in nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from condarcs import BROKEN, CONDARCS, REFUSED
from internlm_setup.mirrors.edit import TouchesMore, Unparseable, changed, yaml
from internlm_setup.mirrors.model import Edit, Key, Value

SITE = "https://mirrors.example.org/anaconda"
WISHES: dict[Key, Value] = {
    ("channels",): ("defaults",),
    ("show_channel_urls",): True,
    ("default_channels",): (f"{SITE}/pkgs/main", f"{SITE}/pkgs/r"),
    ("custom_channels", "conda-forge"): f"{SITE}/cloud",
    ("custom_channels", "pytorch"): f"{SITE}/cloud",
    ("mirrored_channels", "conda-forge"): (f"{SITE}/cloud/conda-forge",),
}
EDITS = [Edit(key, value) for key, value in WISHES.items()]


def meaning(data: bytes) -> dict[str, Any]:
    """Return what another loader of ruamel's reads: anchors resolved, nothing thrown away."""
    return YAML(typ="safe", pure=True).load(data.decode()) or {}


def with_value(read: Mapping[str, Any], key: Key, value: Value) -> dict[str, Any]:
    """Return a mapping in which one key is set, as a person would expect it of the file."""
    inner = with_value(read.get(key[0]) or {}, key[1:], value) if key[1:] else value
    return {**read, key[0]: list(inner) if isinstance(inner, tuple) else inner}


def comments(data: bytes) -> list[str]:
    """Return the lines that are comments and nothing else, as they are but for their line ends."""
    return [line for line in data.decode().splitlines() if line.strip().startswith("#")]


@pytest.mark.parametrize("name", CONDARCS)
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: ".".join(edit.key))
def test_one_key(name: str, edit: Edit) -> None:
    """One edit changes one key, keeps every comment line, and is nothing the second time."""
    before = CONDARCS[name]
    after = changed(yaml, before, [edit])
    assert edit.value is not None
    assert meaning(after) == with_value(meaning(before), edit.key, edit.value)
    assert comments(after) == comments(before)
    assert changed(yaml, after, [edit]) == after


@pytest.mark.parametrize("name", CONDARCS)
def test_all_keys_and_back(name: str) -> None:
    """All edits together, then taken out again: what the file said of other things is as it was."""
    before = CONDARCS[name]
    after = changed(yaml, before, EDITS)
    expected = meaning(before)
    for key, value in WISHES.items():
        expected = with_value(expected, key, value)
    assert meaning(after) == expected
    back = yaml.look(changed(yaml, after, [Edit(key, None) for key in WISHES]))
    assert back == {key: value for key, value in yaml.look(before).items() if key not in WISHES}


@pytest.mark.parametrize("name", CONDARCS)
def test_what_was_added_goes_without_a_trace(name: str) -> None:
    """A key that was not there comes and goes, and the bytes are the same, or say the same where a null gave room."""
    before = CONDARCS[name]
    missing = [edit for edit in EDITS if edit.key not in yaml.look(before)]
    after = changed(yaml, before, missing)
    back = changed(yaml, after, [Edit(edit.key, None) for edit in reversed(missing)])
    made_by_us = not {edit.key[0] for edit in missing} & set(meaning(before))
    assert (back == before) if made_by_us else (yaml.look(back) == yaml.look(before))


@pytest.mark.parametrize("name", CONDARCS)
def test_line_ends_and_bom(name: str) -> None:
    """CRLF stays CRLF in every line, a BOM stays, and a missing final newline is not added."""
    before = CONDARCS[name]
    after = changed(yaml, before, EDITS)
    if b"\r\n" in before:
        assert after.count(b"\n") == after.count(b"\r\n")
    assert after.startswith(b"\xef\xbb\xbf") == before.startswith(b"\xef\xbb\xbf")
    if before.strip():
        assert after.endswith(b"\n") == before.endswith(b"\n")


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str) -> None:
    """What conda cannot read is refused, with the line."""
    data, line = BROKEN[name]
    for act in (lambda: yaml.look(data), lambda: changed(yaml, data, EDITS)):
        with pytest.raises(Unparseable) as error:
            act()
        assert error.value.line == line
        assert error.value.reason


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Where more would have to be touched, nothing is."""
    with pytest.raises(TouchesMore):
        changed(yaml, REFUSED[name], [Edit(("channels",), ("defaults",))])


BYTES: dict[str, tuple[bytes, Edit, bytes]] = {
    "item and its comment": (
        b"channels:\n  # mine\n  - conda-forge  # good\n  - bioconda # old\n  - defaults # last\n",
        Edit(("channels",), ("conda-forge", "defaults")),
        b"channels:\n  # mine\n  - conda-forge  # good\n  - defaults # last\n",
    ),
    "items as the others are": (
        b"channels:\n -   a\n",
        Edit(("channels",), ("b", "a", "c")),
        b"channels:\n -   b\n -   a\n -   c\n",
    ),
    "items in brackets": (
        b"channels: [ a,b ,  c ]  # why\n",
        Edit(("channels",), ("b", "d")),
        b"channels: [ b ,  d ]  # why\n",
    ),
    "all items but the last gone": (b"channels: [a, b, c]\n", Edit(("channels",), ("c",)), b"channels: [c]\n"),
    "all items but the first gone": (b"channels: [a, b, c]", Edit(("channels",), ("a",)), b"channels: [a]"),
    "more items in brackets": (b"channels: [b]\n", Edit(("channels",), ("a", "b", "c")), b"channels: [a, b, c]\n"),
    "quotes": (
        b"custom_channels:\n  q: 'https://old'\n  r: \"https://old\"\n",
        Edit(("custom_channels", "q"), "https://new"),
        b"custom_channels:\n  q: 'https://new'\n  r: \"https://old\"\n",
    ),
    "a value that needs quotes": (b"", Edit(("channel_alias",), "no"), b'channel_alias: "no"\n'),
    "the file's own indents": (
        b"proxy_servers:\n      http: p\nchannels:\n- a\n",
        Edit(("mirrored_channels", "q"), ("x", "z")),
        b"proxy_servers:\n      http: p\nchannels:\n- a\nmirrored_channels:\n      q:\n      - x\n      - z\n",
    ),
    "a map with nothing in it": (
        b"custom_channels:  # mine\nssl_verify: true\n",
        Edit(("custom_channels", "q"), "u"),
        b"custom_channels:  # mine\n  q: u\nssl_verify: true\n",
    ),
    "before the end of the document": (b"a: b\n...\n", Edit(("c",), "d"), b"a: b\nc: d\n...\n"),
    "no final newline": (b"a: b", Edit(("c",), ("d",)), b"a: b\nc:\n  - d"),
    "an anchor that others need": (
        b"m: {a: &x u, b: *x, c: *x}\n",
        Edit(("m", "a"), "new"),
        b"m: {a: new, b: &x u, c: *x}\n",
    ),
    "a map goes with its last key": (b"a: b\nm:\n  q: u # x\nz: 1\n", Edit(("m", "q"), None), b"a: b\nz: 1\n"),
    "a key in braces": (b"m: {a: 1, q: u, z: 2}\n", Edit(("m", "q"), None), b"m: {a: 1, z: 2}\n"),
    "the last line, no newline": (b"a: b\nc: d", Edit(("c",), None), b"a: b"),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes(name: str) -> None:
    """The bytes that come out, case by case."""
    before, edit, after = BYTES[name]
    assert changed(yaml, before, [edit]) == after


def test_a_key_from_a_merge_cannot_be_removed() -> None:
    """What another mapping says through `<<` would show again, so removal is refused."""
    data = b"x: &x {q: old}\nm:\n  <<: *x\n  q: new\n"
    with pytest.raises(TouchesMore):
        changed(yaml, data, [Edit(("m", "q"), None)])


def test_look() -> None:
    """Values are read as conda reads them: `yes` is a word, numbers are told from strings, nulls say nothing."""
    data = b"a: yes\nb: true\nc: ['1', 1, ~]\nd: {e: {}, f: ~}\ng: &g [x]\nh: *g\n"
    assert yaml.look(data) == {
        ("a",): "yes",
        ("b",): True,
        ("c",): ("1", ("int", "1"), None),
        ("g",): ("x",),
        ("h",): ("x",),
    }


@pytest.mark.parametrize("data", [b"a: &a\n  <<: *a\n", b"[" * 5000, b"a: 2024-99-99\n"])
def test_what_the_parser_falls_over(data: bytes) -> None:
    """A loop, too much depth and a day that does not exist end in a refusal, as broken files do."""
    with pytest.raises(Unparseable):
        yaml.look(data)


NAMES = st.sampled_from(
    ["channels", "custom_channels", "default_channels", "show_channel_urls", "ssl_verify", "x", "yy"]
)
WORDS = st.sampled_from(
    ["defaults", "conda-forge", "'quoted one'", '"x: y"', "https://h.example.org/a", "no", "3.10", "~"]
)
SPACE = st.sampled_from(["", "", "\n", "# note\n", "   # indented note\n", "\n\n"])
TAIL = st.sampled_from(["", "", "  # behind", " "])


@st.composite
def block(draw: st.DrawFn, name: str, indent: int) -> str:
    """Return one key of a mapping and its value, written in some way."""
    pad, deeper = " " * indent, indent + draw(st.integers(1, 6))
    shape = draw(st.sampled_from(["scalar", "nothing", "list", "flow", "map", "flow map"]))
    words = draw(st.lists(WORDS, min_size=1, max_size=3))
    tail = draw(TAIL)
    if shape == "scalar":
        return f"{pad}{name}: {words[0]}{tail}\n"
    if shape == "nothing":
        return f"{pad}{name}:{tail}\n"
    if shape == "flow":
        return f"{pad}{name}: [{', '.join(words)}]{tail}\n"
    if shape == "flow map":
        return f"{pad}{name}: {{{', '.join(f'k{n}: {word}' for n, word in enumerate(words))}}}{tail}\n"
    lines = [f"{pad}{name}:{tail}\n"]
    at = draw(st.sampled_from([indent, deeper])) if shape == "list" else deeper
    gap = " " * draw(st.integers(1, 3))
    for number, word in enumerate(words):
        lines.append(draw(SPACE))
        lines.append(f"{' ' * at}-{gap}{word}{draw(TAIL)}\n" if shape == "list" else f"{' ' * at}k{number}: {word}\n")
    return "".join(lines)


@st.composite
def condarc(draw: st.DrawFn) -> bytes:
    """Return a file in which keys stand in some order, written in some way."""
    indent = draw(st.sampled_from([0, 0, 0, 2]))
    names = draw(st.lists(NAMES, unique=True, max_size=5))
    text = draw(st.sampled_from(["", "---\n", "# head\n"]))
    text += "".join(draw(SPACE) + draw(block(name, indent)) for name in names) + draw(SPACE)
    text = text.rstrip("\n") if draw(st.booleans()) else text
    text = text.replace("\n", "\r\n") if draw(st.booleans()) else text
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


KEYS = st.sampled_from([("channels",), ("show_channel_urls",), ("custom_channels", "k1"), ("new", "one"), ("x",)])
VALUES = st.one_of(st.booleans(), WORDS, st.lists(WORDS, min_size=1, max_size=4).map(tuple))


@given(condarc(), KEYS, VALUES)
def test_generated(before: bytes, key: Key, value: Value) -> None:
    """Any such file takes any value, or is refused; comment lines stay, and removal leaves the rest."""
    try:
        after = changed(yaml, before, [Edit(key, value)])
    except TouchesMore:
        return
    assert meaning(after) == with_value(meaning(before), key, value)
    assert comments(after) == comments(before)
    gone = changed(yaml, after, [Edit(key, None)])
    assert yaml.look(gone) == {k: v for k, v in yaml.look(before).items() if k[: len(key)] != key}


@given(condarc(), st.binary(max_size=200))
def test_any_bytes(before: bytes, noise: bytes) -> None:
    """Whatever a file holds, it is changed in one key or refused."""
    for data in (noise, before + noise):
        try:
            after = changed(yaml, data, [Edit(("channels",), ("defaults",))])
        except (Unparseable, TouchesMore):
            continue
        assert yaml.look(after)[("channels",)] == ("defaults",)

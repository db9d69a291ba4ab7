"""apt and we read the same: it is asked about files that nobody would write by hand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from internlm_setup.mirrors.edit import aptlist, deb822

WORDS = (
    *("deb", "deb-src", "[arch=amd64]", "[ arch=amd64 lang=en ]", "[#]", "#", "a#b"),
    *("http://a/debian", '"http://b/debian"', "http://c/%64ebian/", "sid", "./", "main", "x/updates"),
)
FIELDS = (
    *("Types: deb", "types:deb deb-src", "URIs: http://a/debian", "uris:\n http://b/debian\n\thttp://c/x/"),
    *("URIs : http://d/debian\r", "Suites: sid", "Suites: ./", "Components: main", "Components:", "", "\r"),
    *("Enabled: no", "Enabled: Yes", "#Enabled: no", " ", "  # x", "X-Any: Types: deb", "# c"),
)
USUAL_FIELDS = ("Types: deb", "URIs: http://e/debian", "Suites: sid", "Components: main")
word = st.sampled_from(WORDS)
usual_line = st.tuples(st.sampled_from(["deb", "deb-src"]), st.sampled_from(["", "[arch=amd64]"]), word, word, word)
usual_paragraph = st.permutations(USUAL_FIELDS).map("\n".join)
lists = st.lists(st.one_of(st.lists(word, max_size=6), usual_line).map(" ".join), max_size=3).map("\n".join)
sources = st.lists(st.one_of(st.sampled_from(FIELDS), usual_paragraph, st.just("")), max_size=9).map("\n".join)


def asked_by_apt(path: Path, text: str) -> set[str] | None:
    """Return the archives that apt would ask for releases, or None where it refuses the file."""
    path.write_bytes(text.encode())
    options = ["Dir::Etc::sourceparts=-", f"Dir::Etc::sourcelist={path}", "APT::Architecture=amd64"]
    command = ["apt-get", "update", "--print-uris", *(word for option in options for word in ("-o", option))]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:
        return None
    return {*re.findall(r"^'(http://\w/\w+/)\S*InRelease'", said.stdout, re.MULTILINE)}


@pytest.mark.full
@pytest.mark.parametrize(("name", "texts"), [("x.list", lists), ("x.sources", sources)])
def test_same_addresses(name: str, texts: st.SearchStrategy[str], tmp_path: Path) -> None:
    """Of any file that apt takes we see the same; with one that it refuses nothing works, whatever we see in it."""
    syntax = deb822 if name == "x.sources" else aptlist

    @given(texts)
    @settings(max_examples=150)
    def agree(text: str) -> None:
        asked = asked_by_apt(tmp_path / name, text)
        if asked is None:
            return
        found = {key: str(value) for key, value in syntax.look(text.encode()).items()}
        on = [
            value
            for (number, field), value in found.items()
            if field.lower() in {"uris", "uri"} and is_on(found, number)
        ]
        assert {uri.rstrip("/") + "/" for value in on for uri in value.split()} == asked

    def is_on(found: dict[tuple[str, ...], str], number: str) -> bool:
        return deb822.is_on(found.get((number, "Enabled"), ""))

    agree()

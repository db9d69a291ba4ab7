"""pip's ini files, read as pip reads them: by `configparser`, names in lower case, `_` and `-` alike."""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from internlm_setup.mirrors.edit import Unparseable, newline_of
from internlm_setup.mirrors.model import Edit, Key

_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_HEADER = re.compile(r"\[(.+)\]")
_NAME = re.compile(r"(.*?)\s*[=:]")
_OPTION = re.compile(r"(?P<head>\s*.*?\s*[=:][ \t]*)(?P<value>.*?)(?P<tail>\s*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Option:
    """Where an option stands: the numbers of the lines that hold its name and its value, comments between left out."""

    key: Key
    indent: str
    lines: list[int]


def look(data: bytes) -> dict[Key, object]:
    """Return every option as `(section, name)`; see `Syntax.look`."""
    text, encoding = _decoded(data)
    parser = configparser.RawConfigParser()
    try:
        parser.read_file(io.TextIOWrapper(io.BytesIO(text.encode(encoding)), encoding, newline=None))
    except configparser.DuplicateOptionError as error:
        raise Unparseable(error.lineno or 0, f"`{error.option}` is there twice") from error
    except configparser.DuplicateSectionError as error:
        raise Unparseable(error.lineno or 0, f"`[{error.section}]` is there twice") from error
    except configparser.MissingSectionHeaderError as error:
        raise Unparseable(error.lineno, "there is something before the first `[section]`") from error
    except configparser.ParsingError as error:
        raise Unparseable(error.errors[0][0], "this is not `name = value`") from error
    return {(section, _plain(name)): value for section in parser.sections() for name, value in parser.items(section)}


def splice(data: bytes, edit: Edit) -> bytes:
    """Return the file with one option changed; see `Syntax.splice`.

    A byte order mark is left out: no pip can read a file that has one.
    """
    text, encoding = _decoded(data)
    lines: list[str] = _LINE.findall(text)
    options = list(_options(lines))
    found = [option for option in options if option.key == edit.key]
    if edit.value is None:
        _drop(lines, [number for option in found for number in option.lines])
    elif found:  # of two spellings the later one counts
        _replace(lines, found[-1], str(edit.value))
    else:
        beside = next((option for option in options if option.key[0] == edit.key[0]), None)
        _insert(lines, edit, beside.indent if beside else "", newline_of(text))
    return "".join(lines).encode(encoding)


def _decoded(data: bytes) -> tuple[str, str]:
    """Return the text and an encoding that gives the same bytes back; pip takes the locale's."""
    data = data.removeprefix(_BOM)
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def _plain(name: str) -> str:
    """Spell an option as pip does for itself."""
    return name.strip().lower().replace("_", "-").removeprefix("--")


def _options(lines: Sequence[str]) -> Iterator[_Option]:
    """Find the options by the rules of `configparser`: what is indented deeper than a name goes on with its value."""
    section, option = "", None
    for number, line in enumerate(lines):
        words = line.strip()
        if not words or words[0] in "#;":
            continue
        indent = line[: len(line) - len(line.lstrip())]
        if option and len(indent) > len(option.indent):
            option.lines.append(number)
        elif header := _HEADER.match(words):
            section, option = header[1], None
        elif named := _NAME.match(words):
            option = _Option((section, _plain(named[1])), indent, [number])
            yield option


def _drop(lines: list[str], numbers: Sequence[int]) -> None:
    for number in sorted(numbers, reverse=True):
        del lines[number]


def _replace(lines: list[str], option: _Option, value: str) -> None:
    """Put the whole value beside the name."""

    def beside(parts: re.Match[str]) -> str:
        gap = " " if not parts["value"] and parts["head"][-2:-1].isspace() else ""
        return f"{parts['head']}{gap}{value}{parts['tail']}"

    first, *more = option.lines
    _drop(lines, more)
    lines[first] = _OPTION.sub(beside, lines[first], count=1)


def _insert(lines: list[str], edit: Edit, indent: str, newline: str) -> None:
    """Put a new option right below its section's header: what stands at the end may belong to something else."""
    section, name = edit.key
    for number, line in enumerate(lines):
        header = _HEADER.match(line.strip())
        if header and header[1] == section:
            ending = newline if line.endswith(("\r", "\n")) else ""
            lines[number] = line if ending else line + newline
            lines.insert(number + 1, f"{indent}{name} = {edit.value}{ending}")
            return
    if lines and not lines[-1].endswith(("\r", "\n")):
        lines[-1] += newline
    if lines and lines[-1].strip():
        lines.append(newline)
    lines += [f"[{section}]{newline}", f"{name} = {edit.value}{newline}"]

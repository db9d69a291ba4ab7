"""Profiles: servers and forwards that have a name. One of them is the default.

Read from `configs/tunnels.yaml` and from a file of the user's own, whose profiles win.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from internlm_setup.core.ssh.compression import Wish
from internlm_setup.core.text import Text
from internlm_setup.tunnel import forwards
from internlm_setup.tunnel.errors import BadForward, BadProfile, UnknownProfile
from internlm_setup.tunnel.model import Forward

FILE = "tunnels.yaml"
_KINDS = tuple(forwards.OPTIONS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WORD = re.compile(r"[^\s-]\S*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_BELONGS: dict[str, Callable[[Any], object]] = {
    "name": lambda value: isinstance(value, str) and _NAME.fullmatch(value),
    "title": lambda value: isinstance(value, dict) and set(value) <= {"en", "zh"},
    "host": lambda value: isinstance(value, str) and _WORD.fullmatch(value),
    "user": lambda value: isinstance(value, str) and _WORD.fullmatch(value),
    "port": lambda value: isinstance(value, str) and _PORT.fullmatch(value) and int(value) < 65536,
    "engine": lambda value: value == "openssh",
    "compression": lambda value: isinstance(value, str) and value in {"auto", "on", "off"},
}
_FIELDS = {*_BELONGS, "identity_files", "jumps", *_KINDS}

_MISSING = Text(en="missing", zh="缺少此字段")
_UNKNOWN = Text(en="there is no such field", zh="没有此字段")
_TWICE = Text(en="{name} is given twice", zh="{name} 重复")
_NOT_HERE = Text(en="`{value}` does not belong here", zh="此处不能是 `{value}`")
_A_LIST = Text(en="a list expected", zh="此处应为列表")
_NO_SUCH_DEFAULT = Text(en="there is no profile `{name}`", zh="没有名为 `{name}` 的配置")


@dataclass(frozen=True, slots=True)
class Profile:
    """One server and what is forwarded through it.

    Attributes:
        name: What it is called on the command line.
        title: What it is, for people.
        host: A name, an address, or what `~/.ssh/config` calls it.
        user: The account there; None leaves it to `~/.ssh/config`.
        port: None where it must be said each time, or `~/.ssh/config` knows it.
        identity_files: Keys to try first.
        jumps: As in `-J`, nearest first.
        forwards: What is forwarded when the command line says nothing else.
        compression: `auto` leaves it to `~/.ssh/config`, and then to what the line turns out to be.
        engine: `openssh` for the system's `ssh`, whatever else could serve.
        source: The file it stands in.
    """

    name: str
    title: Text
    host: str
    user: str | None = None
    port: int | None = None
    identity_files: tuple[str, ...] = ()
    jumps: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()
    compression: Wish = "auto"
    engine: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Profiles:
    """All of them by name, and which one is meant when none is named."""

    default: str
    by_name: Mapping[str, Profile] = field(default_factory=dict)

    def want(self, name: str | None = None) -> Profile:
        """Return the profile of a name, or the default.

        Raises:
            UnknownProfile: There is none.
        """
        found = self.by_name.get(self.default if name is None else name)
        if found is None:
            raise UnknownProfile(name or self.default, ", ".join(sorted(self.by_name)))
        return found


def load_profiles(files: Sequence[Path]) -> Profiles:
    """Read the files, the shipped one first, then the user's; one that is not there is passed over.

    Raises:
        BadProfile: A file cannot be read, or holds something that does not belong there.
    """
    default, profiles = "", dict[str, Profile]()
    for path in files:
        if not path.is_file():
            continue
        content = _load(path)
        here: dict[str, Profile] = {}
        for profile in _profiles(path, content):
            if here.setdefault(profile.name, profile) is not profile:
                raise BadProfile(str(path), f"profiles: {profile.name}", _TWICE.fill(name=profile.name))
        profiles |= here
        default = content.get("default", default)
        if not isinstance(default, str) or default not in profiles:
            raise BadProfile(str(path), "default", _NO_SUCH_DEFAULT.fill(name=default))
    return Profiles(default, profiles)


def as_yaml(profile: Profile) -> str:
    """Return the lines that make a profile the user's own."""
    import yaml

    fields: dict[str, object] = {"name": profile.name, "host": profile.host}
    fields |= {name: value for name in ("user", "port") if (value := getattr(profile, name)) is not None}
    fields |= {name: list(value) for name in ("identity_files", "jumps") if (value := getattr(profile, name))}
    for kind in _KINDS:
        if found := [forwards.written(each) for each in profile.forwards if each.kind == kind]:
            fields[kind] = found
    if profile.engine is not None:
        fields["engine"] = profile.engine
    if profile.compression != "auto":
        fields["compression"] = profile.compression
    return str(yaml.safe_dump({"profiles": [fields]}, sort_keys=False, allow_unicode=True, width=120))


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  # every scalar is a str
    except (yaml.YAMLError, OSError, UnicodeError, RecursionError) as cause:
        mark = getattr(cause, "problem_mark", None)
        why = getattr(cause, "problem", None) or str(cause)
        where = f"line {mark.line + 1}" if mark else "file"
        raise BadProfile(str(path), where, Text(en=f"cannot be read: {why}", zh=f"无法读取：{why}")) from cause
    content = {} if content in (None, "") else content
    if not isinstance(content, dict) or not isinstance(content.get("profiles", []), list):
        raise BadProfile(str(path), "profiles", _A_LIST)
    for name in content:
        if name not in {"default", "profiles"}:
            raise BadProfile(str(path), str(name), _UNKNOWN)
    return content


def _profiles(path: Path, content: Mapping[str, Any]) -> Iterator[Profile]:
    for n, raw in enumerate(content.get("profiles", []), 1):
        try:
            yield _profile(raw, str(path))
        except _Wrong as cause:
            raise BadProfile(str(path), f"profiles[{n}]{cause.where}", cause.reason) from None


class _Wrong(Exception):
    def __init__(self, where: str, reason: Text) -> None:
        super().__init__(where)
        self.where, self.reason = where, reason


def _profile(raw: Any, source: str) -> Profile:
    _check(raw)
    title: dict[str, str] = raw.get("title", {})
    return Profile(
        name=raw["name"],
        title=Text(en=title.get("en", raw["name"]), zh=title.get("zh", raw["name"])),
        host=raw["host"],
        user=raw.get("user"),
        port=int(raw["port"]) if "port" in raw else None,
        identity_files=tuple(_list(raw, "identity_files")),
        jumps=tuple(_list(raw, "jumps")),
        forwards=tuple(_forwards(raw)),
        compression=raw.get("compression", "auto"),
        engine=raw.get("engine"),
        source=source,
    )


def _check(raw: Any) -> None:
    """Say what of the fields with one value is wrong."""
    if not isinstance(raw, dict):
        raise _Wrong("", _NOT_HERE.fill(value=raw))
    for name in raw:
        if name not in _FIELDS:
            raise _Wrong(f".{name}", _UNKNOWN)
    for name in ("name", "host"):
        if name not in raw:
            raise _Wrong(f".{name}", _MISSING)
    for name, belongs in _BELONGS.items():
        if name in raw and not belongs(raw[name]):
            raise _Wrong(f".{name}", _NOT_HERE.fill(value=raw[name]))


def _list(raw: Mapping[str, Any], name: str) -> list[str]:
    found = raw.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise _Wrong(f".{name}", _A_LIST)
    return found


def _forwards(raw: Mapping[str, Any]) -> Iterator[Forward]:
    for kind in _KINDS:
        for words in _list(raw, kind):
            try:
                yield forwards.parse(kind, words)
            except BadForward as cause:
                raise _Wrong(f".{kind}", cause.as_text) from cause

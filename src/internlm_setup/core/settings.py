"""What the user may set once and for all, and where each value came from.

One order everywhere: command line, environment variable, `config.yaml`, default.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internlm_setup.core.errors import ConfigError
from internlm_setup.core.setting_rules import Origin, Value, checked, parse_rate
from internlm_setup.core.text import LANGUAGES, Language, Text, language_from, without_password

NETWORK_VARIABLES = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)
MOST_JOBS = 32
_LANG_LINE = re.compile(r"^lang:\s*['\"]?(en|zh)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and its origin."""

    name: str
    value: Value
    origin: Origin


@dataclass(eq=False)
class BadConfigFile(ConfigError):
    """The file of settings cannot be read. `reason` says what the parser or the system said."""

    path: str
    reason: str

    code = "core.bad-config-file"
    text = Text(en="`{path}` cannot be read: {reason}", zh="无法读取 `{path}`：{reason}")
    hint = Text(
        en="correct the file or move it away, then `internlm-setup config show`",
        zh="请修正或移走该文件，然后运行 `internlm-setup config show`",
    )


@dataclass(eq=False)
class UnknownKey(ConfigError):
    """The file of settings has a key that means nothing here."""

    path: str
    key: str
    allowed: str

    code = "core.unknown-setting"
    text = Text(en="`{path}` has an unknown key: `{key}`", zh="`{path}` 中有未知的键：`{key}`")
    hint = Text(en="allowed keys: {allowed}", zh="可用的键：{allowed}")


@dataclass(frozen=True, slots=True)
class HubDefaults:
    """One hub's line of `configs/hubs.yaml`. With the variables `anonymous` its client sends no login."""

    id: str
    endpoint: str
    variables: tuple[str, ...]
    auto: bool = False
    anonymous: tuple[tuple[str, str], ...] = ()


class Settings:
    """Every setting, resolved."""

    def __init__(self, items: Mapping[str, Setting]) -> None:
        self._items = dict(items)

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._items.values())

    def __getitem__(self, name: str) -> Setting:
        return self._items[name]

    @property
    def source(self) -> str:
        """`auto`, a hub's id, or several joined by commas."""
        return str(self["source"].value)

    @property
    def sources(self) -> tuple[str, ...]:
        """The hubs that were named, in order of preference, each once; empty for `auto`."""
        named = tuple(dict.fromkeys(part.strip() for part in self.source.split(",")))
        return () if named == ("auto",) else named

    @property
    def jobs(self) -> int:
        """Connections in all."""
        return int(self["jobs"].value or 0)

    @property
    def most_jobs(self) -> int:
        """What `jobs` may grow to where that helps: not at all when somebody chose them."""
        return MOST_JOBS if self["jobs"].origin.kind == "default" else self.jobs

    @property
    def limit_rate_bytes_per_s(self) -> int | None:
        """Bytes a second in all, or None for no limit."""
        value = self["limit_rate"].value
        return None if value is None else parse_rate(str(value))

    def endpoint(self, hub: str) -> str | None:
        """Return where a hub is asked, or None for a hub that `configs/hubs.yaml` does not know."""
        found = self._items.get(f"endpoint.{hub}")
        return None if found is None else str(found.value)


def resolve_settings(
    *,
    env: Mapping[str, str],
    config_file: Path,
    hubs: tuple[HubDefaults, ...] = (),
    given: Mapping[str, Value] | None = None,
) -> Settings:
    """Find every setting's value and origin.

    Args:
        env: The environment.
        config_file: The user's `config.yaml`; it need not exist.
        hubs: From `hub_defaults`.
        given: What the command line said, by setting name; None means it said nothing.

    Raises:
        ConfigError: The file or a variable holds something that is not allowed.
        BadOption: The command line does.
    """
    written = read_config(config_file, hubs)
    items = {}
    for name, default, variables in _known(hubs):
        raw, origin = _pick(name, given or {}, env, variables, written, config_file)
        value = default if origin.kind == "default" else checked(name, raw, origin)
        items[name] = Setting(name, value, origin)
    language, origin = find_language(env, config_file, asked=(given or {}).get("lang"))
    items["lang"] = Setting("lang", language, origin)
    return Settings(items)


@functools.cache
def hub_defaults(path: Path) -> tuple[HubDefaults, ...]:
    """Read the hubs' endpoints and the variables that override them from `configs/hubs.yaml`, once a process."""
    if not path.is_file():
        return ()
    hubs = _load_yaml(path).get("hubs", [])
    return tuple(
        HubDefaults(
            hub["id"],
            hub["endpoint"],
            tuple(hub.get("endpoint_variables", ())),
            bool(hub.get("auto")),
            tuple(hub.get("anonymous", {}).items()),
        )
        for hub in hubs
    )


def read_config(path: Path, hubs: tuple[HubDefaults, ...] = ()) -> dict[str, object]:
    """Return what the user's file says, nested keys joined by dots; empty without a file.

    Raises:
        ConfigError: It cannot be read, or a key is unknown.
    """
    if not path.is_file():
        return {}
    flat: dict[str, object] = {}
    for key, value in _load_yaml(path).items():
        if key == "endpoint" and isinstance(value, dict):
            flat |= {f"endpoint.{hub}": address for hub, address in value.items()}
        else:
            flat[str(key)] = value
    allowed = [name for name, _, _ in _known(hubs)]
    for key in flat:
        if key not in allowed:
            raise UnknownKey(path=str(path), key=key, allowed=", ".join(allowed))
    return flat


def find_language(env: Mapping[str, str], config_file: Path, asked: object = None) -> tuple[Language, Origin]:
    """Choose the language: `asked`, INTERNLM_SETUP_LANG, the file, the locale, English.

    Every run needs it before anything is imported, so the file's line is searched, not parsed.
    """
    if asked in LANGUAGES:
        return ("zh" if asked == "zh" else "en"), Origin("command line")
    language, where = language_from(env)
    if where != "INTERNLM_SETUP_LANG":
        line = _LANG_LINE.search(_text_of(config_file))
        if line:
            return ("zh" if line[1] == "zh" else "en"), Origin("file", str(config_file))
    return language, Origin("default") if where == "default" else Origin("environment", where)


def network_settings(env: Mapping[str, str]) -> list[Setting]:
    """Return the proxies and certificates every client here obeys, passwords masked; read only."""
    return [
        Setting(name, without_password(env[name]), Origin("environment", name))
        for upper in NETWORK_VARIABLES
        for name in (upper, upper.lower())
        if env.get(name)
    ]


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _known(hubs: tuple[HubDefaults, ...]) -> list[tuple[str, Value, tuple[str, ...]]]:
    """Every setting: its name, its default and its variables, strongest first."""
    return [
        ("source", "auto", ("INTERNLM_SETUP_SOURCE",)),
        ("jobs", 8, ("INTERNLM_SETUP_JOBS",)),
        ("limit_rate", None, ("INTERNLM_SETUP_LIMIT_RATE",)),
        ("lang", "en", ("INTERNLM_SETUP_LANG",)),
        *((f"endpoint.{hub.id}", hub.endpoint, hub.variables) for hub in hubs),
    ]


def _pick(
    name: str,
    given: Mapping[str, Value],
    env: Mapping[str, str],
    variables: tuple[str, ...],
    written: Mapping[str, object],
    config_file: Path,
) -> tuple[Any, Origin]:
    if given.get(name) is not None:
        return given[name], Origin("command line")
    for variable in variables:
        if env.get(variable):
            return env[variable], Origin("environment", variable)
    if written.get(name) is not None:
        return written[name], Origin("file", str(config_file))
    return None, Origin("default")


def _load_yaml(path: Path) -> dict[str, Any]:
    import yaml  # 26 ms that --help must not pay

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise BadConfigFile(path=str(path), reason=" ".join(str(cause).split())) from cause
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadConfigFile(path=str(path), reason="it holds no `key: value` lines")
    return content

"""What values a setting can have, and how a wrong one is refused."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from internlm_setup.core.errors import ConfigError, ExitCode, SetupError
from internlm_setup.core.text import LANGUAGES, Text, without_password

Value = str | int | None
Kind = Literal["command line", "environment", "file", "default"]

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?(?:/s)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MAX_JOBS = 64
_NO_LOGIN = Text(
    en="an address without a user or a password, since no login is sent there",
    zh="不带用户名和密码的地址，因为不会向它发送登录信息",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from. `detail` is the variable's name or the file's path, else empty."""

    kind: Kind
    detail: str = ""

    def __str__(self) -> str:
        return self.detail or self.kind


@dataclass(eq=False)
class BadSetting(ConfigError):
    """A variable or the file gives a setting a value it cannot have."""

    where: str
    key: str
    value: str
    allowed: Text

    code = "core.bad-setting"
    text = Text(
        en="{where} sets `{key}` to `{value}`, which is not {allowed}",
        zh="{where} 将 `{key}` 设为 `{value}`，应为{allowed}",
    )
    hint = Text(
        en="correct it in {where}; `internlm-setup config show` lists every setting",
        zh="请在 {where} 中修正；用 `internlm-setup config show` 查看全部设置",
    )


@dataclass(eq=False)
class BadOption(SetupError):
    """The command line gives a setting a value it cannot have."""

    option: str
    value: str
    allowed: Text

    exit_code = ExitCode.USAGE
    code = "core.bad-option"
    text = Text(
        en="`{option}` cannot be `{value}`: it takes {allowed}",
        zh="`{option}` 不能是 `{value}`：应为{allowed}",
    )


def checked(name: str, raw: object, origin: Origin) -> Value:
    """Return a setting's value in its own type.

    Raises:
        BadOption: The command line gave a value that is not allowed.
        BadSetting: A variable or the file did.
    """
    text = str(raw).strip()
    rules = {"jobs": _jobs, "limit_rate": _rate, "lang": _lang, "source": _source}
    value, allowed = rules.get(name, _address)(text)
    if value is not None:
        return value
    if origin.kind == "command line":
        raise BadOption(option="--" + name.replace("_", "-"), value=text, allowed=allowed)
    raise BadSetting(where=f"`{origin}`", key=name, value=text, allowed=allowed)


def parse_endpoint(text: str, hubs: Collection[str]) -> tuple[str, str]:
    """Return the hub and the address of `HUB=URL`.

    Raises:
        BadOption: It is not of that form, the hub is none of those, or the address holds a login.
    """
    hub, _, url = text.partition("=")
    address, _ = _address(url.strip())
    if hub.strip() in hubs and address is not None:
        if urlsplit(str(address)).username is None:
            return hub.strip(), str(address)
        raise BadOption(option="--endpoint", value=f"{hub}={without_password(url)}", allowed=_NO_LOGIN)
    known = ", ".join(hubs)
    allowed = Text(
        en=f"HUB=URL, as in `huggingface=http://cache.example:8090`; HUB is one of {known}",
        zh=f"HUB=URL，形如 `huggingface=http://cache.example:8090`；HUB 可为 {known}",
    )
    raise BadOption(option="--endpoint", value=without_password(text), allowed=allowed)


def parse_rate(text: str) -> int | None:
    """Return bytes per second from `10M`, `512K` or `1.5G` (MiB, KiB, GiB); None for no rate."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        return None
    return int(float(found[1]) * _UNITS[found[2].lower()]) or None


def _jobs(text: str) -> tuple[Value, Text]:
    right = text.isdecimal() and 1 <= int(text) <= _MAX_JOBS
    allowed = Text(en=f"a number from 1 to {_MAX_JOBS}", zh=f" 1 到 {_MAX_JOBS} 的数")
    return int(text) if right else None, allowed


def _rate(text: str) -> tuple[Value, Text]:
    allowed = Text(en="a rate such as `10M` (MiB/s)", zh="形如 `10M`（MiB/s）的速率")
    return text if parse_rate(text) else None, allowed


def _lang(text: str) -> tuple[Value, Text]:
    found = text.lower()[:2]
    return found if found in LANGUAGES else None, Text(en="`en` or `zh`", zh=" `en` 或 `zh`")


def _source(text: str) -> tuple[Value, Text]:
    allowed = Text(
        en="`auto` alone, or hubs joined by commas, as in `huggingface,modelscope`",
        zh="单独的 `auto`，或以逗号分隔的平台名，如 `huggingface,modelscope`",
    )
    named = [part.strip() for part in text.split(",")]
    return text if all(named) and (named == ["auto"] or "auto" not in named) else None, allowed


def _address(text: str) -> tuple[Value, Text]:
    """Accept `https://host[:port][/path]`; a bare host, as MODELSCOPE_DOMAIN holds, gets https."""
    allowed = Text(en="an http(s) address", zh="一个 http(s) 地址")
    address = text if "://" in text else f"https://{text}"
    right = re.fullmatch(r"(?i)https?://[^\s/]+(/\S*)?", address) and _has_host(address)
    return address.rstrip("/") if right else None, allowed


def _has_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        return False

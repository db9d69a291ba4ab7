"""Which proxy a run goes through, for every client that is given its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class BadProxy(ConfigError):
    """A proxy that was named cannot be used."""

    code = "core.bad-proxy"
    text = Text(
        en="the proxy `{proxy}` cannot be used: it is not an address of an http, https, socks4 or socks5 proxy",
        zh="代理 `{proxy}` 无法使用：它不是 http、https、socks4 或 socks5 代理的地址",
    )
    hint = Text(
        en="correct `--proxy` or HTTPS_PROXY, as in `http://proxy.example:3128`, or: `unset HTTPS_PROXY ALL_PROXY`",
        zh="请更正 `--proxy` 或 HTTPS_PROXY，形如 `http://proxy.example:3128`，或执行：`unset HTTPS_PROXY ALL_PROXY`",
    )
    proxy: str


def proxied(env: Mapping[str, str], proxy: str | None) -> Mapping[str, str]:
    """Return an environment in which a proxy is used for everything that NO_PROXY does not name; None changes nothing.

    It holds for every client that is given the environment, the vendors' own too.
    """
    names = ("http_proxy", "https_proxy", "all_proxy")
    return env if proxy is None else {**env, **dict.fromkeys((*names, *map(str.upper, names)), proxy)}

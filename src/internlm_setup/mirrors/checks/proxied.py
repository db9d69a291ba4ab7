"""Mirrors that are asked through a proxy: what is near is then fetched by way of what is far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from internlm_setup.core.errors import ConfigError
from internlm_setup.core.text import Text
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.checks import Finding, Sight, quoted

_MESSAGE = Text(
    en="mirrors are asked through the proxy of the environment: {hosts}; one far away makes them slow, or refused",
    zh="镜像 {hosts} 经由环境变量中的代理访问；代理在远处时会变慢，甚至被拒绝",
)
_DIRECT = Text(
    en='`export no_proxy="{rules}"`, where the mirrors can be reached without it',
    zh='若无需代理即可访问镜像：`export no_proxy="{rules}"`',
)


class Proxied:
    """See the module."""

    id = "proxied"
    title = Text(en="mirrors behind a proxy", zh="经由代理访问的镜像")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        network = sight.world.network
        used = [url for target in targets.known().values() for url in sight.effective(target).urls]
        hosts: list[str] = []
        for url in filter(sight.is_mirror, used):
            with suppress(ConfigError):  # a proxy that cannot be used is told by whoever asks through it
                if network.proxy_for(url):
                    hosts.append(urlsplit(url).hostname or "")
        if hosts:
            rules = ",".join(dict.fromkeys([*network.no_proxy, *hosts]))
            yield Finding("advice", _MESSAGE.fill(hosts=quoted(hosts)), _DIRECT.fill(rules=rules))


CHECK = Proxied()

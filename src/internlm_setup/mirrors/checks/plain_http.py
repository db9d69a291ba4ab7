"""Mirrors over plain http, though they speak https: whoever is on the way can change what is installed."""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, quoted, texts
from internlm_setup.mirrors.model import Edit, Value

_PLAIN, _SAFE = "http://", "https://"
_MESSAGE = Text(
    en="`{path}` leads to {urls} without encryption; the site speaks https",
    zh="`{path}` 以未加密的方式访问 {urls}；该站点支持 https",
)


class PlainHttp:
    """See the module; apt is left out, as it checks signatures."""

    id = "plain-http"
    title = Text(en="mirrors over plain http", zh="未加密的镜像地址")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        for file in sight.files():
            if file.target.id == "apt":
                continue
            edits, bare = [], []
            for key, value in file.keys.items():
                plain = [item for item in texts(value) if self._speaks_https(item, sight)]
                if plain:
                    bare += plain
                    edits.append(Edit(key, _safe(value, plain)))
            if edits:
                yield sight.mended(_MESSAGE.fill(path=file.path, urls=quoted(bare)), file, edits)

    def _speaks_https(self, url: str, sight: Sight) -> bool:
        site = sight.world.sites.of(url) if url.startswith(_PLAIN) else None
        return site is not None and any(has.url.startswith(_SAFE) for has in site.families.values())


def _safe(value: object, plain: list[str]) -> Value:
    if isinstance(value, tuple):
        return tuple(_safe(item, plain) if isinstance(item, str) else item for item in value)  # type: ignore[misc]
    return " ".join(_SAFE + item.removeprefix(_PLAIN) if item in plain else item for item in str(value).split())


CHECK = PlainHttp()

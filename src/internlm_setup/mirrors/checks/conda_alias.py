"""`channel_alias` that ends with `/anaconda`, where no channel is: they are below `/anaconda/cloud`."""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, quoted
from internlm_setup.mirrors.model import Edit

_KEY = ("channel_alias",)
_MESSAGE = Text(
    en="`{path}`: `channel_alias` is {url}, so every channel without an address of its own is looked for at "
    "{example}, which is nowhere",
    zh="`{path}`：`channel_alias` 为 {url}，因此凡没有单独设置地址的频道都会到 {example} 去找，而那里并不存在",
)


class Alias:
    """See the module."""

    id = "conda-alias"
    title = Text(en="a `channel_alias` that leads nowhere", zh="指向不存在位置的 `channel_alias`")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        for file in sight.files("conda"):
            alias = file.keys.get(_KEY)
            if isinstance(alias, str) and alias.rstrip("/").endswith("/anaconda") and "://" in alias:
                example = quoted([f"{alias.rstrip('/')}/nvidia"])
                message = _MESSAGE.fill(path=file.path, url=quoted([alias]), example=example)
                yield sight.mended(message, file, [Edit(_KEY, None)])


CHECK = Alias()

"""A base in `custom_channels` that ends with the channel's own name, which conda puts behind it once more."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import BY_HAND, Finding, Sight, quoted
from internlm_setup.mirrors.model import Edit

_MESSAGE = Text(
    en="`{path}`: conda puts a channel's name behind its address, so it looks for `{name}` at {url}",
    zh="`{path}`：conda 会在地址后再加上频道名，因此它到 {url} 去找 `{name}`",
)


class Doubled:
    """See the module."""

    id = "conda-doubled"
    title = Text(en="the doubled name of a channel", zh="重复的频道名")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`; at a site that is not known, the doubled address may be meant so."""
        for file in sight.files("conda"):
            for key, value in file.keys.items():
                base = value.rstrip("/") if isinstance(value, str) else ""
                if key[:1] != ("custom_channels",) or len(key) != 2 or not urlsplit(base).path.endswith(f"/{key[1]}"):
                    continue
                message = _MESSAGE.fill(path=file.path, name=key[1], url=quoted([f"{base}/{key[1]}"]))
                if sight.is_mirror(base):
                    yield sight.mended(message, file, [Edit(key, base.removesuffix(f"/{key[1]}"))])
                else:
                    yield Finding("advice", message, BY_HAND.fill(path=file.path))


CHECK = Doubled()

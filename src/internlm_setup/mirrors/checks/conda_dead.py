"""Channels that their mirror does not have: one that is missing stops conda altogether. The mirrors are asked."""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, quoted, texts
from internlm_setup.mirrors.model import Edit, Key

_MESSAGE = Text(
    en="`{path}` names channels that are not there (404): {urls}; conda stops at such a channel",
    zh="`{path}` 中的频道不存在（404）：{urls}；conda 遇到这样的频道会直接报错",
)


class Dead:
    """See the module."""

    id = "conda-dead"
    title = Text(en="channels that a mirror does not have", zh="镜像没有的频道")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`; nothing is found offline."""
        for file in sight.files("conda"):
            named = {key: _urls(key, value) for key, value in file.keys.items()}
            mirrored = [url for urls in named.values() for url in urls.values() if sight.is_mirror(url)]
            gone = {url for url, there in sight.has(mirrored).items() if there is False}
            edits = []
            for key, urls in named.items():
                kept = tuple(item for item, url in urls.items() if url not in gone)
                if len(kept) < len(urls):
                    edits.append(Edit(key, kept or None))
            if edits:
                yield sight.mended(_MESSAGE.fill(path=file.path, urls=quoted(sorted(gone))), file, edits)


def _urls(key: Key, value: object) -> dict[str, str]:
    """Return the addresses that a key names, by what stands in the file."""
    if key[0] == "custom_channels" and isinstance(value, str) and len(key) == 2:
        return {value: f"{value.rstrip('/')}/{key[1]}"}
    if key[0] in {"channels", "default_channels", "custom_multichannels", "mirrored_channels"}:
        return {item: item.rstrip("/") for item in texts(value) if "://" in item}
    return {}


CHECK = Dead()

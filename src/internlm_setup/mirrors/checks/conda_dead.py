"""Channels that their mirror does not have: one that is missing stops conda altogether.

The mirrors are asked; where they do not answer, the catalogue is quoted.
"""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, quoted, texts
from internlm_setup.mirrors.model import Edit, Key

_MESSAGE = Text(
    en="`{path}` names channels that are not there (404): {urls}; conda stops at such a channel",
    zh="`{path}` 中的频道不存在（404）：{urls}；conda 遇到这样的频道会直接报错",
)
_DOUBTFUL = Text(
    en="`{path}` names `{url}`, and the mirror was not asked; the catalogue says: {why}",
    zh="`{path}` 中有 `{url}`，未能询问镜像；目录中的说明：{why}",
)
_ANEW = Text(
    en="`internlm-setup mirrors --tool conda` writes those that are there",
    zh="`internlm-setup mirrors --tool conda` 会只写入存在的频道",
)


class Dead:
    """See the module."""

    id = "conda-dead"
    title = Text(en="channels that a mirror does not have", zh="镜像没有的频道")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        for file in sight.files("conda"):
            named = {key: _urls(key, value) for key, value in file.keys.items()}
            mirrored = [url for urls in named.values() for url in urls.values() if sight.is_mirror(url)]
            seen = sight.has(mirrored)
            gone = {url for url, there in seen.items() if there is False}
            edits = []
            for key, urls in named.items():
                kept = tuple(item for item, url in urls.items() if url not in gone)
                if len(kept) < len(urls):
                    edits.append(Edit(key, kept or None))
            if edits:
                yield sight.mended(_MESSAGE.fill(path=file.path, urls=quoted(sorted(gone))), file, edits)
            for url in (url for url, there in seen.items() if there is None):
                site = sight.world.sites.of(url)
                why = site and site.refused.get(f"conda/{url.rpartition('/')[2]}")
                if why:
                    yield Finding("advice", _DOUBTFUL.fill(path=file.path, url=url, why=why), _ANEW)


def _urls(key: Key, value: object) -> dict[str, str]:
    """Return the addresses that a key names, by what stands in the file."""
    if key[0] == "custom_channels" and isinstance(value, str) and len(key) == 2:
        return {value: f"{value.rstrip('/')}/{key[1]}"}
    if key[0] in {"channels", "default_channels", "custom_multichannels", "mirrored_channels"}:
        return {item: item.rstrip("/") for item in texts(value) if "://" in item}
    return {}


CHECK = Dead()

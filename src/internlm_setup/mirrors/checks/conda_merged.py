"""Files that conda merges into ours, such as the one of its installation: what they name cannot be taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath

from internlm_setup.core.text import Text
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.checks import BY_HAND, Finding, Sight, quoted

_MESSAGE = Text(
    en="`{path}` adds {urls}: conda merges its files, so it asks there too, whatever yours says",
    zh="`{path}` 追加了 {urls}：conda 会合并各个配置文件，因此无论你的文件怎么写，它也会访问那里",
)
_SYSTEM = Text(
    en="`internlm-setup mirrors --tool conda --scope system`", zh="`internlm-setup mirrors --tool conda --scope system`"
)


class Merged:
    """See the module."""

    id = "conda-merged"
    title = Text(en="other files that conda merges in", zh="conda 合并进来的其他文件")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        conda = targets.get("conda")
        now = sight.effective(conda).urls
        if not now or not sight.is_mirror(now[0]):
            return
        ours = conda.files(sight.machine, "user", sight.read)
        system = conda.files(sight.machine, "system", sight.read)
        for file in sight.files("conda"):
            if file.path in map(Path, ours):
                continue
            without = sight.effective(conda, reads=partial(_without, file.path, sight)).urls
            added = [url for url in now if url not in without and not sight.is_mirror(url)]
            if added:
                repair = _SYSTEM if file.path in map(Path, system) else BY_HAND.fill(path=file.path)
                yield Finding("wrong", _MESSAGE.fill(path=file.path, urls=quoted(added)), repair)


def _without(hidden: Path, sight: Sight, path: PurePath) -> bytes | None:
    return None if Path(path) == hidden else sight.read(path)


CHECK = Merged()

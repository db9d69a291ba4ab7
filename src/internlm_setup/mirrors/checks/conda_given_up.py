"""`pkgs/free` and `pkgs/pro`, which Anaconda has given up."""

from __future__ import annotations

import re
from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, quoted
from internlm_setup.mirrors.model import Edit

_GIVEN_UP = re.compile(r".*://.*/pkgs/(free|pro)(/[\w-]+)?/*")
_MESSAGE = Text(
    en="`{path}` names {urls}: `free` has had nothing new since 2017 and mixes old packages in, `pro` is gone",
    zh="`{path}` 中有 {urls}：`free` 自 2017 年起不再更新，会混入旧软件包；`pro` 已不存在",
)


class GivenUp:
    """See the module."""

    id = "conda-given-up"
    title = Text(en="`pkgs/free` and `pkgs/pro`", zh="`pkgs/free` 与 `pkgs/pro`")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        for file in sight.files("conda"):
            edits, gone = [], []
            for key, value in file.keys.items():
                if key[0] in {"channels", "default_channels", "custom_multichannels"} and isinstance(value, tuple):
                    bad = [item for item in value if isinstance(item, str) and _GIVEN_UP.fullmatch(item)]
                    if bad:
                        gone += bad
                        edits.append(Edit(key, tuple(item for item in value if item not in bad) or None))
            if edits:
                yield sight.mended(_MESSAGE.fill(path=file.path, urls=quoted(gone)), file, edits)


CHECK = GivenUp()

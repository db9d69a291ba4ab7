"""`uv.lock` of the project here with addresses of mirrors: everybody who installs from it is led there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, quoted

_ADDRESS = re.compile(rb"https?://[^\s\"'/]+")
_MESSAGE = Text(
    en="`{path}` holds addresses of {hosts}: whoever installs from it is led there too",
    zh="`{path}` 中含有 {hosts} 的地址：任何人据此安装都会访问那里",
)
_LOCK = Text(
    en="where others use the project, lock it without: `UV_NO_CONFIG=1 uv lock`",
    zh="若项目与他人共享，请不经镜像锁定：`UV_NO_CONFIG=1 uv lock`",
)


class Locked:
    """See the module."""

    id = "uv-lock"
    title = Text(en="mirrors in `uv.lock`", zh="`uv.lock` 中的镜像地址")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        path = sight.world.cwd / "uv.lock"
        origins = sorted({found.decode("utf-8", "replace") for found in _ADDRESS.findall(sight.read(path) or b"")})
        mirrors = [origin for origin in origins if sight.is_mirror(origin)]
        if mirrors:
            yield Finding("advice", _MESSAGE.fill(path=path, hosts=quoted(mirrors)), _LOCK)


CHECK = Locked()

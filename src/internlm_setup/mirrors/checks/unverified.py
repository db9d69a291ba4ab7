"""Certificates that are not checked, in files that lead to mirrors: no https mirror needs that."""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, texts
from internlm_setup.mirrors.model import Edit

_KEYS = {"conda": ("ssl_verify",), "npm": ("strict-ssl",)}
_OFF = {"false", "no", "off", "0"}
_MESSAGE = Text(
    en="`{path}`: `{key}` is off, so anybody on the way can change what is installed; mirrors need no such thing",
    zh="`{path}`：`{key}` 已关闭，链路上的任何人都可以篡改安装的内容；使用镜像并不需要这样做",
)


class Unverified:
    """See the module."""

    id = "unverified"
    title = Text(en="certificates that are not checked", zh="未校验的证书")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        for file in sight.files(*_KEYS):
            key = _KEYS[file.target.id]
            is_off = str(file.keys.get(key)).lower() in _OFF
            if is_off and any(sight.is_mirror(url) for value in file.keys.values() for url in texts(value)):
                yield sight.mended(_MESSAGE.fill(path=file.path, key=key[0]), file, [Edit(key, None)])


CHECK = Unverified()

"""Mirrors whose certificates pip and uv were told not to check."""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import Finding, Sight, quoted, texts
from internlm_setup.mirrors.model import Edit

_KEYS = {"pip": "trusted-host", "uv": "allow-insecure-host"}
_VARIABLES = ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST")
_FILE = Text(
    en="`{path}`: with `{key}`, the certificate of {hosts} is not checked; an https mirror needs no such thing",
    zh="`{path}`：设置了 `{key}`，因此不校验 {hosts} 的证书；https 镜像并不需要它",
)
_VARIABLE = Text(
    en="the variable `{name}` turns the certificate check of {hosts} off",
    zh="变量 `{name}` 关闭了对 {hosts} 证书的校验",
)
_UNSET = Text(
    en="`unset {name}`, and take it out of your shell's files", zh="`unset {name}`，并从 shell 的配置文件中删除"
)


class TrustedHost:
    """See the module."""

    id = "trusted-host"
    title = Text(en="hosts that are trusted unseen", zh="不经校验即信任的主机")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`; hosts that are no mirror's stay."""
        for file in sight.files(*_KEYS):
            name = _KEYS[file.target.id]
            for key, value in file.keys.items():
                bad = [host for host in texts(value) if key[-1] == name and sight.is_mirror(f"https://{host}")]
                if bad:
                    kept = tuple(host for host in texts(value) if host not in bad)
                    rest = kept if isinstance(value, tuple) else " ".join(kept)
                    message = _FILE.fill(path=file.path, key=name, hosts=quoted(bad))
                    yield sight.mended(message, file, [Edit(key, rest or None)])
        for variable in _VARIABLES:
            hosts = texts(sight.machine.env.get(variable, ""))
            bad = [host for host in hosts if sight.is_mirror(f"https://{host}")]
            if bad:
                message = _VARIABLE.fill(name=variable, hosts=quoted(bad))
                yield Finding("wrong", message, _UNSET.fill(name=variable))


CHECK = TrustedHost()

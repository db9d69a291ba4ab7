"""Sites that nobody should use any more."""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.checks import BY_HAND, FIX, Finding, Sight, texts
from internlm_setup.mirrors.model import Site

_FILE = Text(en="`{path}` leads to {site}: {why}", zh="`{path}` 指向{site}：{why}")
_VARIABLE = Text(
    en="the variable `{name}` leads {tool} to {site}: {why}", zh="变量 `{name}` 让 {tool} 使用{site}：{why}"
)
_FIX = Text(
    en="{fix}, then name one that lives: `internlm-setup mirrors --tool {tool}`",
    zh="{fix}，然后换成可用的站点：`internlm-setup mirrors --tool {tool}`",
)
_UNSET = Text(
    en="`unset {name}`, and take it out of your shell's files", zh="`unset {name}`，并从 shell 的配置文件中删除"
)


class Retired:
    """See the module."""

    id = "retired"
    title = Text(en="sites that are retired", zh="已停用的站点")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""

        def retired(url: str) -> Site | None:
            site = sight.world.sites.of(url)
            return site if site and site.retired else None

        for file in sight.files():
            edits = file.target.owned(file.keys, lambda url: retired(url) is not None)
            site = next((s for edit in edits for url in texts(file.keys[edit.key]) if (s := retired(url))), None)
            if site and site.retired:
                change = sight.edited(file, edits)
                fix = FIX if change else BY_HAND.fill(path=file.path)
                message = _FILE.fill(path=file.path, site=site.title, why=site.retired)
                yield Finding("wrong", message, _FIX.fill(fix=fix, tool=file.target.id), change)
        for target in targets.known().values():
            now = sight.effective(target)
            site = retired(now.urls[0]) if now.urls else None
            if site and site.retired and now.decided_by and now.decided_by.kind == "variable":
                name = now.decided_by.where
                message = _VARIABLE.fill(name=name, tool=target.title, site=site.title, why=site.retired)
                yield Finding("wrong", message, _UNSET.fill(name=name))


CHECK = Retired()

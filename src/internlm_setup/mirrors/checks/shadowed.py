"""A mirror that is written and not in force: a variable, or the file of an environment, wins over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from internlm_setup.core.text import Text
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.checks import Finding, Sight, quoted
from internlm_setup.mirrors.model import Machine, Target

_ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX")
_VARIABLE = Text(
    en="{tool} does not use the mirror in its files: {names} wins over them",
    zh="{tool} 没有使用配置文件中的镜像：{names} 优先于它们",
)
_FILE = Text(
    en="{tool} does not use your mirror here: `{path}`, of the environment that is active, wins over it",
    zh="{tool} 在这里没有使用你的镜像：当前环境的 `{path}` 优先于它",
)
_UNSET = Text(
    en="`unset {names}`, and take it out of your shell's files", zh="`unset {names}`，并从 shell 的配置文件中删除"
)
_VENV = Text(
    en="`internlm-setup mirrors --tool {tool} --scope venv`", zh="`internlm-setup mirrors --tool {tool} --scope venv`"
)


class Shadowed:
    """See the module."""

    id = "shadowed"
    title = Text(en="what wins over your mirrors", zh="优先于镜像设置的内容")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`: would the tool use a mirror if something were not there?"""
        for target in targets.known().values():
            if not target.scopes or self._leads(target, sight.machine, sight):
                continue
            names = self._to_blame(target, sight)
            if not names:
                continue
            winner = sight.effective(target).decided_by
            if set(names) <= set(_ENVIRONMENTS) and winner:
                message = _FILE.fill(tool=target.title, path=winner.where)
                yield Finding("wrong", message, _VENV.fill(tool=target.id))
            else:
                message = _VARIABLE.fill(tool=target.title, names=quoted(names))
                yield Finding("wrong", message, _UNSET.fill(names=" ".join(names)))

    def _leads(self, target: Target, machine: Machine, sight: Sight) -> bool:
        urls = sight.effective(target, machine).urls
        return bool(urls) and sight.is_mirror(urls[0])

    def _to_blame(self, target: Target, sight: Sight) -> tuple[str, ...]:
        """Return the variable without which the tool would use a mirror, or all that may matter together.

        Those of a tool begin with its name: `PIP_INDEX_URL`, `npm_config_registry`, `CONDARC`.
        """
        env, own = sight.machine.env, target.id.upper()
        names = tuple(name for name in env if name in _ENVIRONMENTS or name.upper().startswith(own))
        for some in ((name,) for name in names), (names,):
            for gone in some:
                rest = {name: value for name, value in env.items() if name not in gone}
                if gone and self._leads(target, replace(sight.machine, env=rest), sight):
                    return gone
        return ()


CHECK = Shadowed()

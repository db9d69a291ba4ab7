"""look, plan and write: a function for each, so that whoever calls can speak between them; `verify` comes after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from internlm_setup.core.errors import ConfigError, SetupError, SeveralErrors
from internlm_setup.core.files import CannotRead, reading
from internlm_setup.core.parallel import each
from internlm_setup.core.text import Text
from internlm_setup.mirrors import probe, profiles, targets
from internlm_setup.mirrors.errors import FileUnreadable, ScopeLacks, SiteLacks
from internlm_setup.mirrors.journal import Journal
from internlm_setup.mirrors.model import Change, Family, Scope, Site, Target, Wish
from internlm_setup.mirrors.plan import Plan, Skip, Step, change, looked, scope_of, wished
from internlm_setup.mirrors.profiles import Offer, Profile
from internlm_setup.mirrors.revert import Undone
from internlm_setup.mirrors.world import World, content, read

CHANNEL_PATIENCE_S = 0.8

_MEASURING = Text(en="measuring the sites for {family}", zh="正在测量 {family} 的各站点")
_CHOSEN = Text(en="{site}: {why}", zh="{site}：{why}")
_NOT_PROBED = Text(
    en="not probed: {names}; the catalogue of {day} says that {site} has them",
    zh="未探测：{names}；{day} 的目录显示 {site} 提供这些频道",
)
_GONE = Text(en="left out: `{name}`, which {site} does not have now", zh="未写入 `{name}`：{site} 目前没有它")
_UNLISTED = Text(
    en="left out: `{name}`, which the catalogue does not list for {site}{why}",
    zh="未写入 `{name}`：目录中 {site} 没有它{why}",
)
_WHY = Text(en=": {why}", zh="：{why}")
_NO_DEFAULTS = Text(
    en="without `main` at {site} there is no `defaults`, so `conda-forge` stands in its place",
    zh="{site} 没有 `main`，也就没有 `defaults`，因此以 `conda-forge` 代替",
)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        site: A site's id; `auto` for the one that is measured to be best, None for the profile's.
        profile: A profile's id.
        tools: The tools that were named; empty for those that the choice is for.
        scope: Whose files; None for each tool's own.
        security: apt's security suites too.
    """

    site: str | None = None
    profile: str = "tutorial"
    tools: tuple[str, ...] = ()
    scope: Scope | None = None
    security: bool = False


def plan(request: Request, world: World, tell: Callable[[Text], None]) -> Plan:
    """Look at the machine and say what would be written; nothing is. `tell` hears of what takes long.

    Raises:
        UnknownSite, UnknownTool, UnknownProfile: With what is close to it.
        SiteLacks: The site has nothing for a tool that was named, or for any; it says who has.
        ScopeLacks, NoVenv: There is no file of the scope that was asked for.
        ConfigError: A file cannot be read, or not changed in one key.
        UnavailableError: The sites were to be measured, and none answers.
    """
    profile = profiles.get(request.profile)
    if request.site == "auto":
        profile = replace(profile, measured=True)
    site = None if request.site in {None, "auto"} else world.sites.get(str(request.site))
    chosen = _chosen(request, profile, site)
    present = [t for t in chosen if request.tools or t.always or t.program in world.machine.programs or not t.scopes]
    choose = _Choice(profile, site, world, present, tell)
    if site and not chosen:
        world.sites.serving(site.id, profile.families[0])
    steps: list[Step] = []
    lacks: list[tuple[str, SiteLacks | ScopeLacks]] = []
    errors: list[SetupError] = []
    for target in present:
        try:
            steps.append(_step(target, choose, request, world))
        except ConfigError as error:
            errors.append(error)
        except (SiteLacks, ScopeLacks) as error:
            if request.tools:
                raise
            lacks.append((target.id, error))
    if lacks and not steps:
        raise lacks[0][1]
    if errors:
        raise errors[0] if len(errors) == 1 else SeveralErrors(errors)
    skips = tuple(Skip(tool, error.as_text) for tool, error in lacks)
    return Plan(tuple(steps), skips, tuple(sorted(t.id for t in chosen if t not in present)))


def _chosen(request: Request, profile: Profile, site: Site | None) -> list[Target]:
    """Return the tools that were named; else those that what was chosen is for, system-wide ones left out."""
    if request.tools:
        return [targets.get(tool) for tool in dict.fromkeys(request.tools)]
    known = targets.known()
    families = [f for f in profile.families if site is None or f in site.families]
    if families:
        reads = [t for t in known.values() if t.families[0] in profile.families and "user" in t.scopes]
    else:
        reads = [t for t in known.values() if site and t.families[0] in site.families and t.scopes != ("system",)]
    reads.sort(key=lambda t: (not t.always, t.families[0] not in profile.families[:1]))
    return [*reads, *(known[tool] for tool in profile.advice)]


class _Choice:
    """Which site each family is led to."""

    def __init__(
        self, profile: Profile, site: Site | None, world: World, present: Sequence[Target], tell: Callable[[Text], None]
    ) -> None:
        self.profile, self._site, self._world = profile, site, world
        self._advised = {targets.get(tool).families[0] for tool in profile.advice}
        self._measured: dict[Family, tuple[Site, Text]] = {}
        if site is None and profile.measured:
            for family in dict.fromkeys(t.families[0] for t in present):
                if world.sites.having(family) and family not in self._advised:
                    tell(_MEASURING.fill(family=family))
                    self._measured[family] = probe.best(family, world, targets.in_use(family, world, present))

    def notes(self, family: Family) -> tuple[Text, ...]:
        """Return why the site of a family was chosen, where it was measured."""
        if family not in self._measured:
            return ()
        site, why = self._measured[family]
        return (_CHOSEN.fill(site=site.id, why=why),)

    def site(self, family: Family) -> Site | None:
        """Return it; None for a family that nobody serves.

        Raises:
            SiteLacks: The one that was named does not serve the family.
        """
        usual = profiles.USUAL.get(family, "")
        site = self._measured[family][0] if family in self._measured else self._site
        if site is None or (family in self._advised and family not in site.families):
            living = self._world.sites.having(family)
            return next((s for s in living if s.id == usual), living[0] if living else None)
        self._world.sites.serving(site.id, family)
        return site


def _step(target: Target, choose: _Choice, request: Request, world: World) -> Step:
    scope = scope_of(target, request.scope if request.tools or "user" in target.scopes else None, world.machine)
    site = choose.site(target.families[0])
    installed = target.program in world.machine.programs
    before = target.effective(world.machine, read)
    if site is None:
        return Step(target, None, None, (), installed, before, (target.about,))
    notes = choose.notes(target.families[0])
    wish = Wish(site, security=request.security)
    if target.families[0] == "conda":
        wish, seen = _conda(choose.profile, site, world)
        notes += seen
    changes = wished(target, wish, scope, world.machine, _read_strictly) if scope else ()
    if scope == "venv" and not changes:
        raise ScopeLacks(target.title, scope, ", ".join(other for other in target.scopes if other != scope))
    return Step(target, wish, scope, changes, installed, before, notes, tuple(target.advice(wish, world.machine)))


def _conda(profile: Profile, site: Site, world: World) -> tuple[Wish, tuple[Text, ...]]:
    """Return what conda is told, and what was seen of its channels."""
    offered = profiles.offers(profile, site, world.sites, world.machine.platform)
    owners = {offer.site.id: offer.site for offer in offered}

    def ask(owner: Site) -> dict[str, bool | None]:
        names = [offer.name for offer in offered if offer.site is owner]
        return dict(probe.channels(owner, names, world.subdir, world.network, CHANNEL_PATIENCE_S))

    exists = {name: found for one in each(ask, owners.values(), len(owners)) for name, found in one.items()}
    wish = profiles.conda_wish(profile, site, offered, exists)
    if wish is None:
        others = ", ".join(s.id for s in world.sites.having("conda", "conda-forge") if s is not site)
        raise SiteLacks(site.id, "conda", Text(en="", zh=""), others)
    written = {channel.name for channel in wish.channels}
    notes = [_why_not(o, exists.get(o.name)) for o in offered if o.name not in written]
    if "defaults" in profile.order and "defaults" not in wish.order:
        notes.append(_NO_DEFAULTS.fill(site=site.id))
    unseen = [f"`{channel.name}`" for channel in wish.channels if channel.how_known == "catalogue"]
    if unseen:
        names = Text(en=", ".join(unseen), zh="、".join(unseen))
        notes.append(_NOT_PROBED.fill(site=site.id, names=names, day=site.checked_on))
    return wish, tuple(notes)


def _why_not(offer: Offer, seen: bool | None) -> Text:
    if seen is False:
        return _GONE.fill(name=offer.name, site=offer.site.id)
    refused = offer.site.refused.get(f"conda/{offer.name}")
    why = _WHY.fill(why=refused) if refused else Text(en="", zh="")
    return _UNLISTED.fill(name=offer.name, site=offer.site.id, why=why)


def write(changes: Sequence[Change], world: World) -> str | None:
    """Write what differs; return what `undo` calls it, or None where nothing did.

    Raises:
        WriteError: A file cannot be written, or somebody changed it meanwhile; none was written.
    """
    return Journal(world.journal).write(changes, world.clock)


def undo(record_id: str | None, world: World) -> list[Undone]:
    """Put back what a run found; None for the last one that is not undone.

    Raises:
        NotFoundError: There is no such run.
        WriteError: A file cannot be written.
    """
    return Journal(world.journal).undo(record_id, lambda tool, path: targets.get(tool).syntax(path))


def without_mirrors(tools: Sequence[str], scope: Scope | None, world: World) -> list[Change]:
    """Return the files of the tools, of all where none is named, without the addresses of mirrors; nothing is written.

    Raises:
        UnknownTool: With what is close to it.
        ConfigError: A file cannot be read, or not changed in one key.
    """
    chosen = [targets.get(tool) for tool in dict.fromkeys(tools)] or list(targets.known().values())
    return [found for target in chosen for found in _without(target, scope, world, named=bool(tools))]


def _without(target: Target, scope: Scope | None, world: World, *, named: bool) -> Iterator[Change]:
    """Yield the files of a tool that hold a mirror's address, as they are without it."""
    if scope is None or not named:
        wanted: list[Scope] = [scope] if scope else ["user", "venv"]
        scopes = [s for s in wanted if s in target.scopes and (s != "venv" or world.machine.venv)]
    else:
        found = scope_of(target, scope, world.machine)
        scopes = [found] if found else []
    for one in scopes:
        for path in target.files(world.machine, one, _read_strictly):
            before = _read_strictly(path)
            edits = target.owned(looked(target.syntax(path), path, before), world.sites.is_mirror)
            if before is not None and edits:
                bare = change(target, Path(path), before, edits)
                yield bare if (bare.after or b"").strip() else Change(bare.tool, bare.path, before, None, bare.edits)


def _read_strictly(path: PurePath) -> bytes | None:
    """Return what `model.Reads` promises, or None where nothing is.

    Raises:
        FileUnreadable: Something is, and it cannot be read.
    """
    try:
        with reading(Path(path)):
            return content(path)
    except CannotRead as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise FileUnreadable(str(path), error.reason) from error

"""What a fetch may know of its machine, and the questions it may ask from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from internlm_setup.core.clock import Clock, SystemClock
from internlm_setup.core.http import Network, origin_of, user_agent
from internlm_setup.core.paths import Paths, shipped_configs
from internlm_setup.core.settings import Settings, hub_defaults
from internlm_setup.core.shapes import read_yaml
from internlm_setup.core.text import Text, without_password
from internlm_setup.fetch import hubs
from internlm_setup.fetch.ask import Question
from internlm_setup.fetch.catalog import Catalog, Wanted, load_catalog
from internlm_setup.fetch.errors import NotAtHub
from internlm_setup.fetch.model import Hub
from internlm_setup.fetch.transfer import events

_UNUSED = Text(
    en="`--endpoint` names a server of {hub}, which is not asked for `{model}`: `--source {hub}` would ask it",
    zh="`--endpoint` 给出的是 {hub} 的服务器，但此次不向 {hub} 查询 `{model}`；加上 `--source {hub}` 即会查询",
)


@dataclass(frozen=True, slots=True)
class World:
    """What a fetch may know of the machine it runs on.

    Attributes:
        env: The environment; hubs find their tokens there.
        home: The home folder; hubs find their stored logins there.
        cwd: Where relative destinations start.
        state: Our state folder.
        catalog: The known models.
        endpoints: Hub id to the address to ask; hubs not in it use their own.
        auto: Hubs that `auto` asks, in order of preference.
        network: The way out.
        clock: The time.
        local_models: Patterns of folders in which this machine may have models for everybody.
        nearer: Hub id and address of more endpoints to ask, beside the hub's own.
        anonymous: By hub, variables that keep its client from sending a login.
    """

    env: Mapping[str, str]
    home: Path
    cwd: Path
    state: Path
    catalog: Catalog
    endpoints: Mapping[str, str]
    auto: tuple[str, ...]
    network: Network
    clock: Clock
    local_models: tuple[str, ...] = ()
    nearer: tuple[tuple[str, str], ...] = ()
    anonymous: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def hub(self, hub_id: str) -> Hub:
        """Make one hub."""
        return hubs.make(hub_id, self.endpoints.get(hub_id), self.network, self.env, self.home)

    def each_endpoint(self, hub_id: str) -> tuple[Hub, ...]:
        """Make a hub once for each address where it can be asked, its own first.

        A login goes to the hub's own origin alone: at any other address, a cache in the local network or a mirror, it
        is asked by nobody in particular.
        """
        own = self.hub(hub_id)
        given = [address for hub, address in self.nearer if hub == hub_id]
        return (own, *(self._at(hub_id, address, own) for address in dict.fromkeys(given) if address != own.endpoint))

    def _at(self, hub_id: str, address: str, own: Hub) -> Hub:
        if origin_of(address) == origin_of(own.endpoint):
            return hubs.make(hub_id, address, self.network, self.env, self.home)
        env = {**self.env, **dict(self.anonymous.get(hub_id, ()))}
        return hubs.make(hub_id, address, self.network, env, self.state / "nobody")  # where nothing is stored


def make_world(
    env: Mapping[str, str],
    home: Path,
    cwd: Path,
    paths: Paths,
    settings: Settings,
    nearer: Sequence[tuple[str, str]] = (),
) -> World:
    """Build the world of one run; `nearer` are a hub's id and the address of one more endpoint of it.

    Raises:
        ConfigError: A catalogue file, or a variable of the network, cannot be used.
    """
    defaults = hub_defaults(shipped_configs() / "hubs.yaml")
    endpoints = {hub.id: settings.endpoint(hub.id) or hub.endpoint for hub in defaults}
    return World(
        env=env,
        home=home,
        cwd=cwd,
        state=paths.state,
        catalog=load_catalog([shipped_configs() / "models", paths.config / "models"]),
        endpoints=endpoints,
        auto=tuple(hub.id for hub in defaults if hub.auto),
        network=Network.from_env(env, user_agent()),
        clock=SystemClock(),
        local_models=local_models(shipped_configs() / "local_models.yaml"),
        nearer=tuple(nearer),
        anonymous={hub.id: hub.anonymous for hub in defaults},
    )


def local_models(path: Path) -> tuple[str, ...]:
    """Return the patterns of folders in `configs/local_models.yaml`, in order."""
    profiles = read_yaml(path, shipped=True)["profiles"]
    return tuple(folder for profile in profiles for folder in profile["folders"])


def questions(
    wanted: Wanted,
    world: World,
    sources: Sequence[str],
    revision: str | None,
    command: str = "",
    tell: events.Listener = events.ignore,
) -> list[Question]:
    """Say which hubs to ask for which repository; those the catalogue knows not to have it are left out.

    Args:
        wanted: The model and its ids.
        world: The run's world.
        sources: Hubs that were named; empty means those that `auto` asks.
        revision: None for each hub's default.
        command: What to propose, with a `--source`, where a hub cannot be had; a fetch unless given.
        tell: Told which hubs that were named have not got it, and which endpoints are not used.

    Raises:
        UnknownHub: A named hub is not installed.
        NotAtHub: None of the hubs has it.
    """
    command = command or f"internlm-setup fetch {wanted.typed}"
    for hub_id in sources:
        hubs.get(hub_id)
    has = [h for h in dict.fromkeys((*world.auto, *wanted.ids)) if h in wanted.ids and hubs.is_known(h)]
    asked = [h for h in sources if h in has] if sources else [h for h in has if h in world.auto] or has
    if not asked:
        title = ", ".join(hubs.get(h).title for h in sources[:1] or world.auto)
        raise NotAtHub(wanted.typed, title, f"{command} --source {has[0]}" if has else "internlm-setup models list")
    for hub_id in (h for h in sources if h not in asked):
        tell(events.Noted(NotAtHub(wanted.typed, hubs.get(hub_id).title, "").as_text, warning=True))
    for hub_id in dict.fromkeys(h for h, _ in world.nearer if h not in (*asked, *sources)):
        tell(events.Noted(_UNUSED.fill(hub=hub_id, model=wanted.typed), warning=True))
    found = []
    for hub_id in asked:
        other = next((f" --source {h}" for h in has if h in world.auto and h not in asked), wanted.where)
        made = world.each_endpoint(hub_id)
        for hub in made:
            asked_revision = hub.default_revision if revision is None else revision
            endpoint = without_password(hub.endpoint) if len(made) > 1 else ""
            found.append(Question(hub, wanted.ids[hub_id], asked_revision, f"{command}{other}", endpoint))
    return found

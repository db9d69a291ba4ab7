"""From what was asked for to what is held: command line over profile over `~/.ssh/config` over defaults."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from internlm_setup.core.paths import Paths, shipped_configs
from internlm_setup.core.ssh import resolve
from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.compression import Wish
from internlm_setup.core.ssh.config import HostConfig, under_home
from internlm_setup.core.ssh.connect_errors import HostKeyNew
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.text import Text
from internlm_setup.tunnel import equivalent, forwards, pasted, profiles, records
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.choosing import Chosen, Means, means
from internlm_setup.tunnel.errors import BadForward, PortBusy
from internlm_setup.tunnel.health import is_loopback
from internlm_setup.tunnel.held import Tunnel, Wishes, option_of, server_words
from internlm_setup.tunnel.held_errors import HeldAlready, NoKeyYet, PortMissing
from internlm_setup.tunnel.model import Endpoint, Forward, SessionSpec
from internlm_setup.tunnel.profiles import Profile

ENGINE = "fast"
SHIPPED = shipped_configs() / profiles.FILE
_BESIDE, _LAST_PORT = 10_000, 65_535
_USUAL = Forward("local", Endpoint("", 6006), Endpoint("127.0.0.1", 6006))
_NOT_FOLLOWED = Text(en="`{words}`: {reason}", zh="`{words}`：{reason}")
_EVERYONE = Text(
    en="whoever reaches this machine reaches the port: http://{address}:{port}",
    zh="能访问本机的人都能访问该端口：http://{address}:{port}",
)
_EVERY_ADDRESS = {"*", "0.0.0.0", "::"}  # noqa: S104  # what they mean is said
_WORDS = {
    "local": Text(en="{bind} here leads to {to} on {host}", zh="本机的 {bind} 通向 {host} 上的 {to}"),
    "remote": Text(en="{bind} on {host} leads to {to} here", zh="{host} 上的 {bind} 通向本机的 {to}"),
    "dynamic": Text(
        en="{bind} here is a SOCKS proxy that leads wherever {host} can reach",
        zh="本机的 {bind} 是 SOCKS 代理，可通向 {host} 能访问的任何地方",
    ),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; None and empty leave it to the profile and the files.

    Attributes:
        words: The name of a profile, or a command line of `ssh`.
        host: A server instead of the profile's.
        user: The account there.
        port: Its port.
        jumps: Servers to go through, nearest first, as `user@host:port`.
        forwards: Instead of the profile's.
        to_all: Whether other machines may use the ports here.
        accept_new: Whether an unknown host key is taken unasked.
        hold_s: How long a new connection waits through a reconnect; None for the usual.
        wishes: How to hold it.
    """

    words: tuple[str, ...] = ()
    host: str | None = None
    user: str | None = None
    port: int | None = None
    jumps: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()
    to_all: bool = False
    accept_new: bool = False
    hold_s: float | None = None
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, slots=True)
class World:
    """What a tunnel may know of this machine."""

    env: Mapping[str, str]
    home: Path
    paths: Paths

    @property
    def profiles(self) -> profiles.Profiles:
        """The shipped profiles and the person's own.

        Raises:
            BadProfile: A file cannot be read.
        """
        return profiles.load_profiles([SHIPPED, self.paths.config / profiles.FILE])

    @property
    def here(self) -> resolve.Here:
        """This side of a connection."""
        return resolve.Here.of(self.env, self.home)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be held.

    Attributes:
        spec: The session and its forwards.
        wishes: How to hold it.
        notes: What the person should hear before.
        warnings: What may surprise them.
        made: The profile that a pasted command line makes; None where none was pasted.
        engine: The engine that the profile names; None where it names none.
        means: What there is to log in with.
    """

    spec: SessionSpec
    wishes: Wishes
    notes: tuple[Text, ...]
    warnings: tuple[Text, ...]
    made: Profile | None
    engine: str | None
    means: Means

    @property
    def begun(self) -> ev.Begun:
        """What is said first."""
        words = tuple(map(self._words, self.spec.forwards))
        return ev.Begun(server_words(self.spec), words, equivalent.shown(self.spec))

    def _words(self, forward: Forward) -> Text:
        return _WORDS[forward.kind].fill(
            bind=_shown(forward.bind),
            to=_shown(forward.destination) if forward.destination is not None else "",
            host=self.spec.host.host,
        )


def plan(request: Request, world: World) -> Plan:
    """Work out what to hold.

    Raises:
        PortMissing: The profile's server has a port for each machine, and none was given.
        UnknownProfile: There is no profile of this name.
        BadPasted: What was pasted is no command line of `ssh`.
        SetupError: What `core.ssh.resolve` and `load_profiles` raise.
    """
    profile, notes, made = _profile(request, world)
    typed = resolve.Typed(
        host=request.host or profile.host,
        user=request.user or profile.user,
        port=request.port or profile.port,
        identity_files=tuple(under_home(name, world.home) for name in profile.identity_files),
        jumps=request.jumps or profile.jumps,
    )
    host, config = resolve.resolve(typed, world.here)
    if typed.port is None and profile.source == str(SHIPPED) and config.number("port") is None:
        raise PortMissing(host.alias)
    wanted, troubles = request.forwards or profile.forwards, list[Text]()
    if not wanted:
        wanted, troubles = _of_config(config)
    spec = SessionSpec(host, tuple(_opened(each, to_all=request.to_all) for each in wanted or (_USUAL,)))
    if request.hold_s is not None:
        spec = replace(spec, hold_s=request.hold_s)
    spec = replace(spec, accept_new=request.accept_new, compression=_compression(profile, config))
    found = means(host, config, world.env)
    return Plan(spec, request.wishes, tuple(notes), (*config.notes, *troubles), made, profile.engine, found)


def open_to_all(spec: SessionSpec) -> Iterator[Text]:
    """Say of each port here that other machines can reach, and by which address, whether `-g` or `-L` asks for it."""
    for forward in spec.forwards:
        host = forward.bind.host
        if host and forward.kind != "remote" and not is_loopback(host):
            address = _own_address() if host in _EVERY_ADDRESS else host
            yield _EVERYONE.fill(address=f"[{address}]" if ":" in address else address, port=forward.bind.port)


def tunnel(plan: Plan, asker: Asker, world: World, tell: ev.Listener) -> Tunnel:
    """Prepare a tunnel; nothing listens yet.

    Args:
        plan: What to hold.
        asker: Asked in the thread that holds it.
        world: This machine.
        tell: Told what happens, from any thread.
    """
    engine = Chosen(ENGINE, plan.means, tell, plan.engine)
    return Tunnel(plan.spec, plan.wishes, engine, asker, world.env, world.paths.state, tell)


def hold(tunnel: Tunnel, plan: Plan, world: World, *, attended: bool) -> None:
    """Hold a tunnel until it is stopped; `attended` says whether there is anybody to ask.

    Raises:
        NoKeyYet: There is nothing to log in with.
        HeldAlready: Another tunnel of ours holds a port.
        SetupError: What `Tunnel.run` raises.
    """
    try:
        tunnel.run()
    except HostKeyNew as unknown:
        host = plan.spec.host
        if attended or _has_something(host, world.env):
            raise
        raise NoKeyYet(host.user, host.host, str(world.home / ".ssh")) from unknown
    except PortBusy as busy:
        refuse_second(plan, world)
        if forward := _listens_here(plan).get(busy.port):
            busy.other = _beside(forward)
        raise


def refuse_second(plan: Plan, world: World) -> None:
    """Say so when another tunnel of ours holds a port that this one needs.

    Raises:
        HeldAlready: One does.
    """
    mine = _listens_here(plan)
    for _, status in records.held(world.paths.state):
        for port in status.ports:
            if port in mine:
                address = _shown(mine[port].bind).rpartition(":")[0]
                raise HeldAlready(address, port, status.pid, status.server, _beside(mine[port]))


def _listens_here(plan: Plan) -> dict[int, Forward]:
    return {forward.bind.port: forward for forward in plan.spec.forwards if forward.kind != "remote"}


def _beside(forward: Forward) -> str:
    """Return the same forward as an option with another port here."""
    host, port = forward.bind.host, forward.bind.port
    other = port + _BESIDE if port + _BESIDE <= _LAST_PORT else port - _BESIDE
    return option_of(replace(forward, bind=Endpoint(host, other)))


def _profile(request: Request, world: World) -> tuple[Profile, list[Text], Profile | None]:
    """Return the profile to start from, what is to be said of it, and the one that was made of a pasted line."""
    words = request.words
    if words and (len(words) > 1 or " " in words[0]):
        found = pasted.read_pasted(words)
        notes = [_NOT_FOLLOWED.fill(words=note.words, reason=note.reason) for note in found.notes]
        return found.profile, notes, replace(found.profile, forwards=found.profile.forwards or (_USUAL,))
    if request.host is not None and not words:
        return Profile(request.host, Text(en=request.host, zh=request.host), request.host), [], None
    return world.profiles.want(words[0] if words else None), [], None


def _of_config(config: HostConfig) -> tuple[tuple[Forward, ...], list[Text]]:
    """Return the forwards that `~/.ssh/config` has for the host, and what is wrong with some of them."""
    found, troubles = list[Forward](), list[Text]()
    for kind in forwards.OPTIONS:
        for entry in config.values.get(f"{kind}forward", ()):
            try:
                found.append(forwards.parse(kind, ":".join(entry.split())))
            except BadForward as trouble:
                troubles.append(trouble.as_text)
    return tuple(found), troubles


def _compression(profile: Profile, config: HostConfig) -> Wish:
    if profile.compression != "auto" or config.one("compression") is None:
        return profile.compression
    return "on" if config.flag("compression") else "off"


def _opened(forward: Forward, *, to_all: bool) -> Forward:
    if not to_all or forward.kind == "remote" or forward.bind.host:
        return forward
    return replace(forward, bind=Endpoint("*", forward.bind.port))


def _own_address() -> str:
    """Return the address that other machines know this one by, as far as the routes tell; nothing is sent."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])


def _shown(end: Endpoint) -> str:
    host = {"": "127.0.0.1", "*": "*"}.get(end.host, end.host)
    return f"[{host}]:{end.port}" if ":" in host else f"{host}:{end.port}"


def _has_something(host: HostSpec, env: Mapping[str, str]) -> bool:
    """Say whether there is anything to log in with: a key, or an agent that may have one."""
    keys: Sequence[Path] = host.identity_files
    return bool(env.get("SSH_AUTH_SOCK")) or sys.platform == "win32" or any(key.exists() for key in keys)

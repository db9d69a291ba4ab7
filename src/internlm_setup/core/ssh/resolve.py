"""From what a person typed to whom to reach: the command line over `~/.ssh/config` over OpenSSH's defaults."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from internlm_setup.core.ssh.config import (
    ConfigFile,
    HostConfig,
    Question,
    expand,
    read_config,
    tokens,
    under_home,
)
from internlm_setup.core.ssh.connect_errors import BadHost, BadJump, JumpsInCircles
from internlm_setup.core.ssh.model import HostSpec

_SYSTEM = Path("/etc/ssh")
_MOST_JUMPS = 8
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+(?:@[^@]+)*)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^@:\[\]]+))(?::(?P<port>\d+))?/?"
)
# What OpenSSH refuses too: ProxyCommand and Match exec hand names on to a shell. Known hosts keep them in a list.
_NO_HOST = re.compile(r"-|.*[\s\x00-\x1f\x7f'`\"$\\;&<>|(){},*?!#^]", re.DOTALL)
_NO_USER = re.compile(r"-|.*\s-|.*\\\Z|.*[\x00-\x1f\x7f'`\";&<>|(){}]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Here:
    """This side of the connection.

    Attributes:
        user: The account here, which is also the default account there.
        home: Its home folder.
        system: The folder of the system's own configuration.
        run_exec: Whether `Match exec` may run its command.
    """

    user: str
    home: Path
    system: Path = _SYSTEM
    run_exec: bool = True

    @classmethod
    def of(cls, env: Mapping[str, str], home: Path) -> Here:
        """Find out who and where we are from the environment."""
        system = Path(env.get("PROGRAMDATA", "C:/ProgramData"), "ssh") if sys.platform == "win32" else _SYSTEM
        return cls(local_user(env, home), home, system)

    @property
    def config_files(self) -> tuple[ConfigFile, ...]:
        """The files to read; the person's own one wins."""
        own = self.home / ".ssh"
        return (
            ConfigFile(own / "config", own, own=True),
            ConfigFile(self.system / "ssh_config", self.system),
        )


@dataclass(frozen=True, slots=True)
class Typed:
    """What the command line or a profile says; None and empty leave it to the files.

    Attributes:
        host: A name, an address, or what `~/.ssh/config` calls it.
        jumps: As in `-J`: `user@host:port`, nearest first.
    """

    host: str
    user: str | None = None
    port: int | None = None
    identity_files: tuple[Path, ...] = ()
    jumps: tuple[str, ...] = ()


def local_user(env: Mapping[str, str], home: Path) -> str:
    """Return the account here; where nothing says so, as in a bare container, what the home folder is called."""
    names = (env.get(name) for name in ("LOGNAME", "USER", "USERNAME"))
    if said := next(filter(None, names), None):
        return said
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return home.name


def resolve(typed: Typed, here: Here, files: Sequence[ConfigFile] | None = None) -> tuple[HostSpec, HostConfig]:
    """Work out whom to reach, and return what the files say besides.

    Args:
        typed: What wins over the files.
        here: This side.
        files: The files to read instead of the usual ones.

    Raises:
        BadJump: A jump is not `user@host:port`.
        BadHost: A name that was typed is one that a shell would not take as a name.
        JumpsInCircles: The files send a jump through itself.
        CannotRead: A file is there and cannot be read.
        ConfigTooOpen: Others can write to one that is the person's own.
    """
    return _resolve(typed, here, here.config_files if files is None else files, 0)


def parse_jump(words: str) -> Typed:
    """Read one `user@host:port`; IPv6 addresses stand in brackets.

    Raises:
        BadJump: It is none.
    """
    found = _JUMP.fullmatch(words.strip())
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise BadJump(words)
    return Typed(found["v6"] or found["host"], found["user"], port)


def _resolve(typed: Typed, here: Here, files: Sequence[ConfigFile], depth: int) -> tuple[HostSpec, HostConfig]:
    if depth > _MOST_JUMPS:
        raise JumpsInCircles(typed.host)
    for words, odd in ((typed.host, _NO_HOST), (typed.user or "", _NO_USER)):
        if odd.match(words):
            raise BadHost(words)
    question = Question(typed.host, here.user, here.home, typed.user, typed.port, here.run_exec)
    config = read_config(files, question)
    host = expand(config.one("hostname") or "%h", {"h": typed.host})
    port, user = config.number("port") or 22, config.one("user") or here.user
    meanings = tokens(question, host, port, user)

    def paths(words: Sequence[str]) -> tuple[Path, ...]:
        return tuple(under_home(expand(w, meanings), here.home) for w in words if w.lower() != "none")

    own = here.home / ".ssh"
    named = config.values.get("identityfile")
    keys = paths(named) if named is not None else tuple(own / name for name in _DEFAULT_KEYS)
    spec = HostSpec(
        host=host,
        port=port,
        user=user,
        alias=typed.host,
        identity_files=tuple(dict.fromkeys((*typed.identity_files, *keys))),
        identities_only=config.flag("identitiesonly"),
        certificate_files=paths(config.values.get("certificatefile", ())),
        known_hosts=(
            *(paths(config.values.get("userknownhostsfile", ())) or (own / "known_hosts", own / "known_hosts2")),
            *(paths(config.values.get("globalknownhostsfile", ())) or (here.system / "ssh_known_hosts",)),
        ),
        known_as=config.one("hostkeyalias") or "",
    )
    jumps = typed.jumps or _words(config.one("proxyjump"))
    command = "" if typed.jumps else config.one("proxycommand") or ""
    if command and command.lower() != "none":
        spec = replace(spec, proxy_command=expand(command, meanings))
    return replace(spec, jumps=_chain(jumps, here, files, depth)), config


def _words(jumps: str | None) -> tuple[str, ...]:
    return () if not jumps or jumps.lower() == "none" else tuple(jumps.split(","))


def _chain(jumps: Sequence[str], here: Here, files: Sequence[ConfigFile], depth: int) -> tuple[HostSpec, ...]:
    """Resolve each jump; the way to the first is its own, and the others are reached through those before."""
    found: list[HostSpec] = []
    for words in jumps:
        hop, _ = _resolve(parse_jump(words), here, files, depth + 1)
        before = hop.jumps if not found else ()
        way = hop.proxy_command if not found else None
        found += [*before, replace(hop, jumps=(), proxy_command=None if before else way)]
    return tuple(found)

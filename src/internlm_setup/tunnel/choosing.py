"""Which engine makes the sessions: ours, and the system's `ssh` only where nothing else can."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core import registry
from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.config import HostConfig
from internlm_setup.core.ssh.connect_errors import NoCommonAlgorithm
from internlm_setup.core.ssh.key_files import parse, read
from internlm_setup.core.ssh.login_errors import KeyRefused, NoWayIn
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.text import Text
from internlm_setup.tunnel import engines
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.errors import NoOpenSsh
from internlm_setup.tunnel.model import Engine, Session, SessionSpec, State

OPENSSH = "openssh"
_SO = Text(en="connecting with the system's `ssh`: {reason}", zh="改用系统的 `ssh` 连接：{reason}")
_SAID = Text(en="the profile says so", zh="配置中如此指定")
_KEY = Text(en="the key `{path}` is in hardware", zh="密钥 `{path}` 位于硬件中")
_PKCS11 = Text(
    en="keys come from `{provider}`, as `PKCS11Provider` says", zh="按 `PKCS11Provider` 使用 `{provider}` 中的密钥"
)
_TICKET = Text(
    en="there is a Kerberos ticket, and `GSSAPIAuthentication yes`",
    zh="有 Kerberos 票据，且设置了 `GSSAPIAuthentication yes`",
)


@dataclass(frozen=True, slots=True)
class Means:
    """What there is to log in with, besides an agent and a password.

    Attributes:
        for_ssh: Why only `ssh` can use something of it; None where it is of no more use than we are.
        for_us: Whether there is a key file that we can use.
    """

    for_ssh: Text | None
    for_us: bool


def means(host: HostSpec, config: HostConfig, env: Mapping[str, str]) -> Means:
    """Look at the key files, and at what `~/.ssh/config` says of others.

    Args:
        host: The server, resolved.
        config: What the files say besides.
        env: The environment.
    """
    types = {path: _type_of(path) for path in host.identity_files if path.exists()}
    reasons = [_KEY.fill(path=path) for path, type_ in types.items() if type_.startswith("sk-")]
    provider = config.one("pkcs11provider") or "none"
    if provider.lower() != "none":
        reasons.append(_PKCS11.fill(provider=provider))
    if config.flag("gssapiauthentication") and _has_ticket(env):
        reasons.append(_TICKET)
    return Means(next(iter(reasons), None), any(not type_.startswith("sk-") for type_ in types.values()))


class Chosen:
    """See `tunnel.model.Engine`: the engine is imported when it is needed, so that what can be said first is."""

    def __init__(self, usual: str, means: Means, tell: ev.Listener, said: str | None = None) -> None:
        """Take what to choose by.

        Args:
            usual: The engine for everybody.
            means: What there is to log in with.
            tell: Told when it is another one, and why.
            said: The engine that the profile names.
        """
        self.id = said or usual
        self._means, self._tell = means, tell
        self._why: Text | None = _SAID if said == OPENSSH else None

    def open(self, spec: SessionSpec, ask: Asker, env: Mapping[str, str], tell: Callable[[State], object]) -> Session:
        """See `Engine.open`."""
        means = self._means
        if self.id != OPENSSH and means.for_ssh is not None and not means.for_us and not _agent_has_keys(env):
            self._turn(means.for_ssh)
        elif self._why is not None:
            self._turn(self._why)
        try:
            return self._engine.open(spec, ask, env, tell)
        except (NoCommonAlgorithm, KeyRefused, NoWayIn) as error:
            why = error.as_text
            hopeless = means.for_ssh is None and not isinstance(error, NoCommonAlgorithm)
            if self.id == OPENSSH or hopeless:
                raise
            usual = self.id
            self._turn(why)
            try:
                return self._engine.open(spec, ask, env, tell)
            except SetupError as second:
                self.id = usual
                raise (error if isinstance(second, NoOpenSsh) else second) from None

    @property
    def _engine(self) -> Engine:
        engine: Engine = registry.plugin(engines.__name__, "ENGINE", self.id)
        return engine

    def _turn(self, why: Text) -> None:
        """Take `ssh` from now on, and say why, once."""
        self.id, self._why = OPENSSH, None
        self._tell(ev.Noted(_SO.fill(reason=why)))


def _type_of(path: Path) -> str:
    """Return a key file's type as far as it shows it; nothing where it does not, or is no key."""
    with suppress(SetupError):
        return parse(path, read(path)).type or ""
    return ""


def _has_ticket(env: Mapping[str, str]) -> bool:
    kind, _, name = env.get("KRB5CCNAME", "").rpartition(":")
    if kind not in {"", "FILE"}:
        return True
    own = getattr(os, "getuid", int)()
    return Path(name or f"/tmp/krb5cc_{own}").exists()  # noqa: S108  # where Kerberos keeps it


def _agent_has_keys(env: Mapping[str, str]) -> bool:
    from internlm_setup.core.ssh.identities import Agent

    with closing(Agent(env)) as agent:
        return bool(agent.get_keys())

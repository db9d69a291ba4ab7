"""Logging in: keys first, at most five of them, then the password or the server's questions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import paramiko

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import Asker, Login, Prompt
from internlm_setup.core.ssh.connect_errors import ConnectionLost, ServerSilent
from internlm_setup.core.ssh.identities import Agent, Identities
from internlm_setup.core.ssh.login_errors import KeyRefused, NoWayIn, PasswordRefused, TooManyKeys
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.core.text import LANGUAGES, Text

MOST_KEYS = 5  # a server hangs up after six refusals, and the password needs one of them


def authenticate(transport: ClientTransport, spec: HostSpec, ask: Asker, env: Mapping[str, str]) -> None:
    """Log in, or say why not.

    Raises:
        NoWayIn: There was nothing to try.
        KeyRefused: None of the keys opened the door.
        TooManyKeys: The server hung up before all were tried.
        PasswordRefused: Neither did the password, or the answers.
        KeyEncrypted: The only key needs a passphrase that nobody gave; likewise for one that cannot be used.
        ConnectionLost: The server ended the connection.
        ServerSilent: It does not go on.
    """
    attempt = _Attempt(transport, spec, ask)
    try:
        with closing(Agent(env)) as agent:
            if attempt.keys(Identities(spec, agent, ask)) or attempt.password():
                return
    except paramiko.SSHException as cause:
        raise attempt.ended() from cause
    raise attempt.refused()


class _Attempt:
    """One login from its beginning to its end."""

    def __init__(self, transport: ClientTransport, spec: HostSpec, ask: Asker) -> None:
        self.transport, self.spec, self.ask = transport, spec, ask
        self.who = Login(spec.user, spec.host, spec.port)
        self.tried: list[str] = []
        self.problems: list[SetupError] = []
        self.asked = False

    def keys(self, identities: Identities) -> bool:
        """Try the keys while the server takes keys; say whether one opened the door."""
        self.problems = identities.problems
        for identity in identities:
            if not self._takes("publickey") or len(self.tried) == MOST_KEYS:
                break
            self.tried.append(identity.name)
            try:
                if self.transport.try_key(self.spec.user, identity.key):
                    return True
            except paramiko.AuthenticationException:
                raise
            except paramiko.SSHException:  # the agent would not sign
                if not self.transport.is_active():
                    raise
            if self.transport.login.partial:
                self.tried.clear()
        return False

    def password(self) -> bool:
        """Ask for what the server takes besides keys; an old answer that it refuses is asked for anew, once."""
        if self.transport.login.methods is None and self.transport.try_nothing(self.spec.user):
            return True
        return any(
            step() or (self.ask.forget(self.who) and step())
            for method, step in (("password", self._password), ("keyboard-interactive", self._answers))
            if self._takes(method) and not self.asked
        )

    def refused(self) -> SetupError:
        """Return the error for a door that stayed shut."""
        user, host = self.spec.user, self.spec.host
        tried = ", ".join(self.tried)
        if self.asked:
            self.ask.forget(self.who)
            return PasswordRefused(user, host, f" ({tried})" if tried else "")
        if tried:
            english, chinese = ([p.message(language) for p in self.problems] for language in LANGUAGES)
            return KeyRefused(user, host, tried, Text(en="; ".join(["", *english]), zh="；".join(["", *chinese])))
        if self.problems:
            return self.problems[0]
        return NoWayIn(user, host, ", ".join(self.transport.login.methods or ()) or "?")

    def ended(self) -> SetupError:
        """Return the error for a connection that ended meanwhile."""
        host, port = self.spec.host, self.spec.port
        if self.transport.is_active():
            return ServerSilent(host, port, self.transport.auth_timeout)
        if "too many" in self.transport.farewell.lower() and self.tried and not self.asked:
            return TooManyKeys(self.spec.alias or host, len(self.tried), ", ".join(self.tried))
        if self.asked:
            return self.refused()
        return ConnectionLost(host, port, f": {self.transport.farewell}" if self.transport.farewell else "")

    def _takes(self, method: str) -> bool:
        methods = self.transport.login.methods
        return methods is None or method in methods

    def _password(self) -> bool:
        password = self.ask.password(self.who)
        if password is None:
            return False
        self.asked = True
        return self.transport.try_password(self.spec.user, password)

    def _answers(self) -> bool:
        def answer(title: str, prompts: list[Prompt]) -> list[str]:
            given = self.ask.answers(self.who, title, prompts)
            self.asked = self.asked or given is not None
            return [""] * len(prompts) if given is None else given

        return self.transport.try_answers(self.spec.user, answer)

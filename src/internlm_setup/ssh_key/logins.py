"""The two ways to log in that `install` needs: by whatever works, and by one key alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from internlm_setup.core.ssh.ask import Asker, Login, NewHostKey, Prompt, Remembering
from internlm_setup.core.ssh.connect import Manner, connect
from internlm_setup.core.ssh.execute import Transport
from internlm_setup.core.ssh.login_errors import KeyRefused
from internlm_setup.core.ssh.model import HostSpec


class Logins:
    """One server and one key."""

    def __init__(self, spec: HostSpec, key: Path, ask: Asker, env: Mapping[str, str], *, accept_new: bool) -> None:
        self._spec = spec
        self._alone = replace(spec, identity_files=(key,), identities_only=True, certificate_files=())
        asked = Remembering(ask)
        self._anyhow = Manner(asked, env, accept_new)
        target = Login(spec.user, spec.host, spec.port)
        self._by_key = Manner(_ButNoPassword(asked, target), env, accept_new)

    def log_in(self) -> Transport:
        """Log in by an agent, a usual key or a password that is asked for.

        Raises:
            SetupError: As `connect` does.
        """
        transport: Transport = connect(self._spec, self._anyhow)
        return transport

    def log_in_with_key(self) -> Transport | None:
        """Log in with the key and nothing else; None when the server refuses it.

        Raises:
            SetupError: As `connect` does; a jump host's refusal too.
        """
        try:
            transport: Transport = connect(self._alone, self._by_key)
        except KeyRefused as refused:
            if refused.host != self._spec.host:
                raise
            return None
        return transport


@dataclass(frozen=True, slots=True)
class _ButNoPassword:
    """Asks everything but what would open this account without the key."""

    asker: Asker
    account: Login

    def trust(self, key: NewHostKey) -> bool | None:
        """See `Asker.trust`."""
        return self.asker.trust(key)

    def password(self, login: Login) -> str | None:
        """See `Asker.password`."""
        return None if login == self.account else self.asker.password(login)

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """See `Asker.answers`."""
        return None if login == self.account else self.asker.answers(login, title, prompts)

    def passphrase(self, path: Path) -> str | None:
        """See `Asker.passphrase`."""
        return self.asker.passphrase(path)

    def forget(self, refused: Login | Path) -> bool:
        """See `Asker.forget`."""
        return self.asker.forget(refused)

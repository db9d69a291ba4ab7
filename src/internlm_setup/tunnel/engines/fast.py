"""paramiko for keys, login and control, and a data plane of our own for the bytes: one thread, one selector.

Where the connection does not suit it the session is the threaded one: over the same connection, nobody logs in twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from internlm_setup.core.ssh import dial
from internlm_setup.core.ssh.ask import Asker
from internlm_setup.tunnel.model import Session, SessionSpec, State


class Fast:
    """See `tunnel.model.Engine`."""

    id = "fast"

    def open(self, spec: SessionSpec, ask: Asker, env: Mapping[str, str], tell: Callable[[State], object]) -> Session:
        """See `tunnel.model.Engine`."""
        dialled = dial.begin(spec.host)
        from internlm_setup.tunnel.engines._fast.opening import opened  # paramiko, meanwhile

        return opened(spec, ask, env, tell, dialled())


ENGINE = Fast()

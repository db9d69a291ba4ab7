"""What `ssh` complains of, which a server's banner may stand among."""

from __future__ import annotations

from pathlib import Path

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.connect_errors import HostKeyChanged
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.engines._openssh.complaints import trouble

KNOWN = (Path("/home/me/.ssh/known_hosts"),)
JUMP = HostSpec("gate", 2222, "me", known_hosts=KNOWN)
SPEC = HostSpec("box", 22, "root", known_hosts=KNOWN, jumps=(JUMP,))


def said(file: str, name: str = "box") -> list[str]:
    return [
        "debug1: Server host key: ssh-ed25519 SHA256:abc",
        f"Offending ED25519 key in {file}:3",
        f"Host key for {name} has changed and you have requested strict checking.",
        "Host key verification failed.",
    ]


def test_a_banner_that_would_be_a_command() -> None:
    """What a server says never gets into a command that a person is told to run."""
    error = trouble(said('/tmp/x"; touch pwned; "'), SPEC, password=False)
    assert isinstance(error, SetupError)
    assert "pwned" not in str(error.next_step())


def test_the_key_of_a_jump_host() -> None:
    """Its record is the one to forget, not the last server's."""
    error = trouble(said(str(KNOWN[0]), "[gate]:2222"), SPEC, password=False)
    assert isinstance(error, HostKeyChanged)
    assert (error.host, error.port, error.line) == ("gate", 2222, 3)
    assert '-R "[gate]:2222"' in error.forget

"""The keys to log in with, in the order they are tried: files, then the agent, then what a passphrase opens.

A key that the agent holds as well is signed with there, so nobody is asked for its passphrase.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PublicBlob

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.errors import WrongPassphrase
from internlm_setup.core.ssh.key_files import KeyFile, fingerprint
from internlm_setup.core.ssh.keys import load_private, look
from internlm_setup.core.ssh.model import HostSpec

_AGENT_PATIENCE_S = 30.0  # a person may have to confirm each use
_CERTIFICATE = "-cert-v01@openssh.com"


@dataclass(frozen=True, slots=True)
class Identity:
    """One way to prove who we are.

    Attributes:
        key: What signs.
        name: What to call it: where it is, its type and its fingerprint.
    """

    key: paramiko.PKey
    name: str


class Agent(AgentSSH):  # type: ignore[misc]  # paramiko has no types
    """The person's agent: the Unix socket that the environment names, or Pageant or OpenSSH's pipe on Windows.

    One that is not there, is locked or does not answer has no keys.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__()
        with suppress(OSError, paramiko.SSHException):
            connection = paramiko.agent.get_agent_connection() if os.name == "nt" else _unix(env.get("SSH_AUTH_SOCK"))
            if connection is not None:
                self._connect(connection)

    def close(self) -> None:
        """Hang up; its keys cannot sign any more."""
        self._close()


class Identities:
    """What can be tried for one server; iterate once."""

    def __init__(self, spec: HostSpec, agent: Agent, ask: Asker) -> None:
        self.problems: list[SetupError] = []
        self._spec, self._ask = spec, ask
        self._held: dict[bytes, AgentKey] = {key.blob: key for key in agent.get_keys()}
        self._certificates = [path for path in spec.certificate_files if path.is_file()]

    def __iter__(self) -> Iterator[Identity]:
        """Give one after the other; a passphrase is asked for only when its turn comes.

        `problems` has why a key file could not be used, as far as it was needed.
        """
        closed: list[KeyFile] = []
        tried: set[bytes] = set()
        for file in self._files():
            held = self._held.get(file.blob or b"")
            if held is not None:
                tried.add(held.blob)
                yield from self._with_agent(file, held)
            elif file.encrypted:
                closed.append(file)
            else:
                yield from self._with_file(file, None)
        if not self._spec.identities_only:
            for blob, key in self._held.items():
                if blob not in tried:
                    yield _of_agent(key)
        for file in closed:
            yield from self._with_file(file, self._ask.passphrase(file.path))

    def _files(self) -> Iterator[KeyFile]:
        for path in self._spec.identity_files:
            if path.suffix == ".pub" or not path.exists():
                continue
            try:
                yield look(path)
            except SetupError as problem:
                self.problems.append(problem)

    def _with_agent(self, file: KeyFile, held: AgentKey) -> Iterator[Identity]:
        for path in self._certificates_of(file.path, held.blob):
            signer = AgentKey(held.agent, held.blob, held.comment)
            signer.public_blob = PublicBlob.from_file(str(path))
            yield Identity(signer, f"{path}")
        yield Identity(held, _name(str(file.path), held.blob))

    def _with_file(self, file: KeyFile, passphrase: str | None) -> Iterator[Identity]:
        try:
            key = load_private(file.path, passphrase)
        except SetupError as problem:
            if isinstance(problem, WrongPassphrase):
                self._ask.forget(file.path)
            self.problems.append(problem)
            return
        for path in self._certificates_of(file.path, key.asbytes()):
            certified = load_private(file.path, passphrase)
            certified.load_certificate(str(path))
            yield Identity(certified, f"{path}")
        yield Identity(key, _name(str(file.path), key.asbytes()))

    def _certificates_of(self, path: Path, blob: bytes) -> Iterator[Path]:
        for certificate in (Path(f"{path}-cert.pub"), *self._certificates):
            if _certified_key(certificate) == blob:
                yield certificate


def _unix(path: str | None) -> socket.socket | None:
    if not path:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_AGENT_PATIENCE_S)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _of_agent(key: AgentKey) -> Identity:
    if key.name.endswith(_CERTIFICATE):
        key.public_blob = PublicBlob(key.name, key.blob)
    return Identity(key, _name(f"agent {key.comment}".rstrip(), key.blob))


def _name(place: str, blob: bytes) -> str:
    return f"{place} ({paramiko.Message(blob).get_text()} {fingerprint(blob)})"


def _certified_key(certificate: Path) -> bytes | None:
    """Return the public key that a certificate file speaks of, or None when it is none."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_identity
    from cryptography.hazmat.primitives.serialization.ssh import SSHCertificate

    try:
        found = load_ssh_public_identity(certificate.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(found, SSHCertificate):
        return None
    line = found.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split(b" ")[1])

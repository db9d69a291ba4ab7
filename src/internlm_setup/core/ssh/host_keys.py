"""Whether a server is the one it was before: decided before anything of ours is sent to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from internlm_setup.core.ssh.ask import Asker, NewHostKey
from internlm_setup.core.ssh.connect_errors import (
    HostCertificateRefused,
    HostKeyChanged,
    HostKeyNew,
    HostKeyRevoked,
)
from internlm_setup.core.ssh.host_certificates import read_certificate
from internlm_setup.core.ssh.key_files import fingerprint
from internlm_setup.core.ssh.known_hosts import Known, host_name, look, remember
from internlm_setup.core.ssh.model import HostSpec


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server proved to have: a key, its bytes, and perhaps a certificate of it."""

    key_type: str
    blob: bytes
    certificate: bytes | None = None


class HostKeys:
    """What is known of one server's keys.

    On another port than 22 what is on record for the bare name is taken too, as OpenSSH does: the same machine may be
    reached on several ports. Another key there says nothing, since many machines may share a name.
    """

    def __init__(self, spec: HostSpec) -> None:
        self._spec = spec
        self._name, self._port = (spec.known_as, 22) if spec.known_as else (spec.host, spec.port)
        self._known = look(spec.known_hosts, self._name, self._port)
        self._bare = look(spec.known_hosts, self._name, 22) if self._port != 22 else Known((), (), ())

    @property
    def types(self) -> Iterable[str]:
        """The types of key to ask the server for first: those that can be compared."""
        return [key.key_type for key in (*self._known.keys, *self._bare.keys)]

    @property
    def certified(self) -> bool:
        """Whether somebody is known who may sign this server's certificate."""
        return bool(self._known.authorities or self._bare.authorities)

    def check(self, shown: Shown, ask: Asker, now_s: float, *, accept_new: bool) -> None:
        """Judge the key that a server shows; a new one that is accepted is written down.

        A certificate that nobody known has signed is none. With one that does not hold the key may be known by itself,
        but is never a new one.

        Args:
            shown: What the server proved to have.
            ask: Whom to ask about a new key.
            now_s: Seconds since 1970.
            accept_new: Whether a new key is taken unasked.

        Raises:
            HostKeyRevoked: It, or whoever signed it, must not be used any more.
            HostKeyChanged: Another one is on record.
            HostCertificateRefused: None is on record, and the certificate does not hold.
            HostKeyNew: None is on record, and nobody said that this is the right one.
            CannotWrite: It was accepted and cannot be written down.
        """
        spec, blob, print_ = self._spec, shown.blob, fingerprint(shown.blob)
        certificate = read_certificate(shown.certificate) if shown.certificate is not None else None
        for key in (*self._known.revoked, *self._bare.revoked):
            if key.blob == blob or (certificate is not None and key.blob == certificate.authority):
                raise HostKeyRevoked(spec.host, spec.port, fingerprint(key.blob), str(key.file), key.line)
        fault = None
        trusted = [key.blob for key in (*self._known.authorities, *self._bare.authorities)]
        if certificate is not None and certificate.authority in trusted:
            fault = certificate.why_not(self._name, now_s)
            if fault is None:
                return
        if any(key.blob == blob for key in (*self._known.keys, *self._bare.keys)):
            return
        self._refuse_another(shown.key_type, print_)
        if fault is not None:
            raise HostCertificateRefused(spec.host, spec.port, fault)
        if not (accept_new or ask.trust(NewHostKey(spec.host, spec.port, shown.key_type, print_))):
            raise HostKeyNew(spec.host, spec.port, shown.key_type, print_)
        if spec.known_hosts:
            remember(spec.known_hosts[0], self._name, self._port, shown.key_type, blob)

    def _refuse_another(self, key_type: str, print_: str) -> None:
        if self._known.keys:
            old = next((key for key in self._known.keys if key.key_type == key_type), self._known.keys[0])
            forget = f'ssh-keygen -R "{host_name(self._name, self._port)}" -f "{old.file}"'
            host, port = self._spec.host, self._spec.port
            raise HostKeyChanged(host, port, key_type, print_, str(old.file), old.line, forget)

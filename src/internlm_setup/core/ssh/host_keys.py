"""Whether a server is the one it was before: decided before anything of ours is sent to it."""

from __future__ import annotations

from collections.abc import Iterable

from internlm_setup.core.ssh.ask import Asker, NewHostKey
from internlm_setup.core.ssh.connect_errors import HostKeyChanged, HostKeyNew, HostKeyRevoked
from internlm_setup.core.ssh.key_files import fingerprint
from internlm_setup.core.ssh.known_hosts import Known, host_name, look, remember
from internlm_setup.core.ssh.model import HostSpec


class HostKeys:
    """What is known of one server's keys.

    On another port than 22 a key on record for the bare name is taken too, as OpenSSH does: the same machine may be
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

    def check(self, key_type: str, blob: bytes, ask: Asker, *, accept_new: bool) -> None:
        """Judge the key that a server shows; a new one that is accepted is written down.

        Raises:
            HostKeyRevoked: It must not be used any more.
            HostKeyChanged: Another one is on record.
            HostKeyNew: None is on record, and nobody said that this is the right one.
            CannotWrite: It was accepted and cannot be written down.
        """
        spec, print_ = self._spec, fingerprint(blob)
        for key in (*self._known.revoked, *self._bare.revoked):
            if key.blob == blob:
                raise HostKeyRevoked(spec.host, spec.port, print_, str(key.file), key.line)
        if any(key.blob == blob for key in (*self._known.keys, *self._bare.keys)):
            return
        if self._known.keys:
            old = next((key for key in self._known.keys if key.key_type == key_type), self._known.keys[0])
            forget = f'ssh-keygen -R "{host_name(self._name, self._port)}" -f "{old.file}"'
            raise HostKeyChanged(spec.host, spec.port, key_type, print_, str(old.file), old.line, forget)
        if not (accept_new or ask.trust(NewHostKey(spec.host, spec.port, key_type, print_))):
            raise HostKeyNew(spec.host, spec.port, key_type, print_)
        if spec.known_hosts:
            remember(spec.known_hosts[0], self._name, self._port, key_type, blob)

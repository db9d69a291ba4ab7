"""paramiko's transport as we want it: fast ciphers first, the server's words kept, every wait with an end.

It is a client's only. Private names of paramiko that are used here: `_preferred_ciphers`, `_compression_info`,
`_check_banner`, `_really_parse_kex_init`, `_parse_disconnect`, `_parse_ext_info`, `_preferred_macs`,
`_filter_algorithm`, and of its login `_request_auth`, `_parse_service_accept`, `_parse_userauth_failure` and
`_parse_userauth_info_request`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import paramiko
from paramiko.auth_handler import AuthHandler

from internlm_setup.core.ssh import compression
from internlm_setup.core.ssh.ask import Prompt
from internlm_setup.core.ssh.dial import FAR_S
from internlm_setup.core.ssh.host_certificates import SUFFIX
from internlm_setup.core.ssh.packets import Packets, credible

_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}  # what a known key of this type signs with
_POLL_S = 0.1
_SERVICE = "ssh-userauth"
_KINDS = compression.Compressor, compression.Decompressor
_MOST_WORDS = 500
_NEW_KEYS_S = 300.0  # a line with a long queue takes its time, and paramiko would fail whoever sends meanwhile

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its lines would reach stderr without any


class Login(AuthHandler):  # type: ignore[misc]
    """paramiko's login, asking for the service once and keeping what else the server would take.

    Attributes:
        methods: What the server said last that it takes; None before it said so.
        partial: Whether what it took last was right and not enough.
    """

    def __init__(self, transport: ClientTransport) -> None:
        super().__init__(transport)
        self.methods: tuple[str, ...] | None = None
        self.partial = False
        self._ready = threading.Event()

    def ready(self) -> bool:
        """Wait until the server lets a login begin; False when it ended the connection instead."""
        if not self._ready.is_set():
            super()._request_auth()
            self._ready.wait(self.transport.auth_timeout)
        return self._ready.is_set() and bool(self.transport.is_active())

    def abort(self) -> None:
        """The connection ended: nobody waits on."""
        self._ready.set()
        super().abort()

    def _request_auth(self) -> None:
        accept = paramiko.Message()
        accept.add_string(_SERVICE)
        accept.rewind()
        super()._parse_service_accept(accept)

    def _parse_service_accept(self, m: paramiko.Message) -> None:
        if m.get_text() == _SERVICE:
            self._ready.set()

    def _parse_userauth_failure(self, m: paramiko.Message) -> None:
        again = paramiko.Message(m.get_remainder())
        self.methods, self.partial = tuple(again.get_list()), bool(again.get_boolean())
        super()._parse_userauth_failure(m)

    def _parse_userauth_info_request(self, m: paramiko.Message) -> None:
        again = paramiko.Message(m.get_remainder())
        for _ in range(3):  # title, instructions, language
            again.get_binary()
        super()._parse_userauth_info_request(credible(m, again.get_int()))


class Expected(Protocol):
    """What is known of a server's keys before it shows one."""

    @property
    def types(self) -> Iterable[str]:
        """The types of those that can be compared, to be asked for first."""
        ...

    @property
    def certified(self) -> bool:
        """Whether it may show a certificate."""
        ...


class ClientTransport(paramiko.Transport):  # type: ignore[misc]
    """One connection to a server.

    Attributes:
        theirs: What the server offered, by paramiko's names for the lists.
        farewell: What the server said when it hung up.
        login: How logging in stands.
    """

    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )

    _preferred_macs = (
        "hmac-sha2-256",
        "hmac-sha2-512",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha1",
    )  # paramiko would take MD5 too

    def __init__(
        self, sock: Any, packetizer: type[Packets], known: Expected, endings: Sequence[Callable[[], object]]
    ) -> None:
        self._certified = known.certified
        super().__init__(sock, packetizer_class=packetizer)
        self.theirs: dict[str, list[str]] = {}
        self.farewell = ""
        self.login = Login(self)
        self.clear_to_send_timeout = _NEW_KEYS_S
        self._saved = compression.Saved(), compression.Saved()
        compressor, decompressor = (partial(kind, saved) for kind, saved in zip(_KINDS, self._saved, strict=True))
        self._compression_info = {compression.NAME: (compressor, decompressor), "none": (None, None)}
        self._compress_far = False
        self._endings = deque(endings)
        self._over = False
        ours = self.preferred_keys
        first = [name for type_ in known.types for name in _SIGNATURES.get(type_, (type_,)) if name in ours]
        self._preferred_keys = tuple(dict.fromkeys((*first, *ours)))

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host keys to ask for; certificates first where somebody is known who may sign them, else none."""
        plain = tuple(self._filter_algorithm("keys"))
        return tuple(f"{name}{SUFFIX}" for name in plain) + plain if self._certified else plain

    @property
    def certificate(self) -> bytes | None:
        """The certificate that the server showed with its key, or None."""
        shown = self.host_key.public_blob
        return None if shown is None else bytes(shown.key_blob)

    def run(self) -> None:
        """Serve the connection to its end, then end what it runs over."""
        end_all([super().run])
        self._over = True
        self._end()

    def at_end(self, call: Callable[[], object]) -> None:
        """Have something called by the connection's thread when that has served it, or now if it has."""
        self._endings.append(call)
        if self._over:
            self._end()

    def _end(self) -> None:
        with suppress(IndexError):
            while True:
                end_all([self._endings.popleft()])

    def compress(self, wish: compression.Wish) -> None:
        """Ask for compression at the next exchange of keys, or for none; `auto` asks for it where the server is far.

        A far server is likely behind a slow line, and what comes first over one is what somebody waits for.
        """
        self._compress_far = wish == "auto"
        self._preferred_compression = (compression.NAME, "none") if wish == "on" else ("none",)

    @property
    def compressed(self) -> bool:
        """Whether both directions are compressed, or will be after the login."""
        return bool(self.local_compression == self.remote_compression == compression.NAME)

    @property
    def saved_bytes(self) -> int:
        """How many bytes did not have to be carried."""
        return sum(each.size_bytes for each in self._saved)

    def try_nothing(self, user: str) -> bool:
        """Log in without anything, which mostly serves to hear what the server takes."""
        return self._attempt(lambda event: self.login.auth_none(user, event))

    def try_key(self, user: str, key: paramiko.PKey) -> bool:
        """Log in with a key."""
        return self._attempt(lambda event: self.login.auth_publickey(user, key, event))

    def try_password(self, user: str, password: str) -> bool:
        """Log in with a password."""
        try:
            return self._attempt(lambda event: self.login.auth_password(user, password, event))
        finally:
            self.login.password = None

    def try_answers(self, user: str, answer: Callable[[str, list[Prompt]], list[str]]) -> bool:
        """Log in by answering the server's questions, which are asked in the caller's own thread."""
        questions: queue.SimpleQueue[tuple[str, list[Prompt]]] = queue.SimpleQueue()
        answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

        def handle(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            questions.put((title or instructions, [Prompt(words, bool(echo)) for words, echo in prompts]))
            return answers.get()

        def ask(event: threading.Event) -> None:
            self.login.auth_interactive(user, handle, event)
            late_s = time.monotonic() + self.auth_timeout
            while not event.is_set() and self.is_active() and time.monotonic() < late_s:
                try:
                    title, prompts = questions.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                answers.put(answer(title, prompts) if prompts else [])
                late_s = time.monotonic() + self.auth_timeout

        try:
            return self._attempt(ask)
        finally:
            answers.put([])  # whatever happened, the connection's thread does not wait for ever

    def _attempt(self, begin: Callable[[threading.Event], None]) -> bool:
        """Try one way in.

        Returns:
            Whether we are in; `login.methods` says what else to try.

        Raises:
            AuthenticationException: The connection ended, or the server went silent.
        """
        self.auth_handler: Any = self.login
        if not self.login.ready():
            raise paramiko.AuthenticationException("no login")
        event = threading.Event()
        begin(event)
        try:
            return not self.login.wait_for_response(event)
        except paramiko.AuthenticationException:
            if not self.is_active() or not event.is_set():
                raise
            return False

    def _check_banner(self) -> None:
        begun_s = time.monotonic()
        super()._check_banner()
        if self._compress_far and time.monotonic() - begun_s >= FAR_S:
            self.compress("on")

    def _really_parse_kex_init(self, m: paramiko.Message, ignore_first_byte: bool = False) -> Any:
        parsed = super()._really_parse_kex_init(m, ignore_first_byte)
        if not ignore_first_byte:  # which is how it reads its own
            self.theirs = {name: value for name, value in parsed.items() if isinstance(value, list)}
        return parsed

    def _parse_ext_info(self, msg: paramiko.Message) -> None:
        super()._parse_ext_info(credible(msg, paramiko.Message(msg.get_remainder()).get_int()))

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        again = paramiko.Message(m.get_remainder())
        again.get_int()
        self.farewell = again.get_text()[:_MOST_WORDS]
        super()._parse_disconnect(m)


def end_all(endings: Iterable[Callable[[], object]]) -> None:
    """End what a connection runs over, one after the other; what is gone already is no trouble."""
    for end in endings:
        with suppress(OSError, EOFError, paramiko.SSHException):
            end()

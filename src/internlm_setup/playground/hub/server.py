"""The servers on loopback: the hub, its CDN, and a third origin that faults send clients to.

All three protocols share the hub's address, because their paths do not overlap. The CDN and the
third origin are other ports, and so other origins, which no token may reach.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType

from internlm_setup.playground.hub import content, huggingface, modelscope
from internlm_setup.playground.hub.connection import Connection
from internlm_setup.playground.hub.faults import Faults
from internlm_setup.playground.hub.library import Access, Library
from internlm_setup.playground.hub.log import RequestLog
from internlm_setup.playground.hub.message import Call, Origin, Reply, text_reply
from internlm_setup.playground.hub.openxlab import OpenXLab
from internlm_setup.playground.hub.repository import Repository
from internlm_setup.playground.hub.tls import greet

_HOST = "127.0.0.1"
_BACKLOG = 256


class Listener:
    """One listening socket of loopback, on a free port unless one is named, and the connections it has accepted."""

    def __init__(
        self,
        serve: Callable[[socket.socket], None],
        greeting: Callable[[socket.socket], socket.socket | None],
        port: int = 0,
    ) -> None:
        self._serve = serve
        self._greeting = greeting
        self._lock = threading.Lock()
        self._closing = False
        self._clients: set[socket.socket] = set()
        self._socket = socket.create_server((_HOST, port), backlog=_BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop accepting and end every connection."""
        self._closing = True
        with suppress(OSError):
            socket.create_connection((_HOST, self.port), timeout=1).close()
        self._thread.join(timeout=5)
        self._socket.close()
        self.cut()

    def cut(self) -> None:
        """End every connection that is up."""
        with self._lock:
            clients = tuple(self._clients)
        for client in clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(client,), daemon=True).start()

    def _run(self, plain: socket.socket) -> None:
        client = self._greeting(plain)
        if client is None:
            plain.close()
            return
        with self._lock:
            self._clients.add(client)
        try:
            if not self._closing:
                self._serve(client)
        finally:
            with self._lock:
                self._clients.discard(client)
            client.close()


class HubServer:
    """One loopback server that speaks Hugging Face's, ModelScope's and OpenXLab's protocols.

    Use as a context manager; the addresses exist from `__enter__` on.

    Example:
        with HubServer([Repository({"huggingface": "internlm/x"}, folder)]) as hub:
            subprocess.run(["hf", "download", "internlm/x"], env=os.environ | hub.environment())

    With `tls`, all three origins speak https with that certificate, which must be for 127.0.0.1.

    Attributes:
        faults: What is to go wrong, changed at any time.
        log: What was asked and sent.
    """

    def __init__(
        self,
        repositories: Sequence[Repository] = (),
        *,
        tokens: Mapping[str, str] | None = None,
        access: Access | None = None,
        page_size: int = 1000,
        link_lifetime_s: float = 3600.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = Faults()
        self.log = RequestLog()
        self.other_url = ""
        self._closing = threading.Event()
        self._library = Library(dict(tokens or {}), access, page_size, link_lifetime_s)
        self._library.add(repositories)
        self._openxlab = OpenXLab()
        self._listeners: list[Listener] = []
        self._tls = tls

    @property
    def url(self) -> str:
        """The hub's origin."""
        return self._library.url

    @property
    def cdn_url(self) -> str:
        """The origin that large files are redirected to."""
        return self._library.cdn_url

    @property
    def endpoints(self) -> dict[str, str]:
        """Hub id to what its clients take for an endpoint."""
        own = {"huggingface": self.url, "modelscope": self.url}
        return {**own, "openxlab": f"{self.url}/api/v1"}

    def environment(self) -> dict[str, str]:
        """Return the variables that send every hub's client here, past any proxy."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "MODELSCOPE_ENDPOINT": self.url,
            "OPENXLAB_ENDPOINT": self.endpoints["openxlab"],
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def add(self, *repositories: Repository) -> None:
        """Serve these too; a repository of the same name is replaced."""
        self._library.add(repositories)

    def expire_links(self) -> None:
        """Make every signed address given out so far answer 403, as if its time had come."""
        self._library.signer.take_back()

    def start(self) -> None:
        """Begin to listen; `close` ends it."""
        urls = {origin: self._listen(origin) for origin in ("hub", "cdn", "other")}
        self._library.url, self._library.cdn_url = urls["hub"], urls["cdn"]
        self.other_url = self.faults.other_url = urls["other"]

    def close(self) -> None:
        """End every connection and free the ports."""
        self._closing.set()
        for listener in self._listeners:
            listener.close()

    def __enter__(self) -> HubServer:  # noqa: PYI034  # Self needs Python 3.11
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self, origin: Origin) -> str:
        def serve(client: socket.socket) -> None:
            Connection(client, origin, self._answer, self.faults, self.log, self._closing).serve()

        def greeting(client: socket.socket) -> socket.socket | None:
            return client if self._tls is None else greet(client, self._tls, self.faults.greeting(origin))

        self._listeners.append(Listener(serve, greeting))
        return f"{'http' if self._tls is None else 'https'}://{_HOST}:{self._listeners[-1].port}"

    def _answer(self, call: Call) -> Reply:
        if call.origin == "cdn" or (call.origin == "other" and "Signature" in call.query):
            return content.answer(call, self._library)
        for answer in (modelscope.answer, self._openxlab.answer, huggingface.answer):
            reply = answer(call, self._library)
            if reply is not None:
                return reply
        return text_reply("Not Found", 404)

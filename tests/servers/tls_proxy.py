"""A proxy that stands in for chosen https hosts, for clients whose address is built in.

It answers `CONNECT`, speaks TLS with a certificate of its own for the chosen hosts, and passes the
plain bytes to a server on loopback. Any other host gets 502: nothing leaves this machine.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from servers.proxies import join

_BLOCK_BYTES = 1 << 16


def write_certificate(folder: Path, hosts: tuple[str, ...]) -> tuple[Path, Path]:
    """Write a self-signed certificate for `hosts` and its key; return both files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    now = dt.datetime.now(dt.timezone.utc)
    day = dt.timedelta(days=1)
    names = x509.SubjectAlternativeName([_name(host) for host in hosts])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class TlsProxy:
    """The proxy, as a context manager; `hosts` maps a host name to a port on 127.0.0.1."""

    def __init__(self, hosts: Mapping[str, int], folder: Path) -> None:
        self.certificate_file, key_file = write_certificate(folder, tuple(hosts))
        self.connected: list[str] = []
        self._hosts = dict(hosts)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate_file, key_file)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._closing = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> TlsProxy:  # noqa: PYI034  # Self needs Python 3.11
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        with suppress(OSError):
            socket.create_connection(self._socket.getsockname(), timeout=1).close()
        self._thread.join(timeout=5)
        self._socket.close()

    def _accept(self) -> None:
        while not self._closing:
            client, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            request = b""
            while b"\r\n\r\n" not in request:
                block = client.recv(_BLOCK_BYTES)
                if not block:
                    return
                request += block
            method, target, *_ = request.decode("latin-1").split()
            self.connected.append(target)
            port = self._hosts.get(target.rpartition(":")[0])
            if method != "CONNECT" or port is None:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            with (
                self._tls.wrap_socket(client, server_side=True) as outside,
                socket.create_connection(("127.0.0.1", port)) as inside,
            ):
                join(outside, inside)

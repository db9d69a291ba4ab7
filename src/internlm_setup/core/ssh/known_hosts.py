"""Known host keys, read as OpenSSH reads them; one line is appended and nothing is ever rewritten.

A line that means nothing is passed over: one bad line must not hide the good ones.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.files import reading, writing
from internlm_setup.core.ssh.patterns import fits_list

_MARKERS = {"": "", "@revoked": "revoked", "@cert-authority": "authority"}


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of a file.

    Attributes:
        hosts: Whom it speaks of, as it stands there: a list of patterns, or one hashed name.
        key_type: As OpenSSH spells it, such as `ssh-ed25519`.
        blob: The public key's bytes.
        marker: `revoked`, `authority`, or nothing.
        file: Where it stands.
        line: On which line, from 1.
    """

    hosts: str
    key_type: str
    blob: bytes
    marker: str
    file: Path
    line: int


@dataclass(frozen=True, slots=True)
class Known:
    """What the files say about one host, in the order it stands there.

    Attributes:
        keys: Its keys.
        revoked: Keys that nobody may show any more.
        authorities: Keys that vouch for host certificates.
    """

    keys: tuple[KnownKey, ...]
    revoked: tuple[KnownKey, ...]
    authorities: tuple[KnownKey, ...]


def host_name(host: str, port: int) -> str:
    """Return what a host is called in these files: the bare name on port 22, else `[name]:port`."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def look(files: Iterable[Path], host: str, port: int) -> Known:
    """Return what is known of a host; a file that is not there says nothing.

    Raises:
        CannotRead: A file is there and cannot be read: to go on would be to trust anybody.
    """
    name = host_name(host, port)
    found = [key for file in files for key in _lines(file) if _speaks_of(key.hosts, name)]
    keys, revoked, authorities = (tuple(k for k in found if k.marker == m) for m in _MARKERS.values())
    return Known(keys, revoked, authorities)


def remember(file: Path, host: str, port: int, key_type: str, blob: bytes) -> None:
    """Append one line; the folder is made 0700 and the file 0600 where they are missing.

    A link stays a link, and a last line without an end gets one first.

    Raises:
        CannotWrite: The system refused.
    """
    line = f"{host_name(host, port)} {key_type} {base64.b64encode(blob).decode()}\n".encode()
    with writing(file):
        if not file.parent.is_dir():
            file.parent.mkdir(mode=0o700, parents=True)
        number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(number, "r+b", buffering=0) as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                line = line if stream.read(1) == b"\n" else b"\n" + line
            stream.write(line)
            with suppress(OSError):  # /dev/null has nothing to sync
                os.fsync(stream.fileno())


def _lines(file: Path) -> Iterator[KnownKey]:
    with reading(file):
        content = file.read_bytes() if file.exists() else b""
    for number, raw in enumerate(content.split(b"\n"), start=1):
        key = _read(raw.decode("utf-8", "surrogateescape").strip(" \t\r"), file, number)
        if key is not None:
            yield key


def _read(line: str, file: Path, number: int) -> KnownKey | None:
    marker, line = _word(line) if line.startswith("@") else ("", line)
    hosts, rest = _word(line)
    key_type, rest = _word(rest)
    if marker not in _MARKERS or hosts.startswith(("#", "@")):
        return None
    with suppress(ValueError, binascii.Error):
        blob = base64.b64decode(_word(rest)[0], validate=True)
        length = int.from_bytes(blob[:4], "big")
        if len(blob) > 4 and blob[4 : 4 + length] == key_type.encode():
            return KnownKey(hosts, key_type, blob, _MARKERS[marker], file, number)
    return None


def _word(line: str) -> tuple[str, str]:
    """Split off the first word; only blanks and tabs part words."""
    end = next((i for i, c in enumerate(line) if c in " \t"), len(line))
    return line[:end], line[end:].lstrip(" \t")


def _speaks_of(hosts: str, name: str) -> bool:
    if not hosts.startswith("|"):
        return fits_list(name, hosts, lower=True)
    with suppress(ValueError, binascii.Error):
        _, kind, salt, digest = hosts.split("|")
        key, expected = base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
        return kind == "1" and hmac.compare_digest(hmac.new(key, name.encode(), hashlib.sha1).digest(), expected)
    return False

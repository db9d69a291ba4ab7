"""What a private key file is, without opening it: format, type, size, fingerprint, comment, whether it is encrypted.

An OpenSSH file holds its public key in the clear, the other formats do not. Nothing here knows cryptography.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from internlm_setup.core.files import REASONS
from internlm_setup.core.ssh.errors import KeyUnreadable, KeyUnsupported
from internlm_setup.core.text import Text

Form = Literal["openssh", "pem", "pkcs8"]
LARGEST_BYTES = 1 << 16
_BEGIN = re.compile(rb"-----BEGIN (?:([A-Z0-9]+) )?PRIVATE KEY-----\s+(.*?)-----END ", re.DOTALL)
_PUBLIC = re.compile(r"(?:ssh-|ecdsa-|sk-)\S+ (AAAA[A-Za-z0-9+/]+=*)(?: (.*))?$", re.MULTILINE)
_MAGIC = b"openssh-key-v1\0"
# How many strings stand between the type and the comment in the private part.
_PRIVATE_STRINGS = {"ssh-ed25519": 2, "ssh-rsa": 6, "ssh-dss": 5, "ecdsa-sha2-": 3}

_NO_KEY = Text(en="it holds no private key", zh="其中没有私钥")
_A_PUBLIC_KEY = Text(en="it is a public key", zh="这是一个公钥")
_PUTTY = Text(
    en="it is a PuTTY key; PuTTYgen exports it under Conversions, Export OpenSSH key",
    zh="这是 PuTTY 密钥；可用 PuTTYgen 的 Conversions、Export OpenSSH key 导出",
)
DAMAGED = Text(en="its content is damaged", zh="其内容已损坏")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key file, looked at from outside.

    Attributes:
        path: The file.
        form: How it is written.
        encrypted: Whether it needs a passphrase.
        blob: The public key as SSH sends it; None where only the passphrase would tell.
        comment: From the `.pub` beside it if that is of the same key, else from the file itself.
    """

    path: Path
    form: Form
    encrypted: bool
    blob: bytes | None = None
    comment: str = ""

    @property
    def type(self) -> str | None:
        """As SSH calls it, for example `ssh-ed25519`."""
        return None if self.blob is None else type_of(self.blob)

    @property
    def bits(self) -> int | None:
        """The size of the key."""
        return None if self.blob is None else bits_of(self.blob)

    @property
    def fingerprint(self) -> str | None:
        """As `ssh-keygen -l` shows it."""
        return None if self.blob is None else fingerprint(self.blob)


def type_of(blob: bytes) -> str:
    """Return the type that a public key begins with."""
    return next(_strings(blob)).decode("ascii")


def bits_of(blob: bytes) -> int:
    """Return the size of a public key in bits."""
    kind, *numbers = _strings(blob)
    if kind in {b"ssh-rsa", b"ssh-dss"}:
        return int.from_bytes(numbers[1 if kind == b"ssh-rsa" else 0], "big").bit_length()
    curve = re.search(rb"nistp(\d+)", kind)
    return int(curve[1]) if curve else 256


def fingerprint(blob: bytes) -> str:
    """Return a public key's fingerprint as OpenSSH writes it, `SHA256:…`."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def public_line(blob: bytes, comment: str = "") -> str:
    """Return the one line that `.pub` and `authorized_keys` hold, in ASCII, without its newline."""
    return f"{type_of(blob)} {base64.b64encode(blob).decode('ascii')} {ascii_comment(comment)}".rstrip()


def ascii_comment(comment: str) -> str:
    """Return a comment that every console takes: InternStudio's refuses a key with a Chinese one."""
    parts = comment.split("@")
    plain = ["".join(c for c in part if " " <= c <= "~").strip() for part in parts]
    if len(parts) == 2:
        plain = [word or other for word, other in zip(plain, ("user", "host"), strict=True)]
    return "@".join(plain)


def parse(path: Path, data: bytes) -> KeyFile:
    """Say what the content of a private key file tells by itself.

    Args:
        path: Goes into the answer and into errors; it is not read.
        data: The content.

    Returns:
        For PEM and PKCS#8 without a public key: it is in no clear place there.

    Raises:
        KeyUnsupported: It is no private key, or a damaged one.
    """
    found = _BEGIN.search(data)
    if found is None:
        raise KeyUnsupported(str(path), _what_else(data))
    kind, body = found[1], found[2]
    if kind != b"OPENSSH":
        encrypted = kind == b"ENCRYPTED" or b"Proc-Type: 4,ENCRYPTED" in body
        return KeyFile(path, "pkcs8" if kind in {None, b"ENCRYPTED"} else "pem", encrypted)
    try:
        return _openssh(path, binascii.a2b_base64(body))
    except (ValueError, struct.error, StopIteration) as cause:
        raise KeyUnsupported(str(path), DAMAGED) from cause


def public_beside(path: Path) -> tuple[bytes, str] | None:
    """Return the public key and comment of the `.pub` file, if there is one that can be read."""
    try:
        words = path.with_name(f"{path.name}.pub").read_bytes().decode("utf-8", "replace")
        found = _PUBLIC.match(words.lstrip("\ufeff"))
        return None if found is None else (base64.b64decode(found[1]), (found[2] or "").strip())
    except (OSError, ValueError):
        return None


def is_private_key(path: Path) -> bool:
    """Tell whether a file looks like a private key; one that cannot be read does when it is called like one."""
    try:
        return path.is_file() and path.stat().st_size <= LARGEST_BYTES and _BEGIN.search(path.read_bytes()) is not None
    except OSError:
        return path.name.startswith("id_") and path.suffix != ".pub"


def read(path: Path) -> bytes:
    """Return the content of a key file.

    Raises:
        KeyUnreadable: It is missing, or may not be read.
        KeyUnsupported: It is far too large for a key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        words = error.strerror or str(error)
        missing = {2: Text(en="there is no such file", zh="文件不存在")}
        raise KeyUnreadable(str(path), (REASONS | missing).get(error.errno or 0, Text(en=words, zh=words))) from error
    if len(data) > LARGEST_BYTES:
        raise KeyUnsupported(str(path), _NO_KEY)
    return data


def _what_else(data: bytes) -> Text:
    """Say what a file is that holds no private key."""
    if data.startswith(b"PuTTY-User-Key-File-"):
        return _PUTTY
    public = b"PUBLIC KEY-----" in data or _PUBLIC.match(data.decode("utf-8", "replace"))
    return _A_PUBLIC_KEY if public else _NO_KEY


def _openssh(path: Path, data: bytes) -> KeyFile:
    """Read the clear part of OpenSSH's format, and the comment where nothing is encrypted.

    Source:
        OpenSSH, PROTOCOL.key, read 2026-10.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("no OpenSSH key")
    cipher, kdf, options = islice(_strings(data, len(_MAGIC)), 3)
    at = len(_MAGIC) + sum(4 + len(each) for each in (cipher, kdf, options)) + 4  # and how many keys: always one
    blob, private = islice(_strings(data, at), 2)
    bits_of(blob)  # fails on what is no public key
    encrypted = cipher != b"none"
    return KeyFile(path, "openssh", encrypted, blob, "" if encrypted else _comment(private))


def _comment(private: bytes) -> str:
    strings = _strings(private, 8)
    kind = next(strings).decode("ascii")
    count = next((n for name, n in _PRIVATE_STRINGS.items() if kind.startswith(name)), None)
    return "" if count is None else next(islice(strings, count, None)).decode("utf-8", "replace")


def _strings(data: bytes, at: int = 0) -> Iterator[bytes]:
    """Yield SSH's strings: four bytes of length, then so many.

    Raises:
        ValueError: One is longer than what is left.
    """
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        at += 4 + size
        if at > len(data):
            raise ValueError("a string ends after the data")
        yield data[at - size : at]

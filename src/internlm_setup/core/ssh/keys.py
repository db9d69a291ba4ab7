"""Private keys: looked at, opened whatever their format, and made."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from internlm_setup.core.ssh import key_files
from internlm_setup.core.ssh.errors import KeyEncrypted, KeyUnsupported, WrongPassphrase
from internlm_setup.core.ssh.key_files import DAMAGED, KeyFile
from internlm_setup.core.text import Text

if TYPE_CHECKING:
    import paramiko
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption
    from cryptography.hazmat.primitives.serialization.ssh import SSHPrivateKeyTypes

KeyType = Literal["ed25519", "rsa-4096"]
KDF_ROUNDS = 24  # what ssh-keygen uses since OpenSSH 9.4: about 0.2 s to open
_TYPE = Text(en="keys of type {type} are not supported here", zh="此处不支持 {type} 类型的密钥")
_CIPHER = Text(
    en="it is encrypted in a way that is not supported here; an agent can use it: `ssh-add {path}`",
    zh="此处不支持它的加密方式；可以交给代理使用：`ssh-add {path}`",
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is in no file yet: what the private file is to hold, and the public key as SSH sends it."""

    private: bytes
    blob: bytes


def make(kind: KeyType, passphrase: str | None = None) -> NewKey:
    """Make a key in OpenSSH's format; RSA takes about half a second.

    Args:
        kind: Ed25519, or RSA with 4096 bits.
        passphrase: Encrypts the file; None leaves it open.
    """
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 4096)
    lock: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        lock = PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(KDF_ROUNDS).build(passphrase.encode())
    return NewKey(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock), _blob(key))


def look(path: Path) -> KeyFile:
    """Say what a private key file is, without a passphrase.

    Returns:
        Without a public key only where the file is encrypted, hides it, and there is no `.pub` beside it.

    Raises:
        KeyUnreadable: It is missing, or may not be read.
        KeyUnsupported: It is no private key, or a damaged one.
    """
    found, public = key_files.parse(path, key_files.read(path)), key_files.public_beside(path)
    blob = found.blob
    if blob is None:
        blob = _blob(_opened(path, None)) if not found.encrypted else public and public[0]
    return replace(found, blob=blob, comment=public[1] if public and public[0] == blob else found.comment)


def load_private(path: Path, passphrase: str | None = None) -> paramiko.PKey:
    """Open a private key: OpenSSH's format, PEM or PKCS#8, encrypted or not, Ed25519, RSA or ECDSA.

    paramiko's own loaders fail on PKCS#8, on AES-GCM and on a passphrase that is no bytes; so cryptography opens the
    file, and paramiko is given the key in the one form that it always reads.

    Args:
        path: The file.
        passphrase: Not used for a key that has none.

    Raises:
        KeyUnreadable: The file is missing, or may not be read.
        KeyUnsupported: It is no private key, damaged, or of a kind that paramiko cannot use.
        KeyEncrypted: It needs a passphrase.
        WrongPassphrase: Not this one.
    """
    import paramiko
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = _opened(path, passphrase)
    kinds = (
        (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key),
        (rsa.RSAPrivateKey, paramiko.RSAKey),
        (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
    )
    for kind, ours in kinds:
        if isinstance(key, kind):
            plain = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            return ours.from_private_key(io.StringIO(plain.decode("ascii")))
    raise KeyUnsupported(str(path), _TYPE.fill(type=key_files.type_of(_blob(key))))


def public_blob(path: Path, passphrase: str | None = None) -> bytes:
    """Open a private key and return its public key, as SSH sends it.

    Raises:
        SetupError: As `load_private` does.
    """
    return _blob(_opened(path, passphrase))


def _opened(path: Path, passphrase: str | None) -> SSHPrivateKeyTypes:
    from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    data = key_files.read(path)
    file = key_files.parse(path, data)
    if file.encrypted and passphrase is None:
        raise KeyEncrypted(str(path))
    load = load_ssh_private_key if file.form == "openssh" else load_pem_private_key
    try:
        with _old_is_no_news():
            key = load(data, passphrase.encode() if passphrase is not None and file.encrypted else None)
        ours = (dsa.DSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey)
        if not isinstance(key, ours):
            raise KeyUnsupported(str(path), _TYPE.fill(type=type(key).__name__))
        _blob(key)  # fails for curves that SSH does not have
    except UnsupportedAlgorithm as cause:
        reason = _CIPHER.fill(path=path) if file.encrypted else _TYPE.fill(type=file.type)
        raise KeyUnsupported(str(path), reason) from cause
    except (ValueError, TypeError, InvalidTag) as cause:
        if file.encrypted:
            raise WrongPassphrase(str(path)) from cause
        raise KeyUnsupported(str(path), DAMAGED) from cause
    return key


def _blob(key: SSHPrivateKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    with _old_is_no_news():
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


@contextmanager
def _old_is_no_news() -> Iterator[None]:
    """Keep cryptography from warning of DSA: whoever has such a key is told by us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""Host certificates: whether one holds, for a server of a name, at a time.

Who may sign one is the known hosts' to say. The rules are OpenSSH's.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from internlm_setup.core.text import Text

SUFFIX = "-cert-v01@openssh.com"
_OLD_SIGNATURE = b"ssh-rsa"  # with SHA-1

_UNREADABLE = Text(en="it cannot be read", zh="无法解析")
_NO_HOST = Text(en="it is a user's, not a host's", zh="它是用户证书，不是主机证书")
_NOT_SIGNED = Text(en="its signature is wrong", zh="签名错误")
_NOT_YET = Text(en="it is valid from {date} on", zh="有效期自 {date} 起")
_EXPIRED = Text(en="it was valid until {date}", zh="有效期至 {date}")
_OF_OTHERS = Text(en="it is for {names}", zh="它属于 {names}")
_CRITICAL = Text(en="it has conditions that are not known here", zh="它带有本工具不认识的条件")


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """One that a server showed.

    Attributes:
        authority: The public key of who signed it, as known hosts have it; nothing where it cannot be read.
        fault: What is wrong with it, whoever signed it; None where nothing is.
        names: The servers that it is for, which are no patterns; none means every server.
        valid_after_s: Since 1970.
        valid_before_s: Likewise.
    """

    authority: bytes
    fault: Text | None
    names: Sequence[str] = ()
    valid_after_s: int = 0
    valid_before_s: int = 0

    def why_not(self, host: str, now_s: float) -> Text | None:
        """Say why it does not hold for a host at a time; None where it does."""
        if self.fault is not None:
            return self.fault
        if now_s < self.valid_after_s:
            return _NOT_YET.fill(date=_date(self.valid_after_s))
        if now_s >= self.valid_before_s:
            return _EXPIRED.fill(date=_date(self.valid_before_s))
        if self.names and host.lower() not in self.names:
            return _OF_OTHERS.fill(names=", ".join(self.names))
        return None


def read_certificate(blob: bytes) -> HostCertificate:
    """Read a certificate as SSH sends it, and check its signature."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_identity
    from cryptography.hazmat.primitives.serialization.ssh import SSHCertificate, SSHCertificateType

    size = int.from_bytes(blob[:4], "big")
    try:
        found = load_ssh_public_identity(blob[4 : 4 + size] + b" " + base64.b64encode(blob))
        if not isinstance(found, SSHCertificate):
            return HostCertificate(b"", _UNREADABLE)
        line = found.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        authority = base64.b64decode(line.split()[1])
        found.verify_cert_signature()
    except InvalidSignature:
        return HostCertificate(b"", _NOT_SIGNED)
    except (ValueError, UnsupportedAlgorithm):
        return HostCertificate(b"", _UNREADABLE)
    fault = None
    if found.type is not SSHCertificateType.HOST:
        fault = _NO_HOST
    elif found.critical_options:
        fault = _CRITICAL
    elif _signature_type(blob, authority) == _OLD_SIGNATURE:
        fault = _NOT_SIGNED
    names = tuple(name.decode("utf-8", "replace") for name in found.valid_principals)
    return HostCertificate(authority, fault, names, found.valid_after, found.valid_before)


def _signature_type(blob: bytes, authority: bytes) -> bytes:
    """Return the type of the signature, which stands behind the signer's key at the very end."""
    signature = blob.rpartition(authority)[2][4:]
    size = int.from_bytes(signature[:4], "big")
    return signature[4 : 4 + size]


def _date(moment_s: int) -> str:
    try:
        return datetime.fromtimestamp(moment_s, timezone.utc).isoformat(sep=" ", timespec="minutes")
    except (ValueError, OverflowError, OSError):
        return str(moment_s)

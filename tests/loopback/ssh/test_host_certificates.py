"""Host certificates, judged by us and by the real `ssh` in the same way."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import NobodyToAsk
from internlm_setup.core.ssh.connect import Manner, connect
from internlm_setup.core.ssh.connect_errors import (
    HostCertificateRefused,
    HostKeyChanged,
    HostKeyNew,
    HostKeyRevoked,
)
from internlm_setup.core.ssh.host_certificates import read_certificate
from servers.openssh import SSHD, Sshd, make_key, sshd
from servers.ssh_person import public, spec_of

pytestmark = [pytest.mark.loopback, pytest.mark.skipif(SSHD is None, reason="needs the OpenSSH server")]
CLIENT = Manner(NobodyToAsk(), {})
KINDS = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authorities(folder: Path) -> Mapping[str, Path]:
    """A key of each kind that signs."""
    return {kind: make_key(folder / f"ca_{kind}", kind=kind) for kind in KINDS}


@pytest.fixture(scope="module")
def keys(folder: Path) -> Mapping[str, Path]:
    """A host key of each kind."""
    return {kind: make_key(folder / f"host_{kind}", kind=kind) for kind in KINDS}


def certified(authority: Path, key: Path, folder: Path, *options: str) -> Path:
    """Sign a copy of a host key; returns the copy."""
    folder.mkdir()
    for suffix in ("", ".pub"):
        copy = folder / f"key{suffix}"
        copy.write_bytes(Path(f"{key}{suffix}").read_bytes())
        copy.chmod(0o600)
    words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "box", "-h", *options, str(folder / "key.pub")]
    subprocess.run(words, check=True, timeout=20)
    return folder / "key"


def ours(server: Sshd, known: Path) -> SetupError | None:
    """Connect; returns why not."""
    spec = spec_of(server, server.folder / "key", known=False)
    spec.known_hosts[0].write_text(known.read_text())
    try:
        with closing(connect(spec, CLIENT)) as transport:
            assert transport.is_authenticated()
    except SetupError as error:
        return error
    assert spec.known_hosts[0].read_text() == known.read_text()
    return None


def theirs(server: Sshd, known: Path) -> bool:
    """Say whether the real `ssh` connects."""
    words = ["ssh", "-F", "none", "-p", str(server.port), "-i", str(server.folder / "key")]
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known,
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
    }
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run([*words, f"{server.user}@127.0.0.1", "true"], capture_output=True, timeout=20, check=False)
    return done.returncode == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[object]:
    """Start a server with one certified key."""
    running = []

    def serve(key: Path) -> Sshd:
        lines = (f"HostKey {key}", f"HostCertificate {key}-cert.pub")
        context = sshd(tmp_path / "sshd", *lines)
        server = context.__enter__()
        running.append(context)
        server.authorize(public(make_key(server.folder / "key")))
        return server

    yield serve
    for context in running:
        context.__exit__(None, None, None)


@pytest.mark.parametrize("host", KINDS)
@pytest.mark.parametrize("signer", KINDS)
def test_every_kind(
    served: object, authorities: Mapping[str, Path], keys: Mapping[str, Path], tmp_path: Path, host: str, signer: str
) -> None:
    """Keys of each kind, signed by keys of each kind, are good without a line of their own."""
    assert callable(served)
    server = served(certified(authorities[signer], keys[host], tmp_path / "c", "-n", "127.0.0.1"))
    known = tmp_path / "known"
    known.write_text(f"@cert-authority [127.0.0.1]:{server.port} {public(authorities[signer])}\n")
    assert (ours(server, known), theirs(server, known)) == (None, True)


CASES: Mapping[str, tuple[tuple[str, ...], str, type[SetupError] | None]] = {
    "one of its names": (("-n", "other,127.0.0.1"), "@cert-authority * {ca}", None),
    "a pattern is no name": (("-n", "127.0.0.*"), "@cert-authority * {ca}", HostCertificateRefused),
    "every name": ((), "@cert-authority * {ca}", None),
    "the name without the port": (("-n", "127.0.0.1"), "@cert-authority 127.0.0.1 {ca}", None),
    "another name": (("-n", "other,*.example.org"), "@cert-authority * {ca}", HostCertificateRefused),
    "expired": (("-V", "20200101:20200201"), "@cert-authority * {ca}", HostCertificateRefused),
    "not yet": (("-V", "20900101:20910101"), "@cert-authority * {ca}", HostCertificateRefused),
    "expired, and known by itself": (
        ("-V", "20200101:20200201"),
        "@cert-authority * {ca}\n[127.0.0.1]:{port} {key}",
        None,
    ),
    "expired, and another is known": (
        ("-V", "20200101:20200201"),
        "@cert-authority * {ca}\n[127.0.0.1]:{port} {other}",
        HostKeyChanged,
    ),
    "another signer": ((), "@cert-authority * {other}", HostKeyNew),
    "a signer for others": ((), "@cert-authority *.example.org {ca}", HostKeyNew),
    "the signer is revoked": ((), "@cert-authority * {ca}\n@revoked * {ca}", HostKeyRevoked),
    "the key is revoked": ((), "@cert-authority * {ca}\n@revoked * {key}", HostKeyRevoked),
    "an old key is still known": ((), "[127.0.0.1]:{port} {other}\n@cert-authority * {ca}", None),
    "conditions": (("-O", "critical:odd=1"), "@cert-authority * {ca}", HostCertificateRefused),
}


@pytest.mark.parametrize("case", CASES)
def test_as_ssh_does(
    served: object, authorities: Mapping[str, Path], keys: Mapping[str, Path], tmp_path: Path, case: str
) -> None:
    """What `ssh` takes we take, and what it refuses we refuse, each with its own error."""
    options, lines, error = CASES[case]
    assert callable(served)
    server = served(certified(authorities["ed25519"], keys["ed25519"], tmp_path / "c", *options))
    words = {"ca": authorities["ed25519"], "key": keys["ed25519"], "other": authorities["ecdsa"]}
    known = tmp_path / "known"
    known.write_text(lines.format(port=server.port, **{name: public(key) for name, key in words.items()}) + "\n")
    found = ours(server, known)
    assert (type(found) if found else None) is error
    assert theirs(server, known) is (error is None)


def test_a_signature_with_sha1(
    served: object, keys: Mapping[str, Path], authorities: Mapping[str, Path], tmp_path: Path
) -> None:
    """It counts as none."""
    assert callable(served)
    server = served(certified(authorities["rsa"], keys["ed25519"], tmp_path / "c", "-t", "ssh-rsa"))
    known = tmp_path / "known"
    known.write_text(f"@cert-authority * {public(authorities['rsa'])}\n")
    assert isinstance(ours(server, known), HostCertificateRefused)
    assert not theirs(server, known)


def test_what_is_no_certificate() -> None:
    """Nothing in it is believed."""
    for blob in (b"", bytes(200), b"\0\0\0\x0bssh-ed25519" + bytes(36)):
        found = read_certificate(blob)
        assert found.authority == b""
        assert found.why_not("box", 0) is not None


def test_a_certificate_that_was_changed(
    authorities: Mapping[str, Path], keys: Mapping[str, Path], tmp_path: Path
) -> None:
    """Its signature is wrong."""
    key = certified(authorities["ed25519"], keys["ed25519"], tmp_path / "c", "-n", "other")
    blob = base64.b64decode(Path(f"{key}-cert.pub").read_text().split()[1])
    assert read_certificate(blob).authority
    found = read_certificate(blob.replace(b"other", b"outer"))
    assert found.authority == b""
    assert "signature" in str(found.why_not("outer", 0))

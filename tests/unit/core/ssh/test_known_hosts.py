"""Known hosts: read as `ssh-keygen -F` reads them, written by one line more."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from internlm_setup.core.errors import ExitCode
from internlm_setup.core.files import CannotRead, CannotWrite
from internlm_setup.core.ssh.known_hosts import host_name, look, remember

needs_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def blob_of(key_type: str, body: bytes) -> bytes:
    """Make a public key's bytes: enough of one for these files."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (key_type.encode(), body))


KEYS = [f"ssh-ed25519 {base64.b64encode(blob_of('ssh-ed25519', bytes([n]) * 32)).decode()}" for n in range(3)]
NAMES = ["one.test", "two.test", "10.0.0.1", "::1", "ssh.intern-ai.org.cn"]
PORTS = [22, 33090]


def hashed(name: str, salt: bytes = b"s" * 20) -> str:
    """Return a name as `ssh-keygen -H` writes it."""
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


plain = st.builds(host_name, st.sampled_from(NAMES), st.sampled_from(PORTS))
pattern = st.one_of(
    plain,
    plain.map(str.upper),
    st.sampled_from(
        ["*", "*.test", "?ne.test", "[*]:33090", "[*.test]:*", "10.0.0.?", "o*e.*", "nobody", "", "[one.test]"]
    ),
)
listed = st.lists(st.one_of(pattern, pattern.map(lambda p: "!" + p)), min_size=1, max_size=4).map(",".join)
hosts = st.one_of(listed.filter(bool), plain.map(hashed), st.sampled_from(["|1|", "|2|a|b", "|1|x|y|z", "|1|!!!|???"]))
# A tab after a marker is left out: OpenSSH then drops the whole line, a revocation too, and we do not.
marker = st.sampled_from(["", "", "", "@revoked ", "@cert-authority ", "@unknown ", "@revoked @revoked "])
line = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["", "", " ", "\t"]),
    marker,
    hosts,
    st.sampled_from([" ", "\t", "  "]),
    st.sampled_from(KEYS),
    st.sampled_from(["", " comment", " # comment", "\r"]),
)
junk = st.sampled_from(["", "#", "# one.test ssh-ed25519 AAAA", "   ", "\x00", "@", "@revoked", "nobody.test ", "é ü"])


def ours(file: Path, name: str, port: int) -> list[tuple[int, str]]:
    """Return the lines that speak of a host, with their marker."""
    known = look([file], name, port)
    found = [(k.line, k.marker) for k in (*known.keys, *known.revoked, *known.authorities)]
    return sorted(found)


def theirs(file: Path, name: str, port: int) -> list[tuple[int, str]]:
    """Return the same as `ssh-keygen -F` finds it."""
    done = subprocess.run(
        ["ssh-keygen", "-F", host_name(name, port), "-f", str(file)], capture_output=True, check=False, timeout=20
    )
    words = {"": "", " REVOKED": "revoked", " CA": "authority"}
    found = re.findall(rb"^# Host .* found: line (\d+)( REVOKED| CA)? *$", done.stdout, re.MULTILINE)
    return sorted((int(number), words[mark.decode()]) for number, mark in found)


@needs_keygen
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.one_of(line, line, line, junk), max_size=8),
    name=st.sampled_from(NAMES),
    port=st.sampled_from(PORTS),
    end=st.sampled_from(["", "\n"]),
)
def test_reads_as_openssh_does(tmp_path: Path, lines: list[str], name: str, port: int, end: str) -> None:
    """Whatever the file holds, the lines that speak of a host are those that OpenSSH finds."""
    file = tmp_path / "known_hosts"
    file.write_bytes(("\n".join(lines) + end).encode())
    assert ours(file, name, port) == theirs(file, name, port)


def test_a_bad_line_hides_nothing(tmp_path: Path) -> None:
    """Lines that mean nothing are passed over, and the good ones count."""
    file = tmp_path / "known_hosts"
    file.write_text(f"one.test\none.test ssh-ed25519 ????\none.test ssh-rsa {KEYS[0].split()[1]}\none.test {KEYS[1]}\n")
    assert [key.line for key in look([file], "ONE.test", 22).keys] == [4]


def test_several_files_and_none(tmp_path: Path) -> None:
    """Files are read in their order; one that is not there says nothing."""
    for n in (0, 1):
        (tmp_path / str(n)).write_text(f"one.test {KEYS[n]}\n")
    files = [tmp_path / "1", tmp_path / "missing", tmp_path / "0"]
    assert [key.file.name for key in look(files, "one.test", 22).keys] == ["1", "0"]


def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    """A file that cannot be read is no empty file."""
    with pytest.raises(CannotRead) as caught:
        look([tmp_path], "one.test", 22)
    assert caught.value.exit_code is ExitCode.NOT_FOUND


def add(file: Path, host: str = "One.test", port: int = 33090) -> None:
    remember(file, host, port, *((kind := KEYS[0].split()[0]), blob_of(kind, bytes(32))))


@needs_keygen
def test_remembered_keys_are_found(tmp_path: Path) -> None:
    """What we write is what OpenSSH and we read; the folder and the file are private."""
    file = tmp_path / "ssh" / "known_hosts"
    add(file)
    add(file, "two.test", 22)
    assert file.read_text() == f"[one.test]:33090 {KEYS[0]}\ntwo.test {KEYS[0]}\n"
    assert ours(file, "one.test", 33090) == theirs(file, "one.test", 33090) == [(1, "")]
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(("before", "between"), [("# mine", "\n"), ("# mine\n", ""), ("", "")])
def test_only_a_line_is_added(tmp_path: Path, before: str, between: str) -> None:
    """What was there stays as it is, comments, mode and link; a last line without an end gets one."""
    real, file = tmp_path / "real", tmp_path / "known_hosts"
    real.write_text(before)
    real.chmod(0o644)
    file.symlink_to(real)
    add(file)
    assert real.read_text() == f"{before}{between}[one.test]:33090 {KEYS[0]}\n"
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The system's refusal is told with the file's name."""
    with pytest.raises(CannotWrite) as caught:
        add(tmp_path)
    assert caught.value.path == str(tmp_path)


def test_dev_null_takes_everything() -> None:
    """Who points known hosts at /dev/null keeps no record, and that works."""
    add(Path("/dev/null"))
    assert look([Path("/dev/null")], "one.test", 33090).keys == ()

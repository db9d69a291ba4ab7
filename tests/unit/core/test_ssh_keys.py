"""Keys of every format are recognised and opened as `ssh-keygen` says they are, and ours by `ssh-keygen`."""

from __future__ import annotations

import functools
import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import get_args

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.errors import KeyEncrypted, KeyUnreadable, KeyUnsupported, WrongPassphrase
from internlm_setup.core.ssh.key_files import ascii_comment, is_private_key, parse, public_line
from internlm_setup.core.ssh.keys import KeyType, load_private, look, make, public_blob

PASSPHRASE = "secret 口令"
TYPES = {"ed25519": "", "rsa": "2048", "ecdsa": "384"}
FORMATS = {"RFC4716": "openssh", "PEM": "pem", "PKCS8": "pkcs8"}
FORMS = [("ed25519", "RFC4716"), *((kind, form) for kind in ("rsa", "ecdsa", "dsa") for form in FORMATS)]

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is what we compare with")
every_form = pytest.mark.parametrize(("kind", "form"), FORMS)
both = pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["open", "encrypted"])


def keygen(*words: object) -> str:
    return subprocess.run(["ssh-keygen", *map(str, words)], capture_output=True, encoding="utf-8", check=True).stdout


@functools.cache
def key_of(kind: str) -> dict[str, bytes]:
    """Both files of a key, made once: DSA takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"id_{kind}"
        bits = ["-b", TYPES[kind]] if TYPES.get(kind) else []
        keygen("-q", "-t", kind, "-N", "", "-C", "me@here now", "-f", path, *bits)
        return {file.name: file.read_bytes() for file in (path, path.with_suffix(".pub"))}


def made_by_keygen(folder: Path, kind: str, form: str, passphrase: str, *more: str) -> Path:
    """Write the key and let ssh-keygen turn it into a format, with one round to open it."""
    path = folder / f"id_{kind}"
    for name, data in key_of(kind).items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(data)
    keygen("-q", "-p", "-m", form, "-P", "", "-N", passphrase, "-a", "1", "-f", path, *more)
    return path


def listed(path: Path) -> list[str]:
    """Bits, fingerprint, comment and type, as `ssh-keygen -l` has them."""
    bits, fingerprint, *comment, kind = keygen("-l", "-f", path).split()
    return [bits, fingerprint, " ".join(comment), kind.strip("()").lower()]


@every_form
@both
def test_what_keygen_made_is_recognised(tmp_path: Path, kind: str, form: str, passphrase: str) -> None:
    """Size, fingerprint, comment, format and encryption are what ssh-keygen says."""
    path = made_by_keygen(tmp_path, kind, form, passphrase)
    found = look(path)
    assert [str(found.bits), found.fingerprint, found.comment, kind] == listed(path)
    assert (found.form, found.encrypted) == (FORMATS[form], bool(passphrase))
    assert found.blob is not None
    assert public_line(found.blob, found.comment) == path.with_suffix(".pub").read_text().strip()
    assert is_private_key(path)
    assert not is_private_key(path.with_suffix(".pub"))


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa", "dsa"])
def test_the_comment_inside_is_found(tmp_path: Path, kind: str) -> None:
    """Without a `.pub` an open OpenSSH file tells its own comment."""
    path = made_by_keygen(tmp_path, kind, "RFC4716", "")
    path.with_suffix(".pub").unlink()
    assert look(path).comment == "me@here now"


def test_a_hidden_public_key(tmp_path: Path) -> None:
    """An encrypted PEM file without its `.pub` says nothing of its public key; with it all is known."""
    path = made_by_keygen(tmp_path, "rsa", "PEM", PASSPHRASE)
    public = path.with_suffix(".pub")
    assert look(path).type == "ssh-rsa"
    public.unlink()
    assert (look(path).blob, look(path).type, look(path).bits, look(path).fingerprint) == (None,) * 4


def test_a_public_key_of_another_lends_no_comment(tmp_path: Path) -> None:
    """The private file is believed, not what lies beside it."""
    path = made_by_keygen(tmp_path, "ed25519", "RFC4716", PASSPHRASE)
    path.with_suffix(".pub").write_text(public_line(make("ed25519").blob, "other"))
    assert look(path).comment == ""
    assert look(path).blob == public_blob(path, PASSPHRASE)


@pytest.mark.parametrize(("kind", "form"), [pair for pair in FORMS if pair[0] != "dsa"])
@both
def test_what_keygen_made_is_opened(tmp_path: Path, kind: str, form: str, passphrase: str) -> None:
    """The library gets the key, and signs what the public key accepts."""
    path = made_by_keygen(tmp_path, kind, form, passphrase)
    key = load_private(path, passphrase or None)
    assert key.asbytes() == look(path).blob
    algorithm = "rsa-sha2-512" if kind == "rsa" else None
    signature = paramiko.Message(key.sign_ssh_data(b"words", algorithm).asbytes())
    assert paramiko.PKey.from_type_string(key.get_name(), key.asbytes()).verify_ssh_sig(b"words", signature)
    if passphrase:
        with pytest.raises(KeyEncrypted):
            load_private(path)
        with pytest.raises(WrongPassphrase):
            load_private(path, "something else")
    else:
        assert load_private(path, "not needed").asbytes() == key.asbytes()


def test_encryption_by_gcm(tmp_path: Path) -> None:
    """The library's own loader fails on it; and a wrong passphrase is still told apart."""
    path = made_by_keygen(tmp_path, "ed25519", "RFC4716", PASSPHRASE, "-Z", "aes256-gcm@openssh.com")
    assert load_private(path, PASSPHRASE).asbytes() == look(path).blob
    with pytest.raises(WrongPassphrase):
        load_private(path, "something else")


def test_encryption_that_nothing_here_opens(tmp_path: Path) -> None:
    """It is named, and the agent with it."""
    path = made_by_keygen(tmp_path, "ed25519", "RFC4716", PASSPHRASE, "-Z", "chacha20-poly1305@openssh.com")
    assert look(path).encrypted
    with pytest.raises(KeyUnsupported, match=f"ssh-add {path}"):
        load_private(path, PASSPHRASE)


@pytest.mark.parametrize("form", FORMATS)
def test_dsa_cannot_be_used(tmp_path: Path, form: str) -> None:
    """It is listed, and said to be unsupported when it is to be opened."""
    path = made_by_keygen(tmp_path, "dsa", form, "")
    with pytest.raises(KeyUnsupported, match="ssh-dss"):
        load_private(path)


def test_kinds_that_ssh_does_not_have(tmp_path: Path) -> None:
    """Neither Ed448 nor a curve of other people."""
    path = tmp_path / "key"
    for key in (ed448.Ed448PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())):
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with pytest.raises(KeyUnsupported):
            look(path)


@pytest.mark.parametrize("kind", get_args(KeyType))
@both
def test_what_we_make_is_what_keygen_takes(tmp_path: Path, kind: KeyType, passphrase: str) -> None:
    """`ssh-keygen -y` opens it and finds the public key that we said."""
    made = make(kind, passphrase or None)
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(made.private)
    assert keygen("-y", "-P", passphrase, "-f", path).split() == public_line(made.blob).split()
    found = look(path)
    assert (found.blob, found.encrypted) == (made.blob, bool(passphrase))
    assert load_private(path, passphrase or None).asbytes() == made.blob


def test_line_ends_and_marks_of_windows(tmp_path: Path) -> None:
    """A key that an editor has saved with CRLF or a byte order mark is opened all the same."""
    path = made_by_keygen(tmp_path, "ed25519", "RFC4716", "")
    whole = look(path)
    for data in (path.read_bytes().replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + path.read_bytes()):
        path.write_bytes(data)
        assert look(path) == whole
        assert load_private(path).asbytes() == whole.blob


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no private key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "PuTTYgen"),
        (b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIFKc3n a@b\n", "is a public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is a public key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "damaged"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "damaged"),
        (b"x" * (1 << 17), "holds no private key"),
    ],
)
def test_what_is_no_private_key(tmp_path: Path, content: bytes, words: str) -> None:
    """It is said what the file is instead."""
    path = tmp_path / "id_ed25519"
    path.write_bytes(content)
    with pytest.raises(KeyUnsupported, match=words):
        look(path)
    with pytest.raises(KeyUnsupported, match=words):
        load_private(path, PASSPHRASE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """In words of ours in either language."""
    with pytest.raises(KeyUnreadable) as error:
        load_private(tmp_path / "none")
    assert "文件不存在" in error.value.message("zh")
    with pytest.raises(KeyUnreadable):
        look(tmp_path)


@given(st.data())
def test_no_damage_is_a_crash(data: st.DataObject) -> None:
    """Whatever becomes of a key's bytes, it is read or refused in words."""
    made = bytearray(_WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse(Path("key"), bytes(made[: data.draw(st.integers(0, len(made)))]))
        assert found.fingerprint is None or found.fingerprint.startswith("SHA256:")
        assert found.bits is None or found.bits >= 0
    except SetupError:
        pass


_WHOLE = make("ed25519").private


@pytest.mark.parametrize(
    ("comment", "plain"),
    [
        ("张三@电脑", "user@host"),
        ("张三@desk", "user@desk"),
        ("me@书房-pc", "me@-pc"),
        ("John Smith@PC", "John Smith@PC"),
        ("my key", "my key"),
        ("a\x1b[31m\nb", "a[31mb"),
        ("", ""),
    ],
)
def test_comments_are_ascii(comment: str, plain: str) -> None:
    """InternStudio's console refuses a key whose comment is Chinese."""
    assert ascii_comment(comment) == plain


def test_paramiko_still_cannot_do_this_itself(tmp_path: Path) -> None:
    """When this fails, `load_private` can become one call."""
    path = made_by_keygen(tmp_path, "rsa", "PKCS8", "")
    with pytest.raises(paramiko.SSHException):
        paramiko.RSAKey.from_private_key(io.StringIO(path.read_text()))

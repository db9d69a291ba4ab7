"""Which key is shown, and what the folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.ssh.errors import KeyUnreadable, KeyUnsupported
from internlm_setup.core.ssh.keys import make
from internlm_setup.ssh_key import service, store
from internlm_setup.ssh_key.errors import NoKey

KEY = make("ed25519")


def put(path: Path) -> Path:
    store.write(path, KEY, "a@b")
    return path


def test_nothing_stands(tmp_path: Path) -> None:
    """Neither without a folder nor in one with other people's files."""
    assert service.standing(tmp_path / "none") is None
    for name in ("known_hosts", "config", "id_dsa", "id_ed25519.pub", "other"):
        (tmp_path / name).touch()
    assert service.standing(tmp_path) is None
    with pytest.raises(NoKey):
        service.chosen(tmp_path, None)


@pytest.mark.parametrize("name", service.DEFAULT_NAMES)
def test_a_key_by_any_usual_name_stands(tmp_path: Path, name: str) -> None:
    """It is shown instead of making one."""
    put(tmp_path / name)
    found = service.standing(tmp_path)
    assert found is not None
    assert found.path == tmp_path / name


def test_ed25519_is_preferred(tmp_path: Path) -> None:
    """And a bad file does not stand in the way of a good one."""
    put(tmp_path / "id_rsa")
    (tmp_path / "id_ed25519").write_text("nonsense")
    assert service.chosen(tmp_path, None).path.name == "id_rsa"
    (tmp_path / "id_ed25519").unlink()
    put(tmp_path / "id_ed25519")
    assert service.chosen(tmp_path, None).path.name == "id_ed25519"


def test_only_a_bad_file(tmp_path: Path) -> None:
    """It is neither overwritten nor passed over in silence."""
    (tmp_path / "id_ed25519").write_text("nonsense")
    with pytest.raises(KeyUnsupported):
        service.standing(tmp_path)


def test_a_named_key(tmp_path: Path) -> None:
    """By its private or its public file."""
    path = put(tmp_path / "mine")
    assert service.chosen(tmp_path, path).path == path
    assert service.chosen(tmp_path, path.with_suffix(".pub")).path == path
    with pytest.raises(KeyUnreadable):
        service.chosen(tmp_path, tmp_path / "none")


def test_survey(tmp_path: Path) -> None:
    """Every private key, whatever it is called, and what `ssh` takes for one by its name; nothing else."""
    put(tmp_path / "zeta")
    (tmp_path / "id_ecdsa").write_text("PuTTY-User-Key-File-3: ssh-ed25519\n")
    (tmp_path / "id_ed25519").symlink_to(tmp_path / "nowhere")
    put(tmp_path / "id_rsa")
    (tmp_path / "broken").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAA\n-----END OPENSSH PRIVATE KEY-----\n")
    for name in ("known_hosts", "config", "authorized_keys"):
        (tmp_path / name).write_text("a b c\n")
    found = service.survey(tmp_path)
    assert [(one.path.name, one.key is None, one.problem is None) for one in found] == [
        ("broken", True, False),
        ("id_ecdsa", True, False),
        ("id_rsa", False, True),
        ("zeta", False, True),
    ]
    assert service.survey(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("env", "user"),
    [({"USER": "me"}, "me"), ({"USERNAME": "张三"}, "user"), ({"LOGNAME": "", "USER": "x"}, "x"), ({}, "root")],
)
def test_the_comment(env: dict[str, str], user: str) -> None:
    """`user@host`, from whatever the system says, in ASCII."""
    found = service.comment_of(env, Path("/root"))
    assert found.isascii()
    assert found.partition("@")[0] == user
    assert found.partition("@")[2]

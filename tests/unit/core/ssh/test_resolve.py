"""From what was typed to whom to reach: the command line over the files over the defaults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.core.ssh.connect_errors import BadHost, BadJump, ConfigTooOpen, JumpsInCircles
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.ssh.resolve import Here, Typed, parse_jump, resolve

CONFIG = """
Host box
  HostName %h.inside.test
  Port 33090
  User root
  IdentityFile ~/keys/%r@%n
  IdentitiesOnly yes
  CertificateFile /certs/%u
  UserKnownHostsFile ~/known /dev/null
  HostKeyAlias the-box
  ProxyJump first,second@[::1]:2222
Host first
  HostName first.test
  ProxyCommand nc %h %p %%
Host round
  ProxyJump round
Host none
  ProxyJump none
"""


def resolved(folder: Path, host: str, **typed: object) -> HostSpec:
    own = folder / ".ssh"
    own.mkdir(exist_ok=True)
    (own / "config").write_text(CONFIG)
    (own / "config").chmod(0o600)
    here = Here("me", folder, folder / "etc")
    return resolve(Typed(host, **typed), here)[0]  # type: ignore[arg-type]


def test_defaults(tmp_path: Path) -> None:
    """Without a word in the files: port 22, the account's own name, the usual keys and files."""
    spec = resolved(tmp_path, "Other.test")
    own = tmp_path / ".ssh"
    assert spec == HostSpec(
        "Other.test",
        22,
        "me",
        "Other.test",
        tuple(own / f"id_{kind}" for kind in ("ed25519", "ecdsa", "rsa", "ed25519_sk", "ecdsa_sk")),
        known_hosts=(own / "known_hosts", own / "known_hosts2", tmp_path / "etc" / "ssh_known_hosts"),
    )


def test_the_files(tmp_path: Path) -> None:
    """What the files say, tokens and `~` filled in; the way to the first jump is its own."""
    spec = resolved(tmp_path, "box")
    assert (spec.host, spec.port, spec.user, spec.alias) == ("box.inside.test", 33090, "root", "box")
    assert spec.identity_files == (tmp_path / "keys" / "root@box",)
    assert spec.identities_only
    assert spec.certificate_files == (Path("/certs/me"),)
    assert spec.known_hosts[:2] == (tmp_path / "known", Path("/dev/null"))
    assert (spec.known_as, spec.proxy_command) == ("the-box", None)
    first, second = spec.jumps
    assert (first.host, first.user, first.proxy_command) == ("first.test", "me", "nc first.test 22 %")
    assert (second.host, second.user, second.port, second.proxy_command) == ("::1", "second", 2222, None)


def test_the_command_line_wins(tmp_path: Path) -> None:
    """User, port and jumps that were typed win; a typed key comes first."""
    spec = resolved(tmp_path, "box", user="you", port=7, identity_files=(Path("/mine"),), jumps=("x@y:1",))
    assert (spec.user, spec.port, [hop.host for hop in spec.jumps]) == ("you", 7, ["y"])
    assert spec.identity_files == (Path("/mine"), tmp_path / "keys" / "you@box")
    assert resolved(tmp_path, "first", jumps=("y",)).proxy_command is None
    assert resolved(tmp_path, "none").jumps == ()


def test_circles(tmp_path: Path) -> None:
    """A jump through itself is told, not followed for ever."""
    with pytest.raises(JumpsInCircles) as caught:
        resolved(tmp_path, "round")
    assert caught.value.exit_code is ExitCode.CONFIG


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("host", ("host", None, None)),
        ("me@host:22", ("host", "me", 22)),
        ("a@b@host", ("host", "a@b", None)),
        ("[fe80::1]:2", ("fe80::1", None, 2)),
        ("ssh://me@host:3/", ("host", "me", 3)),
    ],
)
def test_jumps(words: str, expected: tuple[str, str | None, int | None]) -> None:
    """Every way to write a jump."""
    found = parse_jump(words)
    assert (found.host, found.user, found.port) == expected


@pytest.mark.parametrize("words", ["", "@host", "host:", "host:x", "host:70000", "fe80::1", "a b:1:2"])
def test_bad_jumps(words: str) -> None:
    """What is none is said."""
    with pytest.raises(BadJump):
        parse_jump(words)


@pytest.mark.parametrize("host", ["$(touch x).gw", "`x`", "a;b", "-oProxyCommand=x", "a b", "a\n* ssh-rsa", "a,b", "*"])
def test_a_name_that_a_shell_would_run(tmp_path: Path, host: str) -> None:
    """It never reaches a command line or a list of known hosts, typed or as a jump."""
    with pytest.raises(BadHost):
        resolved(tmp_path, host)
    with pytest.raises(BadHost):
        resolved(tmp_path, "none", jumps=("other.test", f"me@{host}"))


@pytest.mark.parametrize(
    ("user", "good"),
    [
        *((user, True) for user in ("DOMAIN\\me", "me@corp.test", "machine$", "王")),
        *((user, False) for user in ("-oX", "a;b", "$(x)", "me\\", "a -F x", "a\n")),
    ],
)
def test_names_of_accounts(tmp_path: Path, user: str, good: bool) -> None:
    """Those of Windows and of directories pass; what a shell would run does not."""
    if good:
        assert resolved(tmp_path, "x.test", user=user).user == user
    else:
        with pytest.raises(BadHost):
            resolved(tmp_path, "x.test", user=user)


@pytest.mark.parametrize("host", ["fe80::1%eth0", "开发机.test", "a_b-c.test", "127.0.0.1"])
def test_names_of_servers(tmp_path: Path, host: str) -> None:
    """Addresses with a device, and names in any language, are names."""
    assert resolved(tmp_path, host).host == host


@pytest.mark.skipif(sys.platform == "win32", reason="modes say nothing there")
@pytest.mark.parametrize("name", ["config", "more"])
def test_a_configuration_that_others_can_write(tmp_path: Path, name: str) -> None:
    """It could have us run anything, so it is refused, and what it includes; the system's is the administrator's."""
    here = Here("me", tmp_path, tmp_path / "etc")
    for folder in (tmp_path / ".ssh", tmp_path / "etc"):
        folder.mkdir()
        (folder / ("config" if folder.name == ".ssh" else "ssh_config")).write_text("Include more\n")
        (folder / "more").write_text("Port 7\n")
        for file in folder.iterdir():
            file.chmod(0o644)
    (tmp_path / "etc" / "more").chmod(0o664)
    assert resolve(Typed("x.test"), here)[0].port == 7
    (tmp_path / ".ssh" / name).chmod(0o664)
    with pytest.raises(ConfigTooOpen) as caught:
        resolve(Typed("x.test"), here)
    assert caught.value.path == str(tmp_path / ".ssh" / name)


@pytest.mark.parametrize(
    ("env", "user"),
    [({"LOGNAME": "", "USER": "x", "USERNAME": "y"}, "x"), ({"USERNAME": "张三"}, "张三"), ({}, "account")],
)
def test_who_is_here(env: dict[str, str], user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says, else the system's list of accounts."""
    monkeypatch.setattr("getpass.getuser", lambda: "account")
    assert Here.of(env, Path("/home/me")).user == user


@pytest.mark.parametrize("trouble", [OSError, KeyError, ImportError])
def test_an_account_without_a_name(trouble: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user id may be on no list, and Windows has none: then the home folder's name is the best guess."""

    def unknown() -> str:
        raise trouble

    monkeypatch.setattr("getpass.getuser", unknown)
    assert Here.of({}, Path("/home/me")).user == "me"


def test_where_windows_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's files are in %PROGRAMDATA% there, for whoever asks."""
    monkeypatch.setattr("sys.platform", "win32")
    assert Here.of({"PROGRAMDATA": "D:/Data"}, Path("C:/Users/me")).system == Path("D:/Data/ssh")

"""Command lines of `ssh` as people paste them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.errors import ExitCode
from internlm_setup.tunnel.errors import BadForward, BadPasted
from internlm_setup.tunnel.forwards import parse
from internlm_setup.tunnel.pasted import Pasted, read_pasted

CONSOLE = "ssh -CNg -L 6006:127.0.0.1:6006 root@ssh.intern-ai.org.cn -p 33090 -o StrictHostKeyChecking=no"
FORWARD = parse("local", "6006:127.0.0.1:6006")


def told(pasted: Pasted) -> tuple[object, ...]:
    found = pasted.profile
    return found.host, found.user, found.port, found.forwards


@pytest.mark.parametrize(
    "line",
    [
        CONSOLE,
        "ssh -p 33090 root@ssh.intern-ai.org.cn -CNg -L 6006:127.0.0.1:6006 -o StrictHostKeyChecking=no",
        "ssh root@ssh.intern-ai.org.cn -p33090 -CNgL6006:127.0.0.1:6006",
        "ssh -oPort=33090 -o 'User root' -o 'LocalForward 6006 127.0.0.1:6006' ssh.intern-ai.org.cn",
        "ssh -l root -p 33090 -p 22 -L 6006:127.0.0.1:6006 ssh.intern-ai.org.cn",
        "ssh -L 6006:127.0.0.1:6006 ssh://root@ssh.intern-ai.org.cn:33090",
        r"PS C:\Users\张三> C:\Windows\OpenSSH\ssh.exe -p 33090 root@ssh.intern-ai.org.cn -L 6006:127.0.0.1:6006",
        "$ ssh –p 33090 —L 6006:127.0.0.1:6006 root@ssh.intern-ai.org.cn",
        "ssh -p 33090 \\\n  -L 6006:127.0.0.1:6006 `\n root@ssh.intern-ai.org.cn",
    ],
)
def test_the_tutorials_command_in_every_order(line: str) -> None:
    """Before and after the server, bundled, long or short, with what a page or a prompt adds."""
    assert told(read_pasted([line])) == ("ssh.intern-ai.org.cn", "root", 33090, (FORWARD,))


def test_words_that_a_shell_took_apart() -> None:
    """Without quotation marks the shell has done half of the work."""
    assert read_pasted(CONSOLE.split()) == read_pasted([CONSOLE])


def test_what_is_not_followed_is_said() -> None:
    """`-g` and the unchecked host key above all; what we do anyway is not mentioned."""
    notes = {note.words: note.reason.en for note in read_pasted([f"{CONSOLE} -f -X -o Foo=bar -vT ls -l"]).notes}
    assert list(notes) == ["-g", "-o StrictHostKeyChecking=no", "-f", "-X", "-o Foo=bar", "ls -l"]
    assert "-g" in notes["-g"]
    assert "refused" in notes["-o StrictHostKeyChecking=no"]
    assert "--detach" in notes["-f"]
    assert "no command" in notes["ls -l"]


@pytest.mark.parametrize(
    ("words", "compression"),
    [("-C", "on"), ("-o Compression=yes", "on"), ("-oCompression=no -C", "off"), ("-N", "auto")],
)
def test_compression_is_as_it_says(words: str, compression: str) -> None:
    """`-C` is always on; without a word the line decides."""
    assert read_pasted([f"ssh {words} box"]).profile.compression == compression


def test_the_profile_that_it_makes() -> None:
    """Keys, jumps and every forward are in it, under a name of its own."""
    line = r"ssh -i C:\Users\me\.ssh\id_rsa -J a@b:1,c -D 1080 -R 0:localhost:22 -o HostName=10.0.0.1 me@box -p 2222"
    found = read_pasted([line]).profile
    assert found.name == "10.0.0.1-2222"
    assert found.host == "10.0.0.1"
    assert found.identity_files == (r"C:\Users\me\.ssh\id_rsa",)
    assert found.jumps == ("a@b:1", "c")
    assert found.forwards == (parse("dynamic", "1080"), parse("remote", "0:localhost:22"))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "does not begin with `ssh`"),
        ("scp a b:c", "does not begin with `ssh`"),
        ("ssh", "names no server"),
        ("ssh -p 33090", "names no server"),
        ("ssh root@", "names no server"),
        ("ssh -Z box", "no option `-Z`"),
        ("ssh box -p", "`-p` needs a value"),
        ("ssh -p 70000 box", "`70000` is no port"),
        ("ssh -p x box", "`x` is no port"),
        ("ssh 'box", "a quotation mark is not closed"),
    ],
)
def test_what_is_wrong_is_said(line: str, complaint: str) -> None:
    """In words, with exit code 2."""
    with pytest.raises(BadPasted) as caught:
        read_pasted([line])
    assert complaint in caught.value.message()
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_forward_that_is_none() -> None:
    """It is named as if it had been typed to us."""
    with pytest.raises(BadForward):
        read_pasted(["ssh -L 6006 -L x box"])


OPTIONS = st.lists(
    st.sampled_from(
        [
            ("-p", "1022"),
            ("-p2022",),
            ("-o", "Port=3022"),
            ("-l", "me"),
            ("-oUser=you",),
            ("-CNg",),
            ("-fNTv",),
            ("-o", "StrictHostKeyChecking=no"),
            ("-L", "6006:127.0.0.1:6006"),
            ("-NL7007:[::1]:80",),
            ("-R", "*:8008:localhost:8008"),
            ("-D", "[::1]:1080"),
            ("-o", "LocalForward=9009 db:5432"),
        ]
    ),
    max_size=6,
)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
@given(OPTIONS, OPTIONS, st.sampled_from(["box", "root@box", "root@box.example.org"]))
def test_ssh_understands_the_same(before: list[tuple[str, ...]], after: list[tuple[str, ...]], server: str) -> None:
    """Whatever the order, `ssh -G` reaches the same account at the same port, and forwards the same."""
    words = ["ssh", *(word for option in before for word in option), server]
    words += [word for option in after for word in option]
    answer = subprocess.run(
        ["ssh", "-F", "none", "-G", *words[1:]], check=True, capture_output=True, encoding="utf-8", timeout=20
    ).stdout
    said = {name: re.findall(rf"^{name} (.*)$", answer, re.MULTILINE) for name in ("hostname", "user", "port")}
    found = read_pasted(words).profile
    assert said["hostname"] == [found.host]
    assert said["port"] == [str(found.port or 22)]
    if found.user:
        assert said["user"] == [found.user]
    for kind in ("local", "remote", "dynamic"):
        theirs = set(re.findall(rf"^{kind}forward (.*)$", answer, re.MULTILINE))
        assert len(theirs) == len({each for each in found.forwards if each.kind == kind})

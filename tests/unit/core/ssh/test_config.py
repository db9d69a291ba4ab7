"""The person's OpenSSH configuration: read as `ssh -G` reads it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from internlm_setup.core.ssh.config import ConfigFile, HostConfig, Question, expand, read_config
from internlm_setup.core.ssh.config_lines import words_of

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
ME = pwd.getpwuid(os.getuid()).pw_name
HOSTS = ["one.test", "Two.test", "10.0.0.1", "dev"]
COMPARED = [
    "hostname",
    "user",
    "port",
    "identitiesonly",
    "identityfile",
    "certificatefile",
    "proxycommand",
    "proxyjump",
]
COMPARED += ["userknownhostsfile", "serveraliveinterval", "serveralivecountmax", "localforward", "hostkeyalias"]


def ask(host: str = "dev", user: str | None = None, port: int | None = None) -> Question:
    return Question(host, ME, Path("/home/me"), user, port, run_exec=True)


def read(folder: Path, content: str, question: Question) -> HostConfig:
    (folder / "config").write_text(content)
    return read_config([ConfigFile(folder / "config", folder)], question)


def ours(folder: Path, content: str, question: Question) -> dict[str, list[str]]:
    """Return the options as `ssh -G` would print them, defaults left out."""
    found = read(folder, content, question)
    values = {k: list(v) for k, v in found.values.items() if k in COMPARED}
    for keyword in ("userknownhostsfile",):
        if keyword in values:
            values[keyword] = [" ".join(values[keyword])]
    if "hostname" in values:
        values["hostname"] = [expand(values["hostname"][0], {"h": question.host})]
    return values


def theirs(folder: Path, content: str, question: Question) -> dict[str, list[str]] | None:
    """Return what `ssh -G` prints, or None where it refuses the file."""
    file = folder / "config"
    file.write_text(content)
    asked = [*(["-l", question.user] if question.user else []), *(["-p", str(question.port)] if question.port else [])]
    done = subprocess.run(
        ["ssh", "-G", "-F", str(file), *asked, question.host], capture_output=True, check=False, timeout=20
    )
    if done.returncode:
        return None
    values: dict[str, list[str]] = {}
    for line in done.stdout.decode().splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword, []).append(value.translate({91: None, 93: None}))  # brackets around each host
    return values


word = st.sampled_from(["one.test", "dev", "*", "*.test", "d?v", "!dev", "!*.test", "10.0.0.*", "ONE.test", "x"])
user_word = st.sampled_from(["root", ME, "r*", "nobody", "!root"])
quoted = st.sampled_from(["{}", '"{}"', " {} ", "{}  # said", "= {}"])
option = st.builds(
    lambda indent, keyword_value, quote: indent + keyword_value[0] + " " + quote.format(keyword_value[1]),
    st.sampled_from(["", "  ", "\t"]),
    st.sampled_from(
        [
            ("HostName", "real.test"),
            ("hostname", "%h.inside.test"),
            ("HostName", "two.test"),
            ("User", "root"),
            ("USER", "nobody"),
            ("Port", "33090"),
            ("Port", "22"),
            ("IdentityFile", "/keys/one"),
            ("IdentityFile", "~/.ssh/two"),
            ("IdentitiesOnly", "yes"),
            ("IdentitiesOnly", "no"),
            ("CertificateFile", "/keys/one-cert.pub"),
            ("UserKnownHostsFile", "/known/one"),
            ("ServerAliveInterval", "7"),
            ("ServerAliveCountMax", "2"),
            ("HostKeyAlias", "other"),
        ]
    ),
    quoted,
)
raw_option = st.sampled_from(
    [
        "ProxyCommand nc -x 'a b' %h %p",
        "ProxyCommand=nc %h %p # kept",
        "ProxyCommand none",
        "ProxyJump a.test",
        "ProxyJump = root@b.test:2222",
        "ProxyJump none",
        "LocalForward 6006 127.0.0.1:6006",
        "LocalForward 127.0.0.1:7860 localhost:7860",
        "UserKnownHostsFile /known/a /known/b",
        'IdentityFile "/keys/with blank"',
        "IdentityFile /keys/with\\ blank",
        "# Port 1",
        "",
        "   # Host dev",
    ]
)
host_line = st.lists(word, min_size=1, max_size=3).map(lambda words: "Host " + " ".join(words))
criterion = st.one_of(
    st.builds("{}host {}".format, st.sampled_from(["", "!"]), word),
    st.builds(
        "{}originalhost {}".format, st.sampled_from(["", "!"]), st.lists(word, min_size=1, max_size=2).map(",".join)
    ),
    st.builds("{}user {}".format, st.sampled_from(["", "!"]), user_word),
    st.builds("{}localuser {}".format, st.sampled_from(["", "!"]), user_word),
    st.sampled_from(["final", "!final", "canonical", "exec true", "exec false", '!exec "test %h = dev"', "host=dev"]),
)
match_line = st.one_of(
    st.just("Match all"),
    st.just("Match !all"),
    st.lists(criterion, min_size=1, max_size=3).map(lambda parts: "Match " + " ".join(parts)),
)
a_line = st.one_of(option, option, raw_option, host_line, match_line)


@needs_ssh
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(a_line, max_size=10),
    included=st.lists(a_line, max_size=5),
    at=st.integers(0, 10),
    question=st.builds(ask, st.sampled_from(HOSTS), st.sampled_from([None, "me"]), st.sampled_from([None, 2222])),
)
def test_reads_as_openssh_does(
    tmp_path: Path, lines: list[str], included: list[str], at: int, question: Question
) -> None:
    """Whatever the files hold, each option that is set is what OpenSSH would use."""
    (tmp_path / "more.conf").write_text("\n".join(included))
    lines.insert(at, f"Include {tmp_path}/m*.conf {tmp_path}/missing")
    content = "\n".join(lines)
    expected = theirs(tmp_path, content, question)
    assume(expected is not None)
    assert expected is not None
    found = ours(tmp_path, content, question)
    for keyword in ("proxycommand", "proxyjump"):
        if found.get(keyword) == ["none"]:
            del found[keyword]
    defaults = theirs(tmp_path, "", question) or {}
    for values in (found, expected, defaults):
        values["hostname"] = [name.lower() for name in values.get("hostname", [question.host])]  # either is right
    for keyword in COMPARED:
        assert found.get(keyword, defaults.get(keyword)) == expected.get(keyword), keyword


@pytest.mark.parametrize(
    "criterion", ["tagged x", "version OpenSSH_9*", "sessiontype shell", "localnetwork 10.0.0.0/8", "host"]
)
def test_unknown_match(tmp_path: Path, criterion: str) -> None:
    """A Match that cannot be judged does not match, not even negated, and is said in both languages."""
    for sign in ("", "!"):
        found = read(tmp_path, f"# mine\nMatch {sign}{criterion}\n  Port 1\nHost *\n  Port 2\n", ask())
        assert found.number("port") == 2
        (note,) = found.notes
        assert f"line 2: `Match {criterion.split(maxsplit=1)[0]}`" in note.en
        assert f"第 2 行：无法判断 `Match {criterion.split(maxsplit=1)[0]}`" in note.zh


def test_exec_only_when_asked(tmp_path: Path) -> None:
    """`Match exec` runs nothing unless that was asked for, and that is said too."""
    content = f'Match exec "touch {tmp_path}/ran"\n Port 1\n'
    found = read(tmp_path, content, replace(ask(), run_exec=False))
    assert found.number("port") is None
    assert len(found.notes) == 1
    assert not (tmp_path / "ran").exists()
    assert read(tmp_path, content, ask()).number("port") == 1


def test_exec_for_what_cannot_match(tmp_path: Path) -> None:
    """Nothing is run for a block that is out already, nor in a file that is included where nothing matches."""
    (tmp_path / "more").write_text(f'Match exec "touch {tmp_path}/ran"\n Port 2\n')
    content = f'Match host other exec "touch {tmp_path}/ran"\n Port 1\nHost other\n Include more\n'
    assert read(tmp_path, content, ask()).number("port") is None
    assert not (tmp_path / "ran").exists()


def test_lines_that_cannot_be_read(tmp_path: Path) -> None:
    """They are passed over and said; the others count."""
    found = read(tmp_path, 'User "root\nPort\nHostName one.test\nPort no\n', ask())
    assert (found.one("user"), found.number("port"), found.one("hostname")) == (None, None, "one.test")
    assert [note.en.partition(":")[0].split()[-1] for note in found.notes] == ["1", "2"]


def test_files_that_include_each_other(tmp_path: Path) -> None:
    """They end, and that is said."""
    found = read(tmp_path, "Include config\nPort 3\n", ask())
    assert found.number("port") == 3
    assert "too deeply" in found.notes[0].en


def test_relative_includes(tmp_path: Path) -> None:
    """They start from the folder that the first file names, in the order of their names."""
    (tmp_path / "conf.d").mkdir()
    for name, port in (("b", 2), ("a", 1)):
        (tmp_path / "conf.d" / name).write_text(f"Port {port}\n")
    assert read(tmp_path, "Include conf.d/*\n", ask()).number("port") == 1


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there says nothing."""
    assert read_config([ConfigFile(tmp_path / "no", tmp_path)], ask()) == HostConfig({})


def test_tokens() -> None:
    """What stands in is not looked at again; what is not known stays."""
    assert expand("%h %%h %p %z 100%", {"h": "%p", "p": "22"}) == "%p %h 22 %z 100%"


@pytest.mark.parametrize(
    ("words", "expected"),
    [("a 'b c'd \"e\" # f", ["a", "b cd", "e"]), ('a\\ b \\"c', ["a b", '"c']), ("'open", None), ("a#b", ["a#b"])],
)
def test_words(words: str, expected: list[str] | None) -> None:
    """Words are split and quoted as OpenSSH does."""
    assert words_of(words) == expected

"""The person's OpenSSH configuration: read as `ssh -G` reads it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
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
    for keyword in COMPARED:
        assert found.get(keyword, defaults.get(keyword)) == expected.get(keyword), keyword

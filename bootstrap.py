#!/usr/bin/env python3
"""Make `.venv`, install this project into it, then run the tour or the tests.

    python3 bootstrap.py tour     every feature shown on this machine alone
    python3 bootstrap.py test     the newcomer's check

Words after the verb go on to the program it runs. Standard library only. Every Python since 3.5 can
read this file far enough to say which Python is needed: hence quoted annotations and no f-strings.
"""

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
VENV, TOOLS = ROOT / ".venv", ROOT / ".tools"
MARK, LOG = VENV / "internlm-setup.json", TOOLS / "bootstrap.log"
CONSTRAINTS = ROOT / "constraints.txt"
WINDOWS = os.name == "nt"
BIN, SUFFIX = (VENV / "Scripts", ".exe") if WINDOWS else (VENV / "bin", "")
PYTHON = str(BIN / ("python" + SUFFIX))
OLDEST_PYTHON, OLDEST_PIP = (3, 10), (22, 3)  # the first pip that knows `--python`
FAILED, USAGE, UNAVAILABLE, CANNOT_WRITE, INTERRUPTED, TERMINATED = 1, 2, 69, 73, 130, 143

# Each verb: the extras it needs, and the program it ends in.
VERBS = {
    "tour": ([], [str(BIN / ("internlm-setup" + SUFFIX)), "tour"]),
    "test": (["test"], [PYTHON, "-m", "pytest", "-m", "not full"]),
}
# Time-out in seconds and retries. The user's index gets little: 15 s show that nobody answers.
PATIENCE = {False: ("7", "1"), True: ("10", "3")}
OUT_OF_REACH = re.compile(
    r"connection broken by|Max retries exceeded|(NewConnection|Connection|Proxy|SSL)Error|timed out"
    r"|(Connect|Read)Timeout|Connection (refused|reset)|No route to host|Network is unreachable"
    r"|name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|50\d Serv"
)
UNRESOLVED = re.compile(r"ResolutionImpossible|No matching distribution|conflicting dependencies")
LANGUAGE_FROM = ("INTERNLM_SETUP_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def say(en: str, zh: str, **fields: object) -> None:
    """Tell the person one thing on stderr, in the language the installed command would choose."""
    asked = [os.environ.get(name) or "C" for name in LANGUAGE_FROM]
    locale = next((value for value in asked if value.split(".")[0] not in {"C", "POSIX"}), "en")
    words = (zh if locale.lower().startswith("zh") else en).format(**fields) + "\n"
    encoding = sys.stderr.encoding or "ascii"  # a console that lacks a character gets a `?`
    sys.stderr.write(words.encode(encoding, "replace").decode(encoding))
    sys.stderr.flush()


def fail(code: int, en: str, zh: str, **fields: object) -> NoReturn:
    """Say why this cannot go on, and end."""
    say(en, zh, **fields)
    sys.exit(code)


def answer(command: "list[str]") -> str:
    """Return what a short program prints, or nothing when it fails or is not there."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode("utf-8", "replace")
    except (OSError, subprocess.CalledProcessError):
        return ""


def newer_python() -> str:
    """Return a Python of this machine that is new enough, tested versions first, or nothing."""
    code = "import sys; print(sys.executable if sys.version_info >= (3, 10) else '')"
    for version in ("3.13", "3.12", "3.11", "3.10", "3.14", "3.15"):
        command = ["py", "-" + version] if WINDOWS else ["python" + version]
        found = answer([*command, "-c", code]).strip()
        if found:
            return found
    return ""


def hand_over(command: "list[str]") -> int:
    """Run the program that the person came for; return its exit code as a shell would give it."""
    child = subprocess.Popen(command)
    # A terminal sends Ctrl-C to the child as well; what is sent to us alone must reach it.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return 128 - code if code < 0 else code


def work(command: "list[str]", env: "dict[str, str] | None" = None) -> "tuple[int, str]":
    """Run a program whose output goes to the log; on a terminal, count the seconds meanwhile.

    It inherits the lock: the next bootstrap waits for a pip that outlives a killed one.

    Returns:
        The exit code, and all that the program said.
    """
    begun = time.monotonic()
    with LOG.open("ab+") as log:
        start = log.seek(0, os.SEEK_END)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            close_fds=False,
            start_new_session=not WINDOWS,
        )
        try:
            while child.poll() is None:
                time.sleep(0.1)
                if sys.stderr.isatty():
                    sys.stderr.write("\r  " + str(int(time.monotonic() - begun)) + " s \r")
                    sys.stderr.flush()
        finally:
            if child.poll() is None and sys.platform != "win32":
                os.killpg(child.pid, signal.SIGTERM)  # pip works in a child of its own
            child.wait()
        log.seek(start)
        return child.returncode, log.read().decode("utf-8", "replace")


def tail(said: str) -> str:
    """Return the last lines of a program's output, indented, and where the rest is."""
    return "\n    ".join(["\n", *said.rstrip().splitlines()[-10:], "... " + str(LOG)])


def take_lock() -> int:
    """Wait until no other bootstrap works in this folder; the lock goes with its last holder."""
    TOOLS.mkdir(exist_ok=True)
    lock = os.open(str(TOOLS / "bootstrap.lock"), os.O_RDWR | os.O_CREAT)
    if sys.platform != "win32":
        import fcntl  # noqa: PLC0415  Windows has none

        os.set_inheritable(lock, True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Waiting for another bootstrap in this folder", "等待本目录中的另一个 bootstrap")
            fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def base_python() -> str:
    """Return the Python to build on: this one, or its origin when `.venv` itself is running."""
    if Path(sys.prefix).resolve() != VENV:
        return sys.executable
    name = "python.exe" if WINDOWS else "bin/python{}.{}".format(*sys.version_info)
    return str(Path(sys.base_prefix) / name)


class Pip:
    """A pip that installs into `.venv`, and whether it still reads the user's configuration."""

    def __init__(self) -> None:
        self.isolated = False
        self.words = [base_python(), "-m", "pip"]

    def is_new(self) -> bool:
        """Tell whether this pip runs and can install into another environment."""
        found = re.match(r"pip (\d+)\.(\d+)", answer([*self.words, "--version"]))
        return bool(found) and tuple(map(int, found.groups())) >= OLDEST_PIP

    def find(self) -> None:
        """Settle which pip it is: Python's own, one fetched before or now, or ensurepip's."""
        own, kept, partial = self.words, TOOLS / "pip", TOOLS / "pip.partial"
        if not self.is_new():
            self.words = [own[0], str(kept / "pip")]
        if not self.is_new() and answer([*own, "--version"]):
            say("Fetching a newer pip into .tools/pip", "正在把较新的 pip 装入 .tools/pip")
            shutil.rmtree(str(partial), ignore_errors=True)
            shutil.rmtree(str(kept), ignore_errors=True)
            self.words, fetched = own, self.words
            self.install(["--target", str(partial), "pip>=22.3"], [])
            partial.rename(kept)
            self.words = fetched
        elif not self.is_new():
            if work([PYTHON, "-m", "ensurepip"])[0]:
                how = "`apt-get install python3-pip`, `dnf install python3-pip`, `apk add py3-pip`"
                en = "`{python}` has no pip\n\nInstall it ({how}), then run this again"
                zh = "`{python}` 没有 pip\n\n请先安装（{how}），再运行本命令"
                fail(UNAVAILABLE, en, zh, python=own[0], how=how)
            self.words = [PYTHON, "-m", "pip"]
        self.words += ["--python", PYTHON]

    def install(self, wanted: "list[str]", limits: "list[str]") -> None:
        """Install, going on without the limits or the user's configuration where that may help."""
        while True:
            options, env = self.settings()
            code, said = work([*self.words, "install", *options, *limits, *wanted], env)
            if code == 0:
                return
            if OUT_OF_REACH.search(said) and not self.isolated:
                self.isolated = True
                en = "The configured package index is out of reach; retrying with `pip --isolated`"
                say(en, "配置的软件包索引连不上；改用 `pip --isolated` 再试一次")
            elif OUT_OF_REACH.search(said):
                en = "No package index is in reach; check the network or the proxy{said}"
                fail(UNAVAILABLE, en, "连不上任何软件包索引；请检查网络或代理{said}", said=tail(said))
            elif limits and UNRESOLVED.search(said):
                limits = []
                en = "The versions in constraints.txt cannot all be had here; going on without them"
                say(en, "这里装不齐 constraints.txt 中的版本；不加约束继续")
            else:
                fail(FAILED, "pip failed{said}", "pip 失败{said}", said=tail(said))

    def settings(self) -> "tuple[list[str], dict[str, str]]":
        """Return options and environment for one install.

        The pip that fetches build tools is a child that reads environment and configuration again,
        but gets few of our options: so all is said in both places.
        """
        env = dict(os.environ)
        authorities = env.get("PIP_CERT") or env.get("SSL_CERT_FILE")
        if authorities:  # an older pip, or an isolated one, knows this name only
            env.setdefault("REQUESTS_CA_BUNDLE", authorities)
        if self.isolated:
            env = {name: env[name] for name in env if not name.startswith("PIP_")}
            env["PIP_CONFIG_FILE"] = os.devnull
        wait, retries = PATIENCE[self.isolated]
        env.update(PIP_TIMEOUT=wait, PIP_DEFAULT_TIMEOUT=wait, PIP_RETRIES=retries, PIP_USER="0")
        options = ["--no-input", "--disable-pip-version-check", "--timeout", wait, "--retries"]
        return [*options, retries, *["--isolated"] * self.isolated], env


def prepare(extras: "list[str]") -> None:
    """Bring `.venv` to where it holds the project as it is now, with at least these extras.

    Its mark names all it was made from, and says "done" only after the last step: what a killed
    bootstrap leaves behind is made anew by the next one.
    """
    inputs = [path.read_bytes() for path in (ROOT / "pyproject.toml", CONSTRAINTS) if path.exists()]
    want = {
        "way": 1,
        "done": True,
        "root": str(ROOT),
        "sources": hashlib.sha256(b"\0".join(inputs)).hexdigest(),
        "python": platform.python_version() + " " + sys.base_prefix,
    }
    have = json.loads(MARK.read_text(encoding="utf-8")) if MARK.exists() else {}
    fresh = dict(have, extras=0) == dict(want, extras=0) and bool(answer([PYTHON, "-c", "print(1)"]))
    if fresh and set(extras) <= set(have["extras"]):
        return
    want["extras"] = sorted({*extras, *(have["extras"] if fresh else [])})
    if fresh:
        write_mark(dict(want, done=False))
    else:
        make_venv(dict(want, done=False))
    pip = Pip()
    pip.find()
    say("Installing the project and what it needs", "正在安装本项目及其依赖")
    project = str(ROOT) + ("[" + ",".join(want["extras"]) + "]" if want["extras"] else "")
    pip.install(["-e", project], ["-c", str(CONSTRAINTS)] if CONSTRAINTS.exists() else [])
    write_mark(want)


def write_mark(made_from: "dict[str, Any]") -> None:
    """Replace the mark in one step."""
    partial = MARK.with_suffix(".partial")
    partial.write_text(json.dumps(made_from), encoding="utf-8")
    partial.replace(MARK)


def make_venv(made_from: "dict[str, Any]") -> None:
    """Make an empty `.venv` in place of a stale one; one that is not ours is kept aside."""
    if VENV.exists():
        doomed = TOOLS / time.strftime("venv-%Y%m%d-%H%M%S")
        ours = MARK.exists()
        VENV.rename(doomed)  # in one step: half a `.venv` would look like another's
        if ours:
            say("Making .venv anew: it was unfinished or out of date", "重建 .venv：未建完或已过时")
            shutil.rmtree(str(doomed), ignore_errors=True)
        else:
            say("Making .venv; yours is now {path}", "建立 .venv；原有的移到 {path}", path=doomed)
    else:
        say("Making .venv", "建立 .venv")
    VENV.mkdir()
    write_mark(made_from)
    command = [base_python(), "-m", "venv", "--without-pip", str(VENV)]
    code, said = work(command)
    if code:
        en = "`{command}` failed{said}\n\nOn Debian and Ubuntu: `apt-get install python3-venv`"
        zh = "`{command}` 失败{said}\n\nDebian 和 Ubuntu：`apt-get install python3-venv`"
        fail(FAILED, en, zh, command=" ".join(command), said=tail(said))


def show_path() -> None:
    """Print the line that puts the command on PATH, for the person's own shell first."""
    quoted = shlex.quote(str(BIN))
    lines = {
        "sh": "export PATH=" + quoted + ':"$PATH"',
        "fish": "set -gx PATH " + quoted + " $PATH",
        "PowerShell": "$env:PATH = '" + str(BIN).replace("'", "''") + os.pathsep + "' + $env:PATH",
    }
    own = "fish" if os.environ.get("SHELL", "").endswith("fish") else "sh"
    line = lines.pop("PowerShell" if WINDOWS else own)
    en = "\nTo call `internlm-setup` by its name in this shell:\n\n    {line}\n"
    say(en, "\n在当前终端里可直接使用 `internlm-setup`：\n\n    {line}\n", line=line)
    for shell, other in lines.items():
        say("{shell}: {line}", "{shell}：{line}", shell=shell, line=other)


def refuse_or_renew(words: "list[str]") -> int:
    """Run this file again with a newer Python of this machine, or say how to get one."""
    newer, here = newer_python(), platform.python_version()
    if newer:
        say("Python {0} is too old; using {1}", "Python {0} 太旧；改用 {1}", **{"0": here, "1": newer})
        return hand_over([newer, str(Path(__file__).resolve()), *words])
    en = "Python 3.10 or newer is needed; found {here}\n\nInstall one, for instance: {how}"
    zh = "需要 Python 3.10 或更新；现有 {here}\n\n请先安装，例如：{how}"
    how = "`apt-get install python3.11`, `dnf install python3.11`, `brew install python`"
    fail(UNAVAILABLE, en, zh, here=here, how=how)


def main(words: "list[str]") -> int:
    """Do what the verb says; return the exit code of the program it ends in."""
    if sys.version_info < OLDEST_PYTHON:
        return refuse_or_renew(words)
    if not words or words[0] not in VERBS:
        say(*["usage: python3 bootstrap.py {verbs} [...]"] * 2, verbs="|".join(VERBS))
        return 0 if words[:1] in (["-h"], ["--help"]) else USAGE
    extras, command = VERBS[words[0]]
    lock = take_lock()
    prepare(extras)
    os.close(lock)
    code = hand_over([*command, *words[1:]])
    show_path()
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        fail(INTERRUPTED, "Stopped; the same command goes on", "已停止；再次运行同一命令即可继续")
    except OSError as error:
        fail(CANNOT_WRITE, "{error}", "{error}", error=error)

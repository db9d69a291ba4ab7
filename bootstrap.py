#!/usr/bin/env python3
"""Make `.venv`, install this project into it, then run the tour, the tests or the benchmarks.

    python3 bootstrap.py tour     every feature shown on this machine alone
    python3 bootstrap.py test     the newcomer's check
    python3 bootstrap.py bench    a short version of the benchmarks

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
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV, TOOLS, CONSTRAINTS = ROOT / ".venv", ROOT / ".tools", ROOT / "constraints.txt"
MARK, LOG = VENV / "internlm-setup.json", TOOLS / "bootstrap.log"
WINDOWS = os.name == "nt"
BIN, SUFFIX = (VENV / "Scripts", ".exe") if WINDOWS else (VENV / "bin", "")
PYTHON = str(BIN / ("python" + SUFFIX))
# What `.venv` is made with: never its own Python, because that one may be about to go.
BASE = sys.executable if Path(sys.prefix) != VENV else str(Path(sys.base_prefix, "bin", "python3"))
OLDEST_PYTHON, OLDEST_PIP = (3, 10), (22, 3)  # the first pip that knows `--python`
FAILED, USAGE, UNAVAILABLE, CANNOT_WRITE, INTERRUPTED, TERMINATED = 1, 2, 69, 73, 130, 143
# Each verb: the extras it needs, and the program it ends in.
VERBS = {
    "tour": ([], [str(BIN / ("internlm-setup" + SUFFIX)), "tour"]),
    "test": (["test"], [PYTHON, "-m", "pytest", "-m", "not full"]),
    "bench": ([], [PYTHON, str(ROOT / "benchmarks" / "run.py"), "--short"]),
}
OUT_OF_REACH = re.compile(
    r"connection broken by|Max retries exceeded|(NewConnection|Connection|Proxy|SSL)Error|timed out"
    r"|(Connect|Read)Timeout|Connection (refused|reset)|No route to host|Network is unreachable"
    r"|name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|50\d Serv"
)
UNRESOLVED = re.compile(r"ResolutionImpossible|No matching distribution|conflicting dependencies")


def say(en: str, zh: str, **fields: object) -> None:
    """Tell the person one thing on stderr, in the language the installed command would choose."""
    asked = map(os.environ.get, ("INTERNLM_SETUP_LANG", "LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((one for one in asked if one and one.split(".")[0] not in {"C", "POSIX"}), "en")
    words = (zh if locale.lower().startswith("zh") else en).format(**fields)
    encoding = sys.stderr.encoding or "ascii"  # a console that lacks a character gets a `?`
    print(words.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)


def fail(code: int, en: str, zh: str, said: str = "", **fields: object) -> NoReturn:
    """Say why this cannot go on, with the last of what a program said, and end."""
    lines = ["\n", *said.rstrip().splitlines()[-10:], str(LOG)] if said else []
    say(en + "{said}", zh + "{said}", said="\n    ".join(lines), **fields)
    sys.exit(code)


def answer(command: "list[str]") -> str:
    """Return what a short program prints, or nothing when it fails or is not there."""
    try:
        said = subprocess.check_output(command, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.decode("utf-8", "replace").strip()


def hand_over(command: "list[str]") -> int:
    """Run the program that the person came for; return its exit code as a shell would give it."""
    child = subprocess.Popen(command)
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends Ctrl-C to the child as well
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return 128 - code if code < 0 else code


def work(command: "list[str]", env: "dict[str, str] | None" = None) -> "tuple[int, str]":
    """Run a program with its output in the log; return its exit code and all that it said.

    On a terminal the seconds are counted meanwhile. The program inherits the lock: should it
    outlive a bootstrap that was killed, the next one waits for it.
    """
    begun = time.monotonic()
    with LOG.open("ab+") as log:
        start = log.seek(0, os.SEEK_END)
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env,
            close_fds=False, start_new_session=not WINDOWS,
        )  # fmt: skip
        try:
            while child.poll() is None:
                time.sleep(0.1)
                if sys.stderr.isatty():
                    os.write(2, b"\r  %d s \r" % (time.monotonic() - begun))
        finally:
            os.write(2, b"\r         \r" if sys.stderr.isatty() else b"")
            if child.poll() is None and sys.platform != "win32":
                os.killpg(child.pid, signal.SIGTERM)  # pip works in a child of its own
            child.wait()
        log.seek(start)
        return child.returncode, log.read().decode("utf-8", "replace")


def take_lock() -> int:
    """Wait until no other bootstrap works in this folder; the lock goes with its last holder."""
    TOOLS.mkdir(exist_ok=True)
    lock = os.open(str(TOOLS / "bootstrap.lock"), os.O_RDWR | os.O_CREAT)
    if sys.platform != "win32":
        import fcntl  # Windows has none

        os.set_inheritable(lock, True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


class Pip:
    """A pip that installs into `.venv`, and whether it still reads the user's configuration."""

    def __init__(self) -> None:
        self.isolated, self.words = False, [BASE, "-m", "pip"]

    def is_new(self) -> bool:
        """Tell whether this pip runs and can install into another environment."""
        found = re.match(r"pip (\d+)\.(\d+)", answer([*self.words, "--version"]))
        return found is not None and tuple(map(int, found.groups())) >= OLDEST_PIP

    def find(self) -> None:
        """Settle which pip it is: Python's own, one fetched before or now, or ensurepip's."""
        own, kept, partial = self.words, TOOLS / "pip", TOOLS / "pip.partial"
        if not self.is_new():
            self.words = [BASE, str(kept / "pip")]
        if self.is_new():
            self.words += ["--python", PYTHON]
        elif answer([*own, "--version"]):
            say("Fetching a newer pip into .tools/pip", "正在把较新的 pip 装入 .tools/pip")
            shutil.rmtree(str(partial), ignore_errors=True)
            shutil.rmtree(str(kept), ignore_errors=True)
            self.words = own
            self.install(["--target", str(partial), "pip>=22.3"], [])
            partial.rename(kept)
            self.words = [BASE, str(kept / "pip"), "--python", PYTHON]
        else:
            self.words = [PYTHON, "-m", "pip"]
            if work([PYTHON, "-m", "ensurepip"])[0]:
                en = "`{python}` has no pip\n\nInstall it, for instance: `apt-get install python3-pip`"
                zh = "`{python}` 没有 pip\n\n请先安装，例如：`apt-get install python3-pip`"
                fail(UNAVAILABLE, en, zh, python=BASE)

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
                en = "No package index is in reach; check the network or the proxy"
                fail(UNAVAILABLE, en, "连不上任何软件包索引；请检查网络或代理", said)
            elif limits and UNRESOLVED.search(said):
                limits = []
                en = "The versions in constraints.txt cannot all be had here; going on without them"
                say(en, "这里装不齐 constraints.txt 中的版本；不加约束继续")
            else:
                fail(FAILED, "pip failed", "pip 失败", said)

    def settings(self) -> "tuple[list[str], dict[str, str]]":
        """Return options, and an environment that says the same to the pip which pip starts."""
        env = dict(os.environ)
        if env.get("PIP_CERT") or env.get("SSL_CERT_FILE"):  # an older or isolated pip needs this
            env.setdefault("REQUESTS_CA_BUNDLE", env.get("PIP_CERT") or env["SSL_CERT_FILE"])
        if self.isolated:
            env = {name: env[name] for name in env if not name.startswith("PIP_")}
            env["PIP_CONFIG_FILE"] = os.devnull
        # The user's index gets little: 15 s show that nobody answers.
        wait, again = ("10", "3") if self.isolated else ("7", "1")
        env.update(PIP_TIMEOUT=wait, PIP_DEFAULT_TIMEOUT=wait, PIP_RETRIES=again, PIP_USER="0")
        options = "--no-input --disable-pip-version-check --timeout {} --retries {}"
        return options.format(wait, again).split() + ["--isolated"] * self.isolated, env


def prepare(extras: "list[str]") -> None:
    """Bring `.venv` to where it holds the project as it is now, with at least these extras.

    Its mark names all it was made from, and says "done" only after the last step: what a killed
    bootstrap leaves behind is made anew by the next one.
    """
    inputs = [path.read_bytes() for path in (ROOT / "pyproject.toml", CONSTRAINTS) if path.exists()]
    want = {
        "done": True,
        "root": str(ROOT),
        "sources": hashlib.sha256(b"\0".join([b"1", *inputs])).hexdigest(),
        "python": platform.python_version() + " " + sys.base_prefix,
    }
    have = json.loads(MARK.read_text(encoding="utf-8")) if MARK.exists() else {}
    there = have.pop("extras", [])
    fresh = have == want and answer([PYTHON, "-c", "print(1)"])
    if fresh and set(extras) <= set(there):
        return
    extras = sorted({*extras, *(there if fresh else [])})
    if not fresh:
        make_venv()
    write_mark({})
    pip = Pip()
    pip.find()
    say("Installing the project and what it needs", "正在安装本项目及其依赖")
    project = str(ROOT) + ("[" + ",".join(extras) + "]" if extras else "")
    pip.install(["-e", project], ["-c", str(CONSTRAINTS)] if CONSTRAINTS.exists() else [])
    write_mark(dict(want, extras=extras))


def write_mark(made_from: "dict[str, object]") -> None:
    """Replace the mark in one step; an empty one says that the work is not done."""
    partial = MARK.with_suffix(".partial")
    partial.write_text(json.dumps(made_from), encoding="utf-8")
    partial.replace(MARK)


def make_venv() -> None:
    """Make an empty `.venv` in place of a stale one; one that is not ours is kept aside."""
    say("Making .venv", "正在建立 .venv")
    if VENV.exists():
        old, ours = TOOLS / time.strftime("venv-%Y%m%d-%H%M%S"), MARK.exists()
        VENV.rename(old)  # in one step: half a `.venv` would look like another's
        if ours:
            shutil.rmtree(str(old), ignore_errors=True)
        else:
            say("The .venv that was here is now {old}", "原有的 .venv 已移到 {old}", old=old)
    VENV.mkdir()
    write_mark({})
    command = [BASE, "-m", "venv", "--without-pip", str(VENV)]
    code, said = work(command)
    if code:
        en = "`{command}` failed; on Debian and Ubuntu `apt-get install python3-venv` may help"
        zh = "`{command}` 失败；在 Debian 和 Ubuntu 上可试 `apt-get install python3-venv`"
        fail(FAILED, en, zh, said, command=" ".join(command))


def show_path() -> None:
    """Print the line that puts the command on PATH, for the person's own shell first."""
    quoted = shlex.quote(str(BIN))
    windows = "$env:PATH = '" + str(BIN).replace("'", "''") + os.pathsep + "' + $env:PATH"
    lines = {"sh": "export PATH=" + quoted + ':"$PATH"', "PowerShell": windows}
    lines["fish"] = "set -gx PATH " + quoted + " $PATH"
    own = "PowerShell" if WINDOWS else Path(os.environ.get("SHELL", "sh")).name
    line = lines.pop(own if own in lines else "sh")
    others = "\n".join(shell + ": " + other for shell, other in lines.items())
    en = "\nTo call `internlm-setup` by its name in this shell:\n\n    {line}\n\n{others}"
    zh = "\n在当前终端里可直接使用 `internlm-setup`：\n\n    {line}\n\n{others}"
    say(en, zh, line=line, others=others)


def with_newer_python(words: "list[str]") -> int:
    """Run this file again with a newer Python, tested versions first, or say how to get one."""
    here = platform.python_version()
    code = "import sys; print(sys.executable if sys.version_info >= (3, 10) else '')"
    for version in ("3.13", "3.12", "3.11", "3.10", "3.14", "3.15"):
        found = answer([*(["py", "-" + version] if WINDOWS else ["python" + version]), "-c", code])
        if found:
            say(*["Python {here} -> {it}"] * 2, here=here, it=found)
            return hand_over([found, str(Path(__file__).resolve()), *words])
    en = "Python 3.10 or newer is needed; found {here}\n\nInstall one, for instance: `{how}`"
    zh = "需要 Python 3.10 或更新；现有 {here}\n\n请先安装，例如：`{how}`"
    fail(UNAVAILABLE, en, zh, here=here, how="apt-get install python3.11")


def main(words: "list[str]") -> int:
    """Do what the verb says; return the exit code of the program it ends in."""
    if sys.version_info < OLDEST_PYTHON:
        return with_newer_python(words)
    if not words or words[0] not in VERBS:
        say(*["usage: python3 bootstrap.py " + "|".join(VERBS) + " [...]"] * 2)
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

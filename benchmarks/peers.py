"""Who is compared: how each tool is installed, and how it is called at its best."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from origin import Origin

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".tools" / "bench"
CONNECTIONS = 16
OFFICIAL = "the official clients"
HUBDL = "hubdl"
NO_CHECK = "nothing"
_FROM_INDEX = {OFFICIAL: ("peers", ["huggingface_hub", "modelscope"]), HUBDL: (HUBDL, [HUBDL])}
_PACKAGES = {
    "aria2c": "aria2",
    "curl": "curl",
    "wget": "wget",
    "nginx": "nginx",
    "unshare": "util-linux",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
}


class Command(Protocol):
    """Builds the command line that brings all files of an origin into a folder."""

    def __call__(self, origin: Origin, folder: Path) -> list[str]:
        """Return the words."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to download.

    Attributes:
        name: As in the tables.
        command: How it is called.
        checks: What it verifies, for the tables.
        env: Its own variables.
        ours: Whether it is what is measured, and not a peer or a floor.
        keeps: Whether the bytes are on the disk afterwards.
        needs: The program it is, or what comes from the index; empty when it is surely there.
        peer: Whether the acceptance figures count it among the peers.
    """

    name: str
    command: Command
    checks: str
    env: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    peer: bool = True
    keeps: bool = True
    needs: str = ""


def environment(origin: Origin, home: Path) -> dict[str, str]:
    """Return the variables that every tool gets: an empty home, our hub, no proxies, no telemetry, no update checks."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "HF_ENDPOINT": origin.url,
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
        "MODELSCOPE_ENDPOINT": origin.url,
        "MODELSCOPE_CACHE": str(home / "modelscope"),
        "MODELSCOPE_DOWNLOAD_INTRA_CLOUD": "false",
    }


def ours(program: Path, hub: str, *options: str) -> Tool:
    """Return internlm-setup asking one hub."""

    def command(origin: Origin, folder: Path) -> list[str]:
        return [str(program), "fetch", origin.model.name, "--source", hub, "--to", str(folder), *options]

    name = " ".join(["internlm-setup", hub, *options])
    return Tool(name, command, "sha256 or git-sha1", ours=True, peer=False)


def usual(program: Path) -> list[Tool]:
    """Return ours from both hubs, and the official clients as they come."""
    return [ours(program, "huggingface"), ours(program, "modelscope"), huggingface(), modelscope(parallel=False)]


def huggingface() -> Tool:
    """Return `hf download` as it comes: 8 workers, one stream for each file."""

    def command(origin: Origin, folder: Path) -> list[str]:
        return [str(_peers_bin() / "hf"), "download", origin.model.name, "--local-dir", str(folder)]

    return Tool("hf (plain HTTP, no Xet)", command, NO_CHECK, needs=OFFICIAL)


def modelscope(*, parallel: bool) -> Tool:
    """Return `modelscope download` as it comes, or with its parallel parts switched on for files of 64 MB and more."""

    def command(origin: Origin, folder: Path) -> list[str]:
        return [str(_peers_bin() / "modelscope"), "download", origin.model.name, "--local-dir", str(folder)]

    if not parallel:
        return Tool("modelscope", command, "sha256", needs=OFFICIAL)
    parts = {"PARALLEL_WORKERS": "8", "PARALLEL_THRESHOLD_MB": "64", "PART_SIZE_MB": "64"}
    env = {f"MODELSCOPE_DOWNLOAD_{name}": value for name, value in parts.items()}
    return Tool("modelscope, 8 parallel parts", command, "sha256", env, needs=OFFICIAL)


def aria2c(*options: str) -> Tool:
    """Return `aria2c` on the one file's address at the CDN, with 16 connections; it writes no zeros beforehand.

    `-c` goes on where a killed run was, as far as its control file knows.
    """

    def command(origin: Origin, folder: Path) -> list[str]:
        (entry,) = origin.model.entries
        words = [f"-x{CONNECTIONS}", f"-s{CONNECTIONS}", "-k1M", "-c", "--file-allocation=none", "--no-conf", "-q"]
        words += [f"--checksum=sha-256={entry.sha256}", "-d", str(folder), "-o", entry.path]
        return ["aria2c", *words, *options, origin.file_url(entry.path)]

    return Tool(" ".join(["aria2c -x16 -s16 --checksum", *options]), command, "sha256", needs="aria2c")


def curl(*options: str) -> Tool:
    """Return plain `curl`: the floor of one connection, without any check."""

    def command(origin: Origin, folder: Path) -> list[str]:
        (entry,) = origin.model.entries
        words = ["curl", "-sS", "-q", "-f", "-o", str(folder / entry.path)]
        return [*words, *options, origin.file_url(entry.path)]

    return Tool(" ".join(["curl (floor)", *options]), command, NO_CHECK, peer=False, needs="curl")


def wget() -> Tool:
    """Return plain `wget`."""

    def command(origin: Origin, folder: Path) -> list[str]:
        (entry,) = origin.model.entries
        return ["wget", "-q", "--no-config", "-O", str(folder / entry.path), origin.file_url(entry.path)]

    return Tool("wget", command, NO_CHECK, needs="wget")


def discarding() -> Tool:
    """Return sockets that throw everything away: what the link gives at most."""

    def command(origin: Origin, folder: Path) -> list[str]:
        del folder
        (entry,) = origin.model.entries
        program = str(Path(__file__).with_name("discard.py"))
        return [sys.executable, program, str(CONNECTIONS), origin.file_url(entry.path), str(entry.size_bytes)]

    return Tool(f"{CONNECTIONS} sockets, discarding", command, NO_CHECK, peer=False, keeps=False)


def synced(tool: Tool) -> Tool:
    """Return a tool followed by `sync FILE`, so that its bytes survive a power cut as ours do."""

    def command(origin: Origin, folder: Path) -> list[str]:
        file = str(folder / origin.model.entries[0].path)
        return ["sh", "-c", 'file=$1; shift; "$@" && sync "$file"', "sh", file, *tool.command(origin, folder)]

    return replace(tool, name=f"{tool.name}, then sync", command=command)


def lacking(tool: Tool) -> str | None:
    """Say why a tool cannot be had, or None; what can be installed is installed first."""
    if tool.needs not in _FROM_INDEX:
        return absent(tool.needs) if tool.needs else None
    folder, packages = _FROM_INDEX[tool.needs]
    try:
        _environment(folder, "1", packages)
    except subprocess.CalledProcessError as error:
        return f"pip could not install {tool.needs} (exit code {error.returncode})"
    return None


def absent(*programs: str) -> str | None:
    """Say which programs are not there and cannot be installed, or None; as root, apt is asked for them."""
    missing = [name for name in programs if _find(name) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # installed, not started
        quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"]
        subprocess.run(["apt-get", "update", *quiet], env=env, check=False)
        wanted = sorted({_PACKAGES.get(name, name) for name in missing})
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *quiet, *wanted]
        subprocess.run(command, env=env, check=False, stdout=subprocess.DEVNULL)
        missing = [name for name in missing if _find(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def _find(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def install_ours() -> Path:
    """Install this checkout as a wheel, anew when a source changed; return the program."""
    return _checkout("ours") / "internlm-setup"


def install_libraries(names: tuple[str, ...]) -> Path:
    """Install this checkout with other HTTP libraries beside it; return the Python."""
    return _checkout("libraries", *names) / "python"


def _checkout(name: str, *beside: str) -> Path:
    digest = hashlib.sha256()
    sources = [path for folder in ("src", "configs") for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted([*sources, ROOT / "pyproject.toml"]):
        if "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    limits = ["-c", str(ROOT / "constraints.txt")]
    return _environment(name, digest.hexdigest(), [*limits, str(ROOT), *beside])


def _peers_bin() -> Path:
    return CACHE / "peers" / "bin"


def _environment(name: str, mark: str, wanted: list[str]) -> Path:
    """Make or keep an environment; its mark is written last, so that half a one is made anew."""
    folder, note = CACHE / name, CACHE / name / "made-from"
    if not note.exists() or note.read_text(encoding="utf-8") != mark:
        print(f"installing {' '.join(wanted)} into {folder}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        base = str(Path(sys.base_prefix, "bin", "python3"))
        subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
        pip = [base, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q", "--no-input"]
        subprocess.run([*pip, *wanted], check=True)
        note.write_text(mark, encoding="utf-8")
    return folder / "bin"


def versions(program: Path | None) -> str:
    """Name the version of every tool that is there."""
    asked = {
        "internlm-setup": [str(program or "internlm-setup"), "--version"],
        "hf": [str(_peers_bin() / "hf"), "version"],
        "modelscope": [str(_peers_bin() / "modelscope"), "--version"],
        "hubdl": [str(CACHE / HUBDL / "bin" / HUBDL), "--version"],
        "aria2c": ["aria2c", "--version"],
        "curl": ["curl", "--version"],
        "nginx": [_find("nginx") or "nginx", "-v"],
    }
    return named({name: version(command) for name, command in asked.items()})


def named(found: Mapping[str, str]) -> str:
    """Put names and versions into one line, without those that have none."""
    return ", ".join(f"{name} {number}" for name, number in found.items() if number)


def version(command: list[str]) -> str:
    """Return the first word of a program's answer that looks like a version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return ""
    words = (done.stdout + done.stderr).replace("/", " ").replace("_", " ").split()
    return next((word.strip(",") for word in words if word[:1].isdigit() and "." in word), "")

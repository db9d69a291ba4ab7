"""Olah, somebody else's mirror of Hugging Face, as a server and as a client of the playground.

Two ways (olah 0.5.4): offline from a local git repository, and as a caching proxy of another hub.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "0.5.4"
_ANYTHING = '[[accessibility.{rule}]]\nrepo = "*"\nallow = true\nuse_re = false\n'


def install(folder: Path) -> Path:
    """Make an environment with olah and return its program."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"olah=={VERSION}"]
    subprocess.run(pip, check=True, capture_output=True)
    return folder / "bin" / "olah-cli"


def make_git_repository(folder: Path, files: dict[str, bytes], large: set[str]) -> None:
    """Commit the files on `main`; `large` ones as LFS pointers, with their bytes where git-lfs keeps them."""
    folder.mkdir(parents=True)
    for path, content in files.items():
        written = content
        if path in large:
            digest = hashlib.sha256(content).hexdigest()
            kept = folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4]
            kept.mkdir(parents=True)
            (kept / digest).write_bytes(content)
            head = "version https://git-lfs.github.com/spec/v1"
            written = f"{head}\noid sha256:{digest}\nsize {len(content)}\n".encode()
        (folder / path).write_bytes(written)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


@contextmanager
def serve(program: Path, folder: Path, *, mirrors: Path | None = None, upstream: str | None = None) -> Iterator[str]:
    """Run olah until the block ends and yield its address: of local `mirrors`, or in front of `upstream`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = _config(folder, port, mirrors, upstream)
    command = [str(program), "-c", str(config)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as child:
        try:
            said = child.stdout
            if said is None or not any("Uvicorn running" in line for line in said):
                raise RuntimeError("olah did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            child.terminate()


def _config(folder: Path, port: int, mirrors: Path | None, upstream: str | None) -> Path:
    lines = [
        "[basic]",
        'host = "127.0.0.1"',
        f"port = {port}",
        f'repos-path = "{folder / "repos"}"',
        'cache-size-limit = ""',
        'cache-clean-strategy = "LRU"',
    ]
    if mirrors is not None:
        lines.append(f'mirrors-path = ["{mirrors}"]')
    if upstream is not None:
        netloc = upstream.removeprefix("http://")
        lines += ['hf-scheme = "http"', f'hf-netloc = "{netloc}"', f'hf-lfs-netloc = "{netloc}"']
    lines += ["[accessibility]", f"offline = {str(upstream is None).lower()}"]
    lines += [_ANYTHING.format(rule=rule) for rule in ("proxy", "cache")]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "olah.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path

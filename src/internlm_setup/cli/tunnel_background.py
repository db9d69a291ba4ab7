"""A tunnel in the background: the process that holds it, and the one that waits until it is up.

The holding process writes its events to a log, one line of JSON each. While the other one waits it reads them there,
and answers the questions among them through the standard input of the first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from internlm_setup.cli.asker import TerminalAsker
from internlm_setup.cli.errors import EndedInBackground
from internlm_setup.cli.session import Session
from internlm_setup.cli.tunnel_talk import lines_of
from internlm_setup.cli.tunnel_view import TunnelView, as_event
from internlm_setup.core.files import writing
from internlm_setup.core.ssh.ask import Asker, Login, NewHostKey, Prompt
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel import records, service
from internlm_setup.tunnel.held_errors import BackgroundDied
from internlm_setup.tunnel.leftovers import name_of_log

if TYPE_CHECKING:
    from internlm_setup.tunnel.service import Plan, World

Answer = TypeVar("Answer")
_LOOK_EVERY_S = 0.05
_GOODBYE_S = 3.0
_HELD = Text(
    en="process {pid} holds it in the background: `internlm-setup tunnel status`, `logs {port}` and `stop {port}`",
    zh="进程 {pid} 在后台保持它：`internlm-setup tunnel status`，以及 `logs {port}`、`stop {port}`",
)


def start(session: Session, plan: Plan, world: World) -> None:
    """Start the process that holds a tunnel, and wait until the tunnel is up.

    Raises:
        EndedInBackground: It came to an end instead; with its own words and exit code.
        HeldAlready: Another tunnel of ours holds a port.
        BackgroundDied: It ended without a word.
        CannotWrite: There is no place for its log.
    """
    ports = tuple(forward.bind.port for forward in plan.spec.forwards if forward.kind != "remote")
    log = records.folder(world.paths.state) / name_of_log(ports)
    service.refuse_second(plan, world)
    with _started(session, log) as child:
        _follow(session, child, log)
    session.output.result({"pid": child.pid, "log": log})
    session.output.talk(_HELD.fill(pid=child.pid, port=log.stem))


def serve(session: Session, plan: Plan, world: World) -> None:
    """Be the process in the background."""
    view = TunnelView(session.output, time.monotonic)

    def hear(event: ev.Event) -> None:
        if view.is_news(event):
            words = [line.of(session.language) for line in lines_of(event)]
            session.output.event({**as_event(event), "at": _now(), "words": words})
        if isinstance(event, ev.ServiceAnswers):
            from internlm_setup.cli.tunnel_hold import open_browser

            open_browser(event.url)

    tunnel = service.tunnel(plan, _Elsewhere(session), world, hear)
    service.hold(tunnel, plan, world, attended=False)


class _Elsewhere:
    """Asks through the log and hears through standard input; None once nobody is there."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def trust(self, key: NewHostKey) -> bool | None:
        return _as(bool, self._ask("trust", asdict(key)))

    def password(self, login: Login) -> str | None:
        return _as(str, self._ask("password", asdict(login)))

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        asked = {"login": asdict(login), "title": title, "prompts": [asdict(prompt) for prompt in prompts]}
        return _as(list, self._ask("answers", asked))

    def passphrase(self, path: Path) -> str | None:
        return _as(str, self._ask("passphrase", {"path": str(path)}))

    def forget(self, refused: Login | Path) -> bool:
        del refused
        return False

    def _ask(self, kind: str, about: dict[str, Any]) -> Any:
        self._session.output.event({"event": "asked", "kind": kind, "about": about})
        line = sys.stdin.readline()
        return json.loads(line) if line else None


def _as(kind: type[Answer], answer: Any) -> Answer | None:
    return answer if isinstance(answer, kind) else None


def _answer(asker: Asker, kind: str, about: dict[str, Any]) -> Any:
    match kind:
        case "trust":
            return asker.trust(NewHostKey(**about))
        case "password":
            return asker.password(Login(**about))
        case "answers":
            return asker.answers(
                Login(**about["login"]), about["title"], [Prompt(**prompt) for prompt in about["prompts"]]
            )
        case _:
            return asker.passphrase(Path(about["path"]))


@contextmanager
def _started(session: Session, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process; it is ended again when the block fails."""
    words = ["--background" if word == "--detach" else word for word in session.argv]
    command = [sys.executable, "-m", "internlm_setup", "--json=stream", "-q", *words, "--lang", session.language]
    if "--" in words or "ssh" in words or "hold" in words:  # what is behind these belongs to somebody else
        command = [*command[:5], "--lang", session.language, *words]
    if os.name == "nt":
        apart: dict[str, Any] = {"creationflags": getattr(subprocess, "DETACHED_PROCESS", 0) | 0x00000200}
    else:
        apart = {"start_new_session": True}
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
    with file:
        child = subprocess.Popen(  # noqa: S603  # ourselves
            command, env=dict(session.env), stdin=subprocess.PIPE, stdout=file, stderr=file, **apart
        )
    try:
        yield child
    except BaseException:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GOODBYE_S)
        child.kill()
        child.wait()
        raise
    finally:
        with suppress(OSError):
            _pipe(child).close()


def _follow(session: Session, child: subprocess.Popen[bytes], log: Path) -> None:
    """Say what it says, and answer what it asks, until its tunnel is up."""
    asker = TerminalAsker(session.output)
    for said in _said(child, log):
        if "schema" in said:
            raise _ending(said, log)
        if said.get("event") == "asked":
            given = _answer(asker, said["kind"], said["about"])
            _pipe(child).write(json.dumps(given).encode() + b"\n")
            _pipe(child).flush()
        elif said.get("event") != "begun":
            for line in said.get("words", ()):
                session.output.talk(line)
        if said.get("state") == "up":
            return
    raise BackgroundDied(str(log))


def _said(child: subprocess.Popen[bytes], log: Path) -> Iterator[dict[str, Any]]:
    """Yield what it writes as it comes, to its end."""
    line = b""
    with log.open("rb") as file:
        while True:
            ended = child.poll() is not None
            while more := file.readline():
                line += more
                if line.endswith(b"\n"):
                    said, line = _event(line), b""
                    if said is not None:
                        yield said
            if ended:
                return
            time.sleep(_LOOK_EVERY_S)


def logged(log: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a log; lines that are none are passed over."""
    for line in log.read_bytes().splitlines():
        said = _event(line)
        if said is not None:
            yield said


def _event(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        said = json.loads(line)
        if isinstance(said, dict):
            return said
    return None


def _ending(envelope: dict[str, Any], log: Path) -> EndedInBackground | BackgroundDied:
    error = next(iter(envelope.get("errors", ())), None)
    if error is None:
        return BackgroundDied(str(log))
    return EndedInBackground(error["message"], error["hint"] or "", error["code"], envelope["exit_code"])


def _pipe(child: subprocess.Popen[bytes]) -> IO[bytes]:
    if child.stdin is None:
        raise AssertionError("it was started with a pipe")
    return child.stdin


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")

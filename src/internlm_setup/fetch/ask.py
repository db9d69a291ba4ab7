"""Asking hubs what they have: one, or several at once with a short patience."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import SetupError, SeveralErrors
from internlm_setup.core.reach import Unreachable
from internlm_setup.core.retry import backoff_s
from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import HubBusy, HubUnreachable
from internlm_setup.fetch.model import Hub, Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.plan import check_listing

MOST_TRIES = 3
LONGEST_ASKED_WAIT_S = 30.0
PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask one hub. `instead` is the command to name when it cannot be reached."""

    hub: Hub
    repo: str
    revision: str
    instead: str


def ask(question: Question, tell: events.Listener, clock: Clock) -> Snapshot:
    """Ask one hub for a snapshot, again when it is busy or hangs up; one that cannot be reached is not asked again.

    Raises:
        SetupError: Whatever the hub says; HubUnreachable names host, cause and the next command; HostileListing.
    """
    hub = question.hub
    host = urlsplit(hub.endpoint).hostname or ""
    tell(events.Asking(hub.title, host))
    for attempt in range(1, MOST_TRIES + 1):
        try:
            snapshot = hub.snapshot(question.repo, question.revision)
        except Unreachable as error:
            if error.cause_id == "closed" and attempt < MOST_TRIES:
                wait_s = backoff_s(attempt)
                tell(events.Retrying(hub.title, error.cause, wait_s))
                clock.wait(wait_s, threading.Event())
                continue
            cause = Text(en="{c}{d}", zh="{c}{d}").fill(c=error.cause, d=error.detail)
            raise HubUnreachable(hub.title, error.host or host, cause, question.instead) from error
        except HubBusy as error:
            wait_s = error.wait_s or backoff_s(attempt)
            if attempt == MOST_TRIES or wait_s > LONGEST_ASKED_WAIT_S:
                raise
            reason = Text(en=f"the hub answered {error.status}", zh=f"平台应答 {error.status}")
            tell(events.Retrying(hub.title, reason, wait_s))
            clock.wait(wait_s, threading.Event())
        else:
            check_listing(hub.title, snapshot.files)
            return snapshot
    raise AssertionError("the last attempt returns or raises")


def ask_first(
    questions: Sequence[Question],
    tell: events.Listener,
    clock: Clock,
    patience_s: float = PATIENCE_S,
) -> tuple[Question, Snapshot]:
    """Ask several hubs at once and take the first in the given order that answers within `patience_s`.

    When none has answered by then, the first answer at all is taken.

    Raises:
        SetupError: The only hub's error, or `SeveralErrors` when every hub failed.
    """
    if len(questions) == 1:
        return questions[0], ask(questions[0], tell, clock)
    answers: queue.SimpleQueue[tuple[int, Snapshot | BaseException]] = queue.SimpleQueue()
    over = threading.Event()
    say = events.one_at_a_time(lambda event: None if over.is_set() else tell(event))

    def run(index: int) -> None:
        try:
            answers.put((index, ask(questions[index], say, clock)))
        except BaseException as error:  # noqa: BLE001  # raised again below
            answers.put((index, error))

    for index in range(len(questions)):
        threading.Thread(target=run, args=(index,), daemon=True).start()
    got: dict[int, Snapshot | BaseException] = {}
    deadline_s = time.monotonic() + patience_s
    while len(got) < len(questions):
        good = [i for i in sorted(got) if isinstance(got[i], Snapshot)]
        if good and (time.monotonic() >= deadline_s or all(i in got for i in range(good[0]))):
            break
        left_s = max(0.01, deadline_s - time.monotonic()) if good else None
        try:
            index, answer = answers.get(timeout=left_s)
        except queue.Empty:
            continue
        got[index] = answer
    over.set()  # whoever is late is not listened to
    return _first(questions, got)


def _first(questions: Sequence[Question], got: dict[int, Snapshot | BaseException]) -> tuple[Question, Snapshot]:
    failures: list[SetupError] = []
    for index in sorted(got):
        answer = got[index]
        if isinstance(answer, Snapshot):
            return questions[index], answer
        if isinstance(answer, SetupError):
            failures.append(answer)
    for answer in got.values():
        if isinstance(answer, BaseException) and not isinstance(answer, SetupError):
            raise answer
    raise SeveralErrors(failures)

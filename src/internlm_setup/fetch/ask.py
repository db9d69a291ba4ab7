"""Asking hubs what they have: one, or several at once with a short patience."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Attributes:
        question: What was asked.
        found: A listing, or why there is none; None when it was not waited for any longer.
        after_s: How long it took, or was waited for.
    """

    question: Question
    found: Snapshot | SetupError | None
    after_s: float


_Got = Mapping[int, tuple[Snapshot | BaseException, float]]


def ask_all(
    questions: Sequence[Question],
    tell: events.Listener,
    clock: Clock,
    doubted: Container[str] = (),
    patience_s: float = PATIENCE_S,
) -> list[Answer]:
    """Ask several hubs at once and wait `patience_s` for all of them; when none has a listing by then, for the first.

    Args:
        questions: One a hub.
        tell: Told who is asked, by one thread at a time.
        clock: The time between tries.
        doubted: Ids of hubs that are not waited for once all others have answered, one of them with a listing.
        patience_s: At least 0.

    Returns:
        An answer a question, in their order.
    """

    def only_doubted_are_missing(got: _Got) -> bool:
        return all(i in got or q.hub.id in doubted for i, q in enumerate(questions))

    began_s = time.monotonic()
    got = _gather(questions, tell, clock, patience_s, only_doubted_are_missing)
    waited_s = time.monotonic() - began_s
    answers = []
    for index, question in enumerate(questions):
        found, after_s = got.get(index, (None, waited_s))
        if isinstance(found, BaseException) and not isinstance(found, SetupError):
            raise found
        answers.append(Answer(question, found, after_s))
    return answers


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

    def nobody_better_is_missing(got: _Got) -> bool:
        return all(i in got for i in range(min(_good(got))))

    return _first(questions, _gather(questions, tell, clock, patience_s, nobody_better_is_missing))


def _gather(
    questions: Sequence[Question],
    tell: events.Listener,
    clock: Clock,
    patience_s: float,
    enough: Callable[[_Got], bool],
) -> _Got:
    """Ask in threads until all have answered; or one has a listing, and it is `enough` or patience is at its end."""
    answers: queue.SimpleQueue[tuple[int, Snapshot | BaseException]] = queue.SimpleQueue()
    over = threading.Event()
    say = events.one_at_a_time(lambda event: None if over.is_set() else tell(event))

    def run(index: int) -> None:
        try:
            answers.put((index, ask(questions[index], say, clock)))
        except BaseException as error:  # noqa: BLE001  # raised again, or told, by the asking thread
            answers.put((index, error))

    began_s = time.monotonic()
    for index in range(len(questions)):
        threading.Thread(target=run, args=(index,), daemon=True).start()
    got: dict[int, tuple[Snapshot | BaseException, float]] = {}
    while len(got) < len(questions):
        left_s = began_s + patience_s - time.monotonic()
        if _good(got) and (left_s <= 0 or enough(got)):
            break
        try:
            index, answer = answers.get(timeout=max(0.01, left_s) if _good(got) else None)
        except queue.Empty:
            continue
        got[index] = (answer, time.monotonic() - began_s)
    over.set()  # whoever is late is not listened to
    return got


def _good(got: _Got) -> list[int]:
    return [i for i, (answer, _) in got.items() if isinstance(answer, Snapshot)]


def _first(questions: Sequence[Question], got: _Got) -> tuple[Question, Snapshot]:
    failures: list[SetupError] = []
    for index in sorted(got):
        answer, _ = got[index]
        if isinstance(answer, Snapshot):
            return questions[index], answer
        if isinstance(answer, SetupError):
            failures.append(answer)
    for answer, _ in got.values():
        if isinstance(answer, BaseException) and not isinstance(answer, SetupError):
            raise answer
    raise SeveralErrors(failures)

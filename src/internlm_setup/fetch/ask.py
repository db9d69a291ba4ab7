"""Asking hubs what they have: one, or several at once with a short patience."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import SetupError
from internlm_setup.core.http import Network
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
    """What to ask one hub.

    Attributes:
        hub: Whom.
        repo: The repository there.
        revision: Branch, tag or commit.
        instead: The command to name when it cannot be reached.
        endpoint: Its address, where the hub is asked at several; else empty.
    """

    hub: Hub
    repo: str
    revision: str
    instead: str
    endpoint: str = ""


def check_ways(asked: Sequence[Question], network: Network) -> None:
    """Refuse a proxy that cannot be one before anybody is asked through it.

    Raises:
        BadProxy: The way to one of the hubs leads through it.
    """
    for question in asked:
        network.proxy_for(question.hub.endpoint)


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


def ask_all(
    questions: Sequence[Question],
    tell: events.Listener,
    clock: Clock,
    doubted: Container[str] = (),
    *,
    needed: bool = True,
    patience_s: float = PATIENCE_S,
) -> list[Answer]:
    """Ask several hubs at once, each in a thread, and wait `patience_s` for all of them.

    Args:
        questions: One a hub, or one an endpoint of a hub.
        tell: Told who is asked, by one thread at a time.
        clock: The time between tries.
        doubted: Endpoints that are not waited for once all others have answered, one of them with a listing.
        needed: Whether, when none has a listing by then, the first one is waited for.
        patience_s: At least 0.

    Returns:
        An answer a question, in their order.
    """
    arrivals: queue.SimpleQueue[tuple[int, Snapshot | BaseException]] = queue.SimpleQueue()
    over = threading.Event()
    say = events.one_at_a_time(lambda event: None if over.is_set() else tell(event))

    def run(index: int) -> None:
        try:
            arrivals.put((index, ask(questions[index], say, clock)))
        except BaseException as error:  # noqa: BLE001  # raised again, or told, by the asking thread
            arrivals.put((index, error))

    began_s = time.monotonic()
    for index in range(len(questions)):
        threading.Thread(target=run, args=(index,), daemon=True).start()
    answers = [Answer(question, None, 0.0) for question in questions]
    missing = set(range(len(questions)))
    while missing:
        enough = not needed or any(isinstance(answer.found, Snapshot) for answer in answers)
        left_s = began_s + patience_s - time.monotonic()
        if enough and (left_s <= 0 or all(questions[i].hub.endpoint in doubted for i in missing)):
            break
        try:
            index, found = arrivals.get(timeout=max(0.01, left_s) if enough else None)
        except queue.Empty:
            continue
        if not isinstance(found, Snapshot | SetupError):
            raise found
        answers[index] = Answer(questions[index], found, time.monotonic() - began_s)
        missing.remove(index)
    over.set()  # whoever is late is not listened to
    waited_s = time.monotonic() - began_s
    return [replace(answer, after_s=waited_s) if i in missing else answer for i, answer in enumerate(answers)]

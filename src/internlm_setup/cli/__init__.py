"""The command line: the only package that prints, asks or exits.

`main` chooses the language, lifts the options every command has, runs one command, and turns
whatever comes out into a message and an exit code. It is the one handler; no command catches errors
to print them.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from internlm_setup.cli.session import Session
    from internlm_setup.core.errors import SetupError

# What a shell says of a program that wrote to a closed pipe (128 + SIGPIPE): `internlm-setup … |
# head` is no failure of ours, and nobody is left to be told.
CLOSED_PIPE = 141
CTRL_C = 130
# Starting makes many objects and hardly any garbage: looking for it at every 700th, as Python does, takes a tenth of
# the time until the first request. At the exit it would look twice more, to free what the system takes back anyway.
GARBAGE_AFTER = 20_000
HARMLESS_THREADS = {"MainThread", "watchdog"}  # an exit may tear down what the others work with


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        argv: Without the program's name; None means the process's own.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments == ["--version"]:
        return _flushed(_print_version)
    gc.set_threshold(GARBAGE_AFTER)
    atexit.register(gc.freeze)
    from internlm_setup.cli.output import make_unbreakable

    make_unbreakable(sys.stdout, sys.stderr)
    session, rest = _prepare(arguments, os.environ)
    code = _flushed(lambda: _run(session, rest))
    if argv is None and {thread.name for thread in threading.enumerate()} - HARMLESS_THREADS:
        _leave(code)
    return code


def _prepare(arguments: list[str], env: Mapping[str, str]) -> tuple[Session, list[str]]:
    """Take the common options, choose the language, make the output."""
    from internlm_setup.cli.language import choose
    from internlm_setup.cli.options import lift
    from internlm_setup.cli.output import Output
    from internlm_setup.cli.session import Session
    from internlm_setup.core.paths import Paths, home_folder

    common, rest = lift(arguments)
    home = home_folder(env)
    paths = Paths.of(env, home)
    language, origin = choose(env, paths.config_file, common.lang, sys.stderr.encoding)
    output = Output(
        language=language,
        form=common.form,
        quiet=common.quiet,
        verbose=common.verbose,
        env=env,
    )
    session = Session(
        argv=tuple(arguments),
        env=env,
        home=home,
        paths=paths,
        language=language,
        language_origin=origin,
        common=common,
        output=output,
    )
    return session, rest


def _leave(code: int) -> NoReturn:
    """End this process while threads that were given up are still at work.

    They may be inside a C library (a name's resolver, TLS); an ordinary exit would tear it down under them and crash.
    """
    from internlm_setup.core import leaving

    leaving.leave()  # programs that they talk to end with us
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def version() -> str:
    """Return this installation's version; it is written in pyproject.toml alone."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("internlm-setup")
    except PackageNotFoundError:  # run from the source tree without an installation
        return "unknown"


def _print_version() -> int:
    sys.stdout.write(f"internlm-setup {version()}\n")
    return 0


def _run(session: Session, rest: list[str]) -> int:
    """Run one command; this is the one handler of everything that can come out of it."""
    from internlm_setup.cli.signals import Interrupted, raising
    from internlm_setup.core.errors import ExitCode, SetupError

    error: SetupError | None = None
    try:
        with raising():
            code = _dispatch(session, rest)
    except SetupError as failure:
        error, code = failure, _family(failure)
        if session.common.verbose:
            _recorded(session, failure)
    except Interrupted as stop:
        error, code = _stopped(session, stop.name), stop.exit_code
    except Exception as cause:  # noqa: BLE001 - the one place where a bug becomes exit 70
        if isinstance(cause, BrokenPipeError) and _stdout_is_closed(cause):
            return CLOSED_PIPE
        error, code = _bug(session, cause), ExitCode.BUG
    return _end(session, int(code), error)


def _dispatch(session: Session, rest: list[str]) -> int:
    """Answer what needs no command at once; run the others with the log open."""
    session.common.check()
    if rest == ["--version"]:
        session.output.result({"version": version()}, f"internlm-setup {version()}")
        return 0
    from internlm_setup.cli import app

    if app.COMPLETE_VARIABLE in session.env:
        app.complete()
    _offer_chinese(session)
    ours = rest[: rest.index("--")] if "--" in rest else rest
    if "--help" in ours:
        return app.run(rest, session)
    from internlm_setup.core.log import close_log, open_log

    handler = open_log(session.paths.log_file, verbose=session.common.verbose)
    try:
        return app.run(rest, session)
    finally:
        close_log(handler)


def _end(session: Session, code: int, error: SetupError | None) -> int:
    """Report the error, if any, to the person and to the program that asked for JSON."""
    from internlm_setup.cli import report
    from internlm_setup.core.text import without_password

    if error is not None:
        report.draw(error, session.output)
    errors = [] if error is None else report.listed(error, session.language)
    session.output.envelope([without_password(word) for word in session.argv], code, errors)
    return code


def _family(error: SetupError) -> int:
    from internlm_setup.core.errors import SeveralErrors

    return int(error.shared_exit_code if isinstance(error, SeveralErrors) else error.exit_code)


def _stopped(session: Session, name: str) -> SetupError:
    from internlm_setup.cli.errors import StoppedBySignal

    return StoppedBySignal(signal=name, command=_typed(session))


def _bug(session: Session, cause: Exception) -> SetupError:
    """Put the traceback into the log, or on stderr where no log can be written."""
    from internlm_setup.cli.errors import Bug
    from internlm_setup.core.log import mask, traceback_of

    where = str(session.paths.log_file)
    if not _recorded(session, cause):
        where = "stderr"
        session.output.complain(traceback_of(cause))
    return Bug(what=mask(f"{type(cause).__name__}: {cause}"), where=where)


def _recorded(session: Session, cause: Exception) -> bool:
    from internlm_setup.core.log import record_failure

    return record_failure(session.paths.log_file, f"`{_typed(session)}` failed", cause)


def _typed(session: Session) -> str:
    """Return the command line as a person can type it again, once more with the password of a proxy."""
    import shlex
    import subprocess

    from internlm_setup.core.text import without_password

    words = ["internlm-setup", *map(without_password, session.argv)]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def _offer_chinese(session: Session) -> None:
    from internlm_setup.cli.language import NO_LOCALE

    output = session.output
    if session.language_origin.kind == "default" and output.form == "human" and output.is_live():
        output.talk(output.paint("dim", NO_LOCALE))


def _stdout_is_closed(cause: BrokenPipeError) -> bool:
    """Tell whether it was stdout's reader that went away; if so, let nothing write there again."""
    from internlm_setup.cli.output import ReaderGoneError

    closed = isinstance(cause, ReaderGoneError)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        closed = True
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed


def _flushed(work: Callable[[], int]) -> int:
    """Do the work and push its output out: a reader that left is noticed here and not at exit."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError as cause:
        if _stdout_is_closed(cause):
            return CLOSED_PIPE
        raise
    except KeyboardInterrupt:  # before the command began, or after its end
        return CTRL_C
    return code

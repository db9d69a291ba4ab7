"""Somebody else's code: watched, silent, and gone when we are."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from internlm_setup.core.child import LOG, Failed, Stalled, call, finished

ALIVE = """
import os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_child
test_child.run(test_child.sleeping, Path({folder!r}))
"""


def writing(name: str, text: str) -> None:
    from pathlib import Path

    print("a stray word")  # noqa: T201
    Path(name).write_text(text, encoding="utf-8")


def failing(status: int) -> None:
    from types import SimpleNamespace

    refused = Exception("no entry")
    refused.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    raise OSError(28, "the pipe is full of hf_abcdefghijkl") from refused


def dying() -> None:
    import os

    os._exit(9)


def lingering() -> None:
    import threading
    import time

    threading.Thread(target=time.sleep, args=(600,)).start()


def sleeping() -> None:
    import os
    import time
    from pathlib import Path

    Path("number").write_text(str(os.getpid()))
    time.sleep(600)


def dripping() -> None:
    import time
    from pathlib import Path

    for _ in range(8):
        with Path("drops").open("a") as file:
            file.write("drop")
        time.sleep(0.3)


def importing() -> None:
    import this_lies_in_the_folder  # type: ignore[import-not-found]  # noqa: F401


def run(function: object, folder: Path, patience_s: float = 60.0, **given: object) -> list[int]:
    """Call a function in a folder; return what was told of its growth."""
    grown: list[int] = []
    env = dict(os.environ)
    call(function, given, python=sys.executable, env=env, folder=folder, grown=grown.append, patience_s=patience_s)  # type: ignore[arg-type]
    return grown


def test_it_runs_elsewhere_with_what_it_is_given(tmp_path: Path) -> None:
    run(writing, tmp_path, name="a.txt", text="模型")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "模型"


def test_what_it_prints_goes_to_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    LOG.addHandler(caplog.handler)  # whatever other tests did to the loggers above it
    try:
        with caplog.at_level(logging.INFO, logger=LOG.name):
            run(writing, tmp_path, name="a", text="")
    finally:
        LOG.removeHandler(caplog.handler)
    assert "a stray word" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_its_failure_comes_back_in_its_own_words_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(Failed) as caught:
        run(failing, tmp_path, status=403)
    assert (caught.value.status, caught.value.errno) == (403, 28)
    assert caught.value.words == "OSError: [Errno 28] the pipe is full of hf_***"


def test_its_death_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="exit 9"):
        run(dying, tmp_path)


def test_threads_that_it_leaves_behind_are_not_waited_for(tmp_path: Path) -> None:
    run(lingering, tmp_path)


def test_it_is_ended_when_nothing_moves(tmp_path: Path) -> None:
    with pytest.raises(Stalled):
        run(sleeping, tmp_path, patience_s=4.0)
    assert is_gone(int((tmp_path / "number").read_text()))


def test_it_may_take_longer_than_that_while_something_moves(tmp_path: Path) -> None:
    grown = run(dripping, tmp_path, patience_s=1.5)
    assert sum(grown) == 32


def test_the_folder_is_no_place_to_import_from(tmp_path: Path) -> None:
    """A model may bring a `requests.py`."""
    (tmp_path / "this_lies_in_the_folder.py").write_text("")
    with pytest.raises(Failed, match="ModuleNotFoundError"):
        run(importing, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="the signals are those of POSIX")
def test_it_ends_when_we_are_killed(tmp_path: Path) -> None:
    program = ALIVE.format(here=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", program], env={**os.environ}) as parent:
        while not (tmp_path / "number").exists() or not (tmp_path / "number").read_text():
            assert parent.poll() is None
            time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
    number = int((tmp_path / "number").read_text())
    give_up_s = time.monotonic() + 10
    while not is_gone(number) and time.monotonic() < give_up_s:
        time.sleep(0.05)
    assert is_gone(number)


def is_gone(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{number}/stat").exists() and Path(f"/proc/{number}/stat").read_text().split()[2] == "Z"


def test_a_program_that_takes_too_long_is_killed_and_counts_as_failed(tmp_path: Path) -> None:
    code, said = finished([sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), tmp_path, 0.5)
    assert (code, said) == (1, "no end after 0 s")


def test_the_last_line_of_a_program_is_known(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('one'); print('10%\\r20%\\rtwo'); raise SystemExit(3)"]
    assert finished(command, dict(os.environ), tmp_path) == (3, "two")

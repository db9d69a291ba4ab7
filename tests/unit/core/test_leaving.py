"""What is done at the end, however this process leaves."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from internlm_setup.core import leaving
def never(): print("never", flush=True)
leaving.register(lambda: print("first", flush=True))
leaving.register(never)
leaving.register(lambda: print("last", flush=True))
leaving.unregister(never)
leaving.unregister(never)
"""


@pytest.mark.parametrize("end", ["", "leaving.leave(); os._exit(0)"], ids=["ordinary", "at once"])
def test_once_and_the_last_first(end: str) -> None:
    """What was taken back is not done."""
    done = subprocess.run([sys.executable, "-c", PROGRAM + end], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["last", "first"]

"""What every test gets: a home of its own, no proxies, no tokens; and in the full run nothing may skip."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from servers import conda
from servers.conda import Conda

settings.register_profile("house", deadline=None)  # timings are never asserted
settings.load_profile("house")

FULL = os.environ.get("INTERNLM_SETUP_FULL") == "1"
_KEPT = {"PATH", "TMPDIR", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR", "INTERNLM_SETUP_FULL", "COVERAGE_FILE"}


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point HOME at an empty folder and drop every variable that could reach the tested code."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name not in _KEPT and not name.startswith(("PIP_", "UV_", "COVERAGE_", "PYTEST_", "PYTHON")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("LANG", "C.UTF-8")
    return home


@pytest.fixture(scope="session")
def real_conda(tmp_path_factory: pytest.TempPathFactory) -> Conda:
    """The real conda, installed once."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the channels of these tests are for linux-64")
    return conda.install(tmp_path_factory.mktemp("conda"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In the full run a skip is a failure: what it needs was to be installed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if FULL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in the full run: {report.longrepr}"

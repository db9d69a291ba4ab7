"""The files that make a system hold tunnels, read by that system's own programs where they are here."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from internlm_setup.tunnel.units import Unit, for_system, launchd, systemd, task

HOLD = ("/opt/my tools/100% $HOME/python", "-m", "internlm_setup", "tunnel", "hold")
ANALYZE = shutil.which("systemd-analyze")


def test_systemd() -> None:
    """One file serves every profile, and what needs a person is not tried again."""
    found = systemd(HOLD, ["lab", "home"])
    assert 'ExecStart="/opt/my tools/100%% $$HOME/python" -m internlm_setup tunnel hold %i\n' in found.text
    assert "RestartPreventExitStatus=2 66 77 78\n" in found.text
    assert "enable --now internlm-setup-tunnel@lab internlm-setup-tunnel@home" in found.install[1].en


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")
def test_systemd_reads_it(tmp_path: Path) -> None:
    """Its own program finds nothing wrong with it."""
    found = for_system("linux", Path(sys.executable), ["lab"])
    assert found is not None
    file = tmp_path / "internlm-setup-tunnel@lab.service"
    file.write_text(found.text)
    assert ANALYZE is not None
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    words = [ANALYZE, "--user", "verify", str(file)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert file.name not in done.stderr
    assert "Unknown" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_launchd() -> None:
    """It is a property list that runs the command, and again when it failed."""
    found = launchd(HOLD, "lab")
    agent = plistlib.loads(found.text.encode())
    assert agent["ProgramArguments"] == [*HOLD, "lab"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert found.file.endswith(f"{agent['Label']}.plist")


def test_task_scheduler() -> None:
    """It is XML without an encoding, whose words come apart again as they were."""
    found = task((r"C:\Program Files\a & b\python.exe", "-m", "internlm_setup", "tunnel", "hold"), "lab")
    assert "encoding" not in found.text
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    action = ET.fromstring(found.text).find(f"{space}Actions/{space}Exec")
    assert action is not None
    assert [each.text for each in action] == [
        r"C:\Program Files\a & b\python.exe",
        "-m internlm_setup tunnel hold lab",
    ]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_one_file_for_each_where_it_must_be(platform: str) -> None:
    """Only systemd takes several tunnels in one."""
    assert for_system(platform, Path("/python"), ["lab", "home"]) is None
    one = for_system(platform, Path("/python"), ["lab"])
    assert isinstance(one, Unit)
    assert "lab" in one.text

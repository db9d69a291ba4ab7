"""Files that make a system hold tunnels from the login on: for systemd, launchd and Windows' Task Scheduler. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from internlm_setup.core.errors import ExitCode
from internlm_setup.core.text import Text

_AGAIN_S = 15
_HOPELESS = (ExitCode.USAGE, ExitCode.NOT_FOUND, ExitCode.DENIED, ExitCode.CONFIG)  # these need a person
_FIRST = Text(
    en="hold it once by hand before, so that its host key is known: `internlm-setup tunnel {name}`",
    zh="请先手动保持一次，以便记录主机密钥：`internlm-setup tunnel {name}`",
)
_PUT = Text(en="put this into `{file}`, then run: `{command}`", zh="请把它写入 `{file}`，然后运行：`{command}`")
_LINGER = Text(
    en="from the start of the machine on, without a login: `loginctl enable-linger`",
    zh="如需开机即运行而无需登录：`loginctl enable-linger`",
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One file.

    Attributes:
        file: Where it belongs.
        text: What is in it.
        install: What to do, in order.
    """

    file: str
    text: str
    install: tuple[Text, ...]


def systemd(hold: Sequence[str], names: Sequence[str]) -> Unit:
    """Return the unit for Linux: one for every tunnel, which systemd calls a template.

    Args:
        hold: The command that holds a tunnel when a profile's name is put behind it.
        names: The profiles.
    """
    file = "~/.config/systemd/user/internlm-setup-tunnel@.service"
    units = " ".join(f"internlm-setup-tunnel@{name}" for name in names)
    command = f"systemctl --user daemon-reload && systemctl --user enable --now {units}"
    text = f"""[Unit]
Description=internlm-setup tunnel %i

[Service]
ExecStart={" ".join(map(_for_systemd, hold))} %i
Restart=on-failure
RestartSec={_AGAIN_S}
RestartPreventExitStatus={" ".join(str(int(code)) for code in _HOPELESS)}

[Install]
WantedBy=default.target
"""
    return Unit(file, text, (_FIRST.fill(name=names[0]), _PUT.fill(file=file, command=command), _LINGER))


def launchd(hold: Sequence[str], name: str) -> Unit:
    """Return the agent for macOS; see `systemd` for `hold`."""
    import plistlib

    label = f"internlm-setup.tunnel.{name}"
    file = f"~/Library/LaunchAgents/{label}.plist"
    agent = {
        "Label": label,
        "ProgramArguments": [*hold, name],
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": _AGAIN_S,
    }
    command = f"launchctl bootstrap gui/$(id -u) {file}"
    text = plistlib.dumps(agent, sort_keys=False).decode()
    return Unit(file, text, (_FIRST.fill(name=name), _PUT.fill(file=file, command=command)))


def task(hold: Sequence[str], name: str) -> Unit:
    """Return the task for Windows; see `systemd` for `hold`.

    It names no encoding, since PowerShell writes another one than the older shell.
    """
    import subprocess

    file = f"internlm-setup-tunnel-{name}.xml"
    command = f'schtasks /Create /TN "internlm-setup tunnel {name}" /XML {file}'
    program, *arguments = hold
    text = f"""<?xml version="1.0"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>
    <LogonTrigger/>
  </Triggers>
  <Settings>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions>
    <Exec>
      <Command>{escape(program)}</Command>
      <Arguments>{escape(subprocess.list2cmdline([*arguments, name]))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""
    return Unit(file, text, (_FIRST.fill(name=name), _PUT.fill(file=file, command=command)))


def for_system(platform: str, python: Path, names: Sequence[str]) -> Unit | None:
    """Return the file for a system, or None where it takes one for each tunnel and several were asked for.

    Args:
        platform: As `sys.platform` has it.
        python: The interpreter that this tool runs in.
        names: The profiles; at least one.
    """
    hold = (str(python), "-m", "internlm_setup", "tunnel", "hold")
    if platform not in {"darwin", "win32"}:
        return systemd(hold, names)
    if len(names) > 1:
        return None
    return launchd(hold, names[0]) if platform == "darwin" else task(hold, names[0])


def _for_systemd(word: str) -> str:
    """Write one word as systemd reads it: `%` and `$` mean something there, even in quotation marks."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(c in " '\"\\" for c in word) else plain

"""The `ssh` command that does the same, as far as `ssh` can."""

from __future__ import annotations

import shlex

from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.forwards import OPTIONS, written
from internlm_setup.tunnel.model import SessionSpec

_TRIED_ANYWAY = {"id_rsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"}


def equivalent(spec: SessionSpec) -> tuple[str, ...]:
    """Return the words of the command, the program's name first."""
    host = spec.host
    words = ["ssh", "-N"]
    if spec.compression == "on":
        words.append("-C")
    for forward in spec.forwards:
        words += [OPTIONS[forward.kind], written(forward)]
    for key in host.identity_files:
        if key.parent.name != ".ssh" or key.name not in _TRIED_ANYWAY:
            words += ["-i", str(key)]
    if host.jumps:
        words += ["-J", ",".join(_jump(each) for each in host.jumps)]
    elif host.proxy_command is not None:
        words += ["-o", f"ProxyCommand={host.proxy_command.replace('%', '%%')}"]
    if host.port != 22:
        words += ["-p", str(host.port)]
    return (*words, f"{host.user}@{host.host}" if host.user else host.host)


def shown(spec: SessionSpec) -> str:
    """Return the command as it is typed into a shell."""
    return shlex.join(equivalent(spec))


def _jump(host: HostSpec) -> str:
    name = f"[{host.host}]" if ":" in host.host else host.host
    port = f":{host.port}" if host.port != 22 else ""
    return f"{host.user}@{name}{port}" if host.user else f"{name}{port}"

"""Networks that lead nowhere: a command in a namespace of its own, without DNS or with every packet dropped.

The namespaces end with the command; nothing of the machine's own network is touched.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_ENTER = """
set -e
folder=$1 dark=$2; shift 2
for name in resolv.conf nsswitch.conf hosts; do
    if [ -e "/etc/$name" ]; then mount --bind "$folder/$name" "/etc/$name"; fi
done
ip link set lo up
if [ "$dark" = yes ]; then
    ip addr add 192.0.2.1/32 dev lo
    ip route add default dev lo src 192.0.2.1
fi
exec "$@"
"""
_SERVE = """
log=$1 count=$2; shift 2
command=; i=0
while [ $i -lt "$count" ]; do command="$command '$1'"; shift; i=$((i + 1)); done
eval "exec $command" 2>"$log" </dev/null & server=$!
until grep -qi "listening on" "$log" 2>/dev/null; do sleep 0.02; done
"$@"; code=$?
kill $server
exit $code
"""
_UNSHARE = ["--map-root-user", "--net", "--mount"]


def missing() -> str | None:
    """Say what a namespace lacks on this machine, or None when it can be had."""
    absent = [name for name in ("unshare", "ip", "mount") if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    tried = subprocess.run(["unshare", *_UNSHARE, "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "namespaces are not allowed here"


def without_network(folder: Path) -> list[str]:
    """Return a prefix for a command that has this machine's loopback alone, and so no DNS."""
    return _prefix(folder, "no", {})


def with_server(folder: Path, name: str, server: list[str], log: Path) -> list[str]:
    """Return a prefix for a command in whose world a name leads to a server on loopback; only root can have it.

    Args:
        folder: For files of the namespace.
        name: What leads to 127.0.0.1 there.
        server: The server's command; it is ended with the command.
        log: Where it says `listening on`, on its standard error.
    """
    inside = ["sh", "-c", _SERVE, "serve", str(log), str(len(server)), *server]
    return [word for word in _prefix(folder, "no", {name: "127.0.0.1"}) if word != "--map-root-user"] + inside


def with_packets_dropped(folder: Path, known: dict[str, str] | None = None) -> list[str]:
    """Return a prefix for a command whose packets vanish without an answer; `known` maps names to addresses.

    A route through the loopback device to an address that is not there: the kernel drops what comes out.
    """
    return _prefix(folder, "yes", known or {})


def _prefix(folder: Path, dark: str, known: dict[str, str]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    hosts = "".join(f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **known}.items())
    (folder / "resolv.conf").write_text("nameserver 192.0.2.53\n", encoding="ascii")
    (folder / "nsswitch.conf").write_text("hosts: files dns\n", encoding="ascii")
    (folder / "hosts").write_text(hosts, encoding="ascii")
    return ["unshare", *_UNSHARE, "sh", "-c", _ENTER, "namespace", str(folder), dark]

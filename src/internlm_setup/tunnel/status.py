"""How a tunnel stands, for people and programs that look from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from internlm_setup.core.text import Text
from internlm_setup.tunnel.model import State

STATES: dict[State, Text] = {
    "connecting": Text(en="connecting", zh="正在连接"),
    "auth": Text(en="logging in", zh="正在登录"),
    "up": Text(en="connected", zh="已连接"),
    "degraded": Text(en="no answer, connecting anew beside it", zh="没有应答，正在另建连接"),
    "reconnecting": Text(en="reconnecting", zh="正在重连"),
    "failed": Text(en="failed", zh="已失败"),
    "stopped": Text(en="stopped", zh="已停止"),
}
_MISSING = Text(en="nothing listens on {ports} there", zh="服务器上没有程序监听 {ports}")
_OTHERS = Text(en="{ports} does", zh="{ports} 上有")
_SEVERAL = Text(en="{ports} do", zh="{ports} 上有")
_LISTENING = Text(en="something listens on {ports} there", zh="服务器上已有程序监听 {ports}")
_MOST = 6


@dataclass(frozen=True, slots=True)
class Status:
    """One tunnel at one moment.

    Attributes:
        pid: The process that holds it.
        since_s: When it began, in seconds since 1970.
        server: `user@host`, and the port.
        state: Of the connection.
        ports: Held here, the first is what people call it by.
        forwards: Each in OpenSSH's words, with its option.
        rtt_s: How long the last sign of life took; null before the first.
        received_bytes: Through it so far.
        sent_bytes: Likewise.
        open_connections: Now.
        opened_connections: So far.
        reconnects: So far.
        listening: Ports on the server that a forward leads to and something listens on.
        missing: Those that nothing listens on; both are empty where that cannot be told.
        others: Other services there.
    """

    pid: int
    since_s: float
    server: str
    state: State
    ports: tuple[int, ...] = ()
    forwards: tuple[str, ...] = ()
    rtt_s: float | None = None
    received_bytes: int = 0
    sent_bytes: int = 0
    open_connections: int = 0
    opened_connections: int = 0
    reconnects: int = 0
    listening: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    others: tuple[int, ...] = ()

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Status:
        """Read what a tunnel, perhaps of another version, said.

        Raises:
            KeyError: It is no status.
            TypeError: Likewise.
        """
        known: dict[str, Any] = {f.name: said[f.name] for f in fields(cls) if f.name in said}
        return cls(**{name: _frozen(value) for name, value in known.items()})


def service_words(listening: tuple[int, ...], missing: tuple[int, ...], others: tuple[int, ...]) -> Text | None:
    """Say what is known of the services: `nothing listens on 6006 there; 7860 does`."""
    if not missing:
        return _LISTENING.fill(ports=_joined(listening)) if listening else None
    first = _MISSING.fill(ports=_joined(missing))
    there = tuple(sorted({*listening, *others}))
    if not there:
        return first
    second = (_OTHERS if len(there) == 1 else _SEVERAL).fill(ports=_joined(there))
    return Text(en=f"{first.en}; {second.en}", zh=f"{first.zh}；{second.zh}")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _joined(ports: tuple[int, ...]) -> str:
    return ", ".join(map(str, ports[:_MOST])) + (", …" if len(ports) > _MOST else "")

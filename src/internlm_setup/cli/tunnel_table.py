"""The table of tunnels: on a terminal drawn in place until Ctrl-C, elsewhere once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from internlm_setup.core.text import Language, Text, human_size
from internlm_setup.tunnel.status import STATES, Status, service_words

COLUMNS = (
    Text(en="PORT", zh="端口"),
    Text(en="SERVER", zh="服务器"),
    Text(en="STATE", zh="状态"),
    Text(en="ANSWERS IN", zh="应答时间"),
    Text(en="DOWN", zh="下行"),
    Text(en="UP", zh="上行"),
    Text(en="CONNECTIONS", zh="连接"),
    Text(en="RECONNECTS", zh="重连"),
    Text(en="SERVICE", zh="服务"),
)
_RATE = "{total} ({rate}/s)"


class Rates:
    """Bytes per second of each tunnel, from one look to the next."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, int, int]] = {}

    def of(self, status: Status) -> tuple[float, float]:
        """Return the bytes per second received and sent since the last look; zeros at the first."""
        now = (time.monotonic(), status.received_bytes, status.sent_bytes)
        then = self._before.get(status.pid, now)
        self._before[status.pid] = now
        passed_s = now[0] - then[0]
        return ((now[1] - then[1]) / passed_s, (now[2] - then[2]) / passed_s) if passed_s > 0 else (0.0, 0.0)


def row_of(status: Status, rates: Rates, language: Language) -> Sequence[str]:
    """Return the cells of one tunnel."""
    down, up = rates.of(status)
    service = service_words(status.listening, status.missing, status.others)
    return (
        ", ".join(map(str, status.ports)) or "-",
        status.server,
        STATES[status.state].of(language),
        f"{status.rtt_s * 1000:.0f} ms" if status.rtt_s is not None else "-",
        _amount(status.received_bytes, down),
        _amount(status.sent_bytes, up),
        f"{status.open_connections} / {status.opened_connections}",
        str(status.reconnects),
        service.of(language) if service is not None else "-",
    )


def _amount(total_bytes: int, rate: float) -> str:
    total = human_size(total_bytes)
    return _RATE.format(total=total, rate=human_size(rate)) if rate >= 1 else total

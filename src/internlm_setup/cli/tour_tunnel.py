"""The tour's step through `ssh-key` and `tunnel`: a key, a held port, and a page before, during and after a cut."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress

from internlm_setup.cli.walk import Walk
from internlm_setup.core.text import Text

_PAGE_PORT = 6006
_OUTAGE_S = 0.6
_PATIENCE_S = 30.0
_TITLE = Text(
    en="SSH: a key, and a dev machine's page at this machine's own port, held through a cut",
    zh="SSH：生成密钥，把开发机的网页保持在本机端口上，断线也不中断",
)
_BEFORE = Text(
    en="the page is at http://127.0.0.1:{port}: {size} bytes", zh="网页在 http://127.0.0.1:{port}：{size} 字节"
)
_CUT = Text(
    en="the dev machine hangs up and is away for a moment; meanwhile somebody opens the page …",
    zh="开发机断开连接，暂时无法访问；此时有人打开网页……",
)
_DURING = Text(en="… waits {wait_s:.1f} s, and has it: nothing failed", zh="……等待 {wait_s:.1f} 秒后正常显示，没有失败")
_AFTER = Text(en="and from then on it is there at once", zh="此后又能立即访问")


def key_and_tunnel(walk: Walk) -> None:
    """Make a key, hold the page's port, break the connection, and end it."""
    walk.title(_TITLE)
    walk.command("ssh-key")
    machine, port = walk.place.machine, _free_port()
    forward = () if port == _PAGE_PORT else ("-L", f"{port}:127.0.0.1:{_PAGE_PORT}")
    walk.command("tunnel", "--port", str(machine.port), *forward, "--detach")
    page = _page(port)
    walk.expect("the page came through the tunnel", b"<title>playground" in page, str(page))
    walk.say(_BEFORE.fill(port=port, size=len(page)))

    walk.say(_CUT)
    machine.away = True
    machine.cut()
    began_s, answers = time.monotonic(), queue.SimpleQueue[bytes]()
    threading.Thread(target=lambda: answers.put(_page(port)), daemon=True).start()
    time.sleep(_OUTAGE_S)
    walk.expect("it waits while the machine is away", answers.empty(), "it was answered")
    machine.away = False
    during = answers.get(timeout=2 * _PATIENCE_S)
    walk.expect("the page was had during the cut", during == page, str(during))
    walk.say(_DURING.fill(wait_s=time.monotonic() - began_s))
    after = _page(port)
    walk.expect("the page was had after the cut", after == page, str(after))
    walk.say(_AFTER)
    walk.command("tunnel", "logs")
    walk.command("tunnel", "stop")


def _page(port: int) -> bytes:
    """Return the page at a port here; empty where there is none."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()


def _free_port() -> int:
    """Return the page's own port, or another one where that is taken here."""
    for port in (_PAGE_PORT, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as free:
            return int(free.getsockname()[1])
    return _PAGE_PORT

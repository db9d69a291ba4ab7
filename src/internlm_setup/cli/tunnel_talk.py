"""What a tunnel's events are in words, one line each; the same for the foreground and for `logs`."""

from __future__ import annotations

from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.model import State
from internlm_setup.tunnel.status import service_words

SAME = Text(en="the same with ssh: `{command}`", zh="等价的 ssh 命令：`{command}`")
_STATES: dict[State, Text] = {
    "connecting": Text(en="connecting", zh="正在连接"),
    "up": Text(en="connected", zh="已连接"),
    "degraded": Text(en="no answer yet; connecting anew beside it", zh="尚无应答；正在另建连接"),
    "reconnecting": Text(
        en="the connection is lost; connecting again, and new connections wait meanwhile",
        zh="连接已断开；正在重连，新的连接会等待",
    ),
    "stopped": Text(en="stopped", zh="已停止"),
}
_AGAIN = Text(en="connected again", zh="已重新连接")
_RETRY = Text(en="{reason}; trying again", zh="{reason}；将重试")
_RETRY_IN = Text(en="{reason}; trying again in {wait_s:.0f} s", zh="{reason}；{wait_s:.0f} 秒后重试")
_ANSWERS = Text(en="the service answers: {url}", zh="服务已可访问：{url}")
_REFUSED = Text(en="a connection came to nothing: {reason}", zh="一个连接未能建立：{reason}")
_REFUSED_SO = Text(en="{said}; {advice}", zh="{said}；{advice}")
_FOLLOWED = Text(
    en="something listens on {port} there now: http://127.0.0.1:{local_port} leads to it",
    zh="服务器上 {port} 开始有程序监听：可通过 http://127.0.0.1:{local_port} 访问",
)
_LEFT = Text(
    en="nothing listens on {port} there any more; port {local_port} here is closed",
    zh="服务器上 {port} 已无程序监听；本机端口 {local_port} 已关闭",
)


def lines_of(event: ev.Event, before: State | None = None) -> list[Text]:
    """Return what to say of an event; nothing for some.

    Args:
        event: What happened.
        before: The last state that was told; a first connection and a later one differ.
    """
    match event:
        case ev.Begun(forwards=forwards, command=command):
            return [*forwards, SAME.fill(command=command)]
        case ev.StateChanged(state, count):
            again = state == "up" and (count or before == "degraded")
            return [_AGAIN if again else _STATES[state]] if state in _STATES else []
        case ev.ServiceSeen(listening, missing, others):
            said = service_words(listening, missing, others)
            return [said] if said is not None else []
        case ev.Noted(text):
            return [text]
        case _:
            return [_line_of(event)]


def _line_of(event: ev.Retrying | ev.ServiceAnswers | ev.ConnectionRefused | ev.PortFollowed | ev.PortLeft) -> Text:
    match event:
        case ev.Retrying(reason, wait_s):
            return (_RETRY_IN if wait_s >= 1 else _RETRY).fill(reason=reason, wait_s=wait_s)
        case ev.ServiceAnswers(url):
            return _ANSWERS.fill(url=url)
        case ev.ConnectionRefused(reason=reason, advice=advice):
            said = _REFUSED.fill(reason=reason)
            return said if advice is None else _REFUSED_SO.fill(said=said, advice=advice)
        case ev.PortFollowed(port, local_port):
            return _FOLLOWED.fill(port=port, local_port=local_port)
        case ev.PortLeft(port, local_port):
            return _LEFT.fill(port=port, local_port=local_port)

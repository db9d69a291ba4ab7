"""What goes wrong on the way to a server, in words: one class a trouble.

`UnavailableError` may pass by itself and is worth another try; the others need a person.
"""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError, DeniedError, ProtocolError, UnavailableError
from internlm_setup.core.text import Text

_CONSOLE = Text(
    en="is the dev machine running, and is {port} its port? Its console shows both; then run the same command again",
    zh="开发机是否在运行？端口是否为 {port}？请在控制台核对，然后重新运行同一条命令",
)

_NETWORK = Text(
    en="is this machine's network up, and the VPN if one leads to {host}? Then run the same command again",
    zh="本机的网络是否连通？如需 VPN 才能访问 {host}，是否已连接？然后重新运行同一条命令",
)


@dataclass(eq=False)
class HostUnknown(UnavailableError):
    """A server's name cannot be resolved. `cause` says whether DNS said no or said nothing."""

    code = "tunnel.host-unknown"
    text = Text(en="cannot reach {host}: {cause}", zh="无法连接 {host}：{cause}")
    hint = Text(
        en="check the name's spelling and the network: `ssh {host}` would fail in the same way",
        zh="请检查主机名拼写与网络：`ssh {host}` 也会同样失败",
    )
    host: str
    cause: Text


@dataclass(eq=False)
class HostUnreachable(UnavailableError):
    """A server did not take the connection: refused, no answer in time, no route, or closed at once."""

    code = "tunnel.host-unreachable"
    text = Text(en="cannot reach {host} port {port}: {cause}", zh="无法连接 {host} 端口 {port}：{cause}")
    hint = _CONSOLE
    host: str
    port: int
    cause_id: str
    cause: Text

    def __post_init__(self) -> None:
        if self.cause_id == "no-route":  # nothing on the other side can be at fault
            self.hint = _NETWORK  # type: ignore[misc]  # of this one


@dataclass(eq=False)
class ServerSilent(UnavailableError):
    """A server took the connection and then did not go on within `patience_s` seconds."""

    code = "tunnel.server-silent"
    text = Text(
        en="{host} port {port} took the connection and then said nothing for {patience_s:.0f} s",
        zh="{host} 端口 {port} 接受了连接，但 {patience_s:.0f} 秒内没有任何应答",
    )
    hint = _CONSOLE
    host: str
    port: int
    patience_s: float


@dataclass(eq=False)
class ConnectionLost(UnavailableError):
    """A connection ended while it was made. `words` is what the server said, in brackets, or nothing."""

    code = "tunnel.connection-lost"
    text = Text(en="{host} port {port} closed the connection{words}", zh="{host} 端口 {port} 关闭了连接{words}")
    hint = _CONSOLE
    host: str
    port: int
    words: str = ""


@dataclass(eq=False)
class NotSsh(ProtocolError):
    """Something answered that is no SSH server."""

    code = "tunnel.not-ssh"
    text = Text(
        en="{host} port {port} is no SSH server; it said: {words}",
        zh="{host} 端口 {port} 不是 SSH 服务；它的应答是：{words}",
    )
    hint = _CONSOLE
    host: str
    port: int
    words: str


@dataclass(eq=False)
class NoCommonAlgorithm(ProtocolError):
    """We and the server have no algorithm of one kind in common; both lists are named."""

    code = "tunnel.no-common-algorithm"
    text = Text(
        en="no common {kind} with {host}: it offers {theirs}; known here are {ours}",
        zh="与 {host} 没有共同的{kind}：对方提供 {theirs}；本工具支持 {ours}",
    )
    hint = Text(
        en="`ssh -v -p {port} {host}` may know an older one; the server's administrator can allow a newer one",
        zh="`ssh -v -p {port} {host}` 或许支持更旧的算法；也可请服务器管理员启用更新的算法",
    )
    host: str
    port: int
    kind: Text
    theirs: str
    ours: str


@dataclass(eq=False)
class HandshakeFailed(ProtocolError):
    """Server and client could not agree on keys, for a reason that only a specialist can read."""

    code = "tunnel.handshake-failed"
    text = Text(en="the SSH handshake with {host} failed: {words}", zh="与 {host} 的 SSH 握手失败：{words}")
    hint = Text(en="`ssh -v -p {port} {host}` shows more", zh="用 `ssh -v -p {port} {host}` 查看详情")
    host: str
    port: int
    words: str


@dataclass(eq=False)
class HostKeyNew(DeniedError):
    """A server was never seen before, and nobody said that its key is the right one."""

    code = "tunnel.host-key-new"
    text = Text(
        en="{host} port {port} is not known yet; its {key_type} key is {fingerprint}",
        zh="尚未见过 {host} 端口 {port}；其 {key_type} 密钥指纹为 {fingerprint}",
    )
    hint = Text(
        en="if you expect a new machine there, run the same command with `--accept-new`",
        zh="如果那里确实是一台新机器，请在同一条命令后加上 `--accept-new`",
    )
    host: str
    port: int
    key_type: str
    fingerprint: str


@dataclass(eq=False)
class HostKeyChanged(DeniedError):
    """A server shows another key than the one on record. Nothing was sent to it. `forget` drops the record."""

    code = "tunnel.host-key-changed"
    text = Text(
        en="{host} port {port} shows another key than before ({key_type} {fingerprint}); nothing was sent."
        " A dev machine that was recreated, or another one on its port, does this; so does somebody in between."
        " The old key is in `{file}` line {line}",
        zh="{host} 端口 {port} 的密钥与之前不同（{key_type} {fingerprint}），未发送任何内容。"
        "开发机重建或端口分配给另一台机器时会这样；有人冒充它时也会这样。旧密钥在 `{file}` 第 {line} 行",
    )
    hint = Text(
        en="if you recreated the machine, forget its old key, then run the same command again: `{forget}`",
        zh="如果是你重建了开发机，请先删除旧密钥，再重新运行同一条命令：`{forget}`",
    )
    host: str
    port: int
    key_type: str
    fingerprint: str
    file: str
    line: int
    forget: str


@dataclass(eq=False)
class HostKeyRevoked(DeniedError):
    """A server shows a key that was marked as revoked. Nothing was sent to it."""

    code = "tunnel.host-key-revoked"
    text = Text(
        en="{host} port {port} shows a key that `{file}` line {line} revokes ({fingerprint}); nothing was sent",
        zh="{host} 端口 {port} 出示的密钥已在 `{file}` 第 {line} 行标为吊销（{fingerprint}），未发送任何内容",
    )
    hint = Text(
        en="do not connect; ask whoever runs the server, and who wrote that line",
        zh="请不要连接；请询问服务器管理员以及写下该行的人",
    )
    host: str
    port: int
    fingerprint: str
    file: str
    line: int


@dataclass(eq=False)
class HostCertificateRefused(DeniedError):
    """A server is known by its certificate only, and that does not hold. Nothing was sent to it."""

    code = "tunnel.host-certificate-refused"
    text = Text(
        en="{host} port {port} shows a certificate that does not hold: {reason}; nothing was sent",
        zh="{host} 端口 {port} 出示的证书无效：{reason}；未发送任何内容",
    )
    hint = Text(
        en="whoever runs the server renews it; the line with `@cert-authority` in `known_hosts` says who may sign it",
        zh="请服务器管理员更新证书；`known_hosts` 中的 `@cert-authority` 行决定谁可以签发",
    )
    host: str
    port: int
    reason: Text


@dataclass(eq=False)
class ProxyCommandFailed(UnavailableError):
    """The program that was to make the connection ended before there was one.

    `host` is what the configuration calls the server; `words` is the last it said.
    """

    code = "tunnel.proxy-command-failed"
    text = Text(
        en="the ProxyCommand for {host} ended with exit code {status}: {words}",
        zh="{host} 的 ProxyCommand 以退出码 {status} 结束：{words}",
    )
    hint = Text(
        en="it stands in `~/.ssh/config`; `ssh -G {host}` shows it: run it by hand",
        zh="它写在 `~/.ssh/config` 中；用 `ssh -G {host}` 查看，并手动运行试试",
    )
    host: str
    status: int
    words: str


@dataclass(eq=False)
class JumpRefused(DeniedError):
    """A jump host lets us in and does not forward connections."""

    code = "tunnel.jump-refused"
    text = Text(
        en="the jump host {jump} does not allow connections to {host} port {port}",
        zh="跳板机 {jump} 不允许连接到 {host} 端口 {port}",
    )
    hint = Text(
        en="its administrator can allow it (AllowTcpForwarding, PermitOpen); or go another way with `--jump`",
        zh="请管理员放行（AllowTcpForwarding、PermitOpen），或用 `--jump` 换一条路径",
    )
    jump: str
    host: str
    port: int


@dataclass(eq=False)
class BadJump(ConfigError):
    """A jump is not `user@host:port`."""

    code = "tunnel.bad-jump"
    text = Text(en="`{jump}` is no jump host", zh="`{jump}` 不是有效的跳板机")
    hint = Text(en="write it as `user@host:port`", zh="请写成 `user@host:port`")
    jump: str


@dataclass(eq=False)
class BadHost(ConfigError):
    """A server or an account there has a name that a shell would read as something else: commands may be made of it."""

    code = "tunnel.bad-host"
    text = Text(en="`{words}` cannot be the name of a server or an account", zh="`{words}` 不能作为服务器名或账户名")
    hint = Text(
        en="names hold no blanks, quotes, brackets and `$;&|`, and begin with no dash;"
        " give another one a plain name in `~/.ssh/config`, with `HostName` and `User`",
        zh="名称不能含空格、引号、括号和 `$;&|`，也不能以连字符开头；其他名称请在 `~/.ssh/config` 中用"
        " `HostName` 和 `User` 起一个普通的别名",
    )
    words: str


@dataclass(eq=False)
class ConfigTooOpen(ConfigError):
    """Others may write to `~/.ssh/config` or what it includes, and so have us run commands of theirs."""

    code = "tunnel.ssh-config-too-open"
    text = Text(
        en="others can change `{path}` (it is another's, or its mode lets them), so `ssh` refuses it, and so do we",
        zh="其他用户可以修改 `{path}`（属主或权限不当），`ssh` 会拒绝使用，本工具也拒绝",
    )
    hint = Text(en="take their right away: `chmod go-w {path}`", zh="请收回权限：`chmod go-w {path}`")
    path: str


@dataclass(eq=False)
class JumpsInCircles(ConfigError):
    """The configuration sends a jump host through itself."""

    code = "tunnel.jumps-in-circles"
    text = Text(
        en="the ProxyJump of {host} leads in circles, or through more than 8 hosts",
        zh="{host} 的 ProxyJump 循环引用，或经过的主机超过 8 台",
    )
    hint = Text(en="look at it with `ssh -G {host}`", zh="请用 `ssh -G {host}` 查看")
    host: str

"""What goes wrong with a tunnel, in words: one class a trouble."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import (
    ConfigError,
    DeniedError,
    ExitCode,
    NotFoundError,
    SetupError,
    UnavailableError,
    WriteError,
)
from internlm_setup.core.text import Text


@dataclass(eq=False)
class BadForward(SetupError):
    """What was typed is no forward. `option` is `-L`, `-R` or `-D`; `example` is one that is right."""

    option: str
    words: str
    reason: Text
    example: str

    exit_code = ExitCode.USAGE
    code = "tunnel.bad-forward"
    text = Text(en="`{option} {words}` is no forward: {reason}", zh="`{option} {words}` 不是有效的转发：{reason}")
    hint = Text(en="write it like `{option} {example}`", zh="请写成类似 `{option} {example}` 的形式")


@dataclass(eq=False)
class BadPasted(SetupError):
    """What was pasted is no command line of `ssh` that can be a tunnel."""

    words: str
    reason: Text

    exit_code = ExitCode.USAGE
    code = "tunnel.bad-pasted"
    text = Text(en="cannot read `{words}`: {reason}", zh="无法理解 `{words}`：{reason}")
    hint = Text(
        en="paste the console's whole line, as in `internlm-setup tunnel ssh -p 33090 root@ssh.intern-ai.org.cn`",
        zh="请粘贴控制台给出的整行命令，例如 `internlm-setup tunnel ssh -p 33090 root@ssh.intern-ai.org.cn`",
    )


@dataclass(eq=False)
class BadProfile(ConfigError):
    """A file of profiles cannot be read. `where` is a line or a field inside it."""

    path: str
    where: str
    reason: Text

    code = "tunnel.bad-profile"
    text = Text(en="`{path}`, {where}: {reason}", zh="`{path}`，{where}：{reason}")
    hint = Text(
        en="correct `{path}` or move it away; `internlm-setup tunnel list` then reads it again",
        zh="请修正 `{path}` 或将其移走，再用 `internlm-setup tunnel list` 重新读取",
    )


@dataclass(eq=False)
class UnknownProfile(NotFoundError):
    """No profile has this name. `known` are those that there are."""

    name: str
    known: str

    code = "tunnel.unknown-profile"
    text = Text(
        en="`{name}` is no command of `tunnel`, and no profile either; profiles: {known}",
        zh="`{name}` 既不是 `tunnel` 的命令，也不是配置；已有的配置：{known}",
    )
    hint = Text(
        en="`internlm-setup tunnel --help` shows the commands, `internlm-setup tunnel list` the profiles",
        zh="用 `internlm-setup tunnel --help` 查看命令，用 `internlm-setup tunnel list` 查看配置",
    )


@dataclass(eq=False)
class PortBusy(WriteError):
    """Another program listens where we should.

    `holder` is who, in brackets, or nothing where that cannot be seen; `other` is the same forward on another port.
    """

    host: str
    port: int
    holder: Text
    other: str = "-L 16006:127.0.0.1:6006"

    code = "tunnel.port-busy"
    text = Text(
        en="port {port} of {host} is taken by another program{holder}",
        zh="{host} 的端口 {port} 已被其他程序占用{holder}",
    )
    hint = Text(
        en="`internlm-setup tunnel status` shows our own tunnels; to use another port here: `{other}`",
        zh="用 `internlm-setup tunnel status` 查看本工具的隧道；如需换用本机其他端口：`{other}`",
    )


@dataclass(eq=False)
class CannotListen(WriteError):
    """The system does not let us listen there."""

    host: str
    port: int
    reason: str

    code = "tunnel.cannot-listen"
    text = Text(en="cannot listen on {host} port {port}: {reason}", zh="无法监听 {host} 端口 {port}：{reason}")
    hint = Text(
        en="ports under 1024 are the administrator's, and an address must be one of this machine: "
        "try `-L 16006:127.0.0.1:6006`",
        zh="1024 以下的端口需要管理员权限，地址必须属于本机：请尝试 `-L 16006:127.0.0.1:6006`",
    )


class ChannelRefused(Exception):
    """The server opened no stream to a destination; the classes below say why."""

    words: str


@dataclass(eq=False)
class ForwardingProhibited(ChannelRefused, DeniedError):
    """The server lets us in and does not forward."""

    host: str
    port: int
    words: str

    code = "tunnel.forwarding-prohibited"
    text = Text(
        en="the server does not allow forwards to {host} port {port}: {words}",
        zh="服务器不允许转发到 {host} 端口 {port}：{words}",
    )
    hint = Text(
        en="its administrator can allow it (AllowTcpForwarding and PermitOpen of sshd)",
        zh="可请管理员放行（sshd 的 AllowTcpForwarding 与 PermitOpen）",
    )


@dataclass(eq=False)
class NothingListens(ChannelRefused, UnavailableError):
    """The server could not connect to the destination."""

    host: str
    port: int
    words: str

    code = "tunnel.nothing-listens"
    text = Text(
        en="the server cannot connect to {host} port {port}: {words}",
        zh="服务器无法连接 {host} 端口 {port}：{words}",
    )
    hint = Text(
        en="start the service there first; the tunnel itself is up, and takes the next connection",
        zh="请先在那边启动服务；隧道本身正常，会接受下一个连接",
    )


@dataclass(eq=False)
class NothingHere(UnavailableError):
    """A connection came from the server, and nothing takes it on this side."""

    host: str
    port: int
    cause: Text

    code = "tunnel.nothing-here"
    text = Text(
        en="this machine cannot connect to {host} port {port}: {cause}",
        zh="本机无法连接 {host} 端口 {port}：{cause}",
    )
    hint = Text(
        en="start the service here first; the tunnel itself is up, and takes the next connection",
        zh="请先在本机启动服务；隧道本身正常，会接受下一个连接",
    )


@dataclass(eq=False)
class DestinationSilent(ChannelRefused, UnavailableError):
    """The server did not say in time whether it reached the destination."""

    host: str
    port: int
    patience_s: float
    words: str = "time-out"

    code = "tunnel.destination-silent"
    text = Text(
        en="the server did not reach {host} port {port} within {patience_s:.0f} s",
        zh="服务器在 {patience_s:.0f} 秒内未能连接 {host} 端口 {port}",
    )
    hint = Text(
        en="a firewall that drops packets does this; look from there: `ssh HOST curl -v {host}:{port}`",
        zh="丢弃数据包的防火墙会造成这种情况；请在那边检查：`ssh HOST curl -v {host}:{port}`",
    )


@dataclass(eq=False)
class NoMoreStreams(ChannelRefused, UnavailableError):
    """The server has no room for another stream, or does not know this kind."""

    host: str
    port: int
    words: str

    code = "tunnel.no-more-streams"
    text = Text(
        en="the server opens no stream to {host} port {port}: {words}",
        zh="服务器不再打开到 {host} 端口 {port} 的数据流：{words}",
    )
    hint = Text(
        en="close programs that hold many connections through the tunnel, then try again",
        zh="请关闭通过隧道占用大量连接的程序，然后重试",
    )


@dataclass(eq=False)
class CannotListenThere(DeniedError):
    """The server does not listen where it was asked to: forbidden, or its port is taken."""

    host: str
    port: int

    code = "tunnel.cannot-listen-there"
    text = Text(
        en="the server does not listen on its {host} port {port}: its port is taken, or it does not allow it",
        zh="服务器无法在其 {host} 端口 {port} 监听：端口已被占用，或不被允许",
    )
    hint = Text(
        en="try another port there, such as `-R 16006:127.0.0.1:6006`; `-R 0:127.0.0.1:6006` lets the server choose; "
        "AllowTcpForwarding and GatewayPorts of its sshd decide what is allowed",
        zh="请换用服务器的其他端口，例如 `-R 16006:127.0.0.1:6006`；`-R 0:127.0.0.1:6006` 由服务器选择；"
        "是否允许取决于其 sshd 的 AllowTcpForwarding 与 GatewayPorts",
    )


NOT_THERE = Text(en="there is no `ssh` here", zh="这里没有 `ssh`")
NO_CONTROL = Text(en="that of Windows cannot share a connection", zh="Windows 的 `ssh` 无法共享连接")


@dataclass(eq=False)
class NoOpenSsh(NotFoundError):
    """Only the system's `ssh` could connect, and it is missing or cannot share a connection."""

    host: str
    reason: Text

    code = "tunnel.no-openssh"
    text = Text(
        en="only the system's `ssh` could log in to {host}, and {reason}",
        zh="只有系统的 `ssh` 能登录 {host}，但{reason}",
    )
    hint = Text(
        en="install OpenSSH's client; or let an agent hold the key, which needs none: `ssh-add`",
        zh="请安装 OpenSSH 客户端；或把密钥交给 ssh-agent，这样就不需要它：`ssh-add`",
    )


@dataclass(eq=False)
class OpenSshFailed(UnavailableError):
    """The system's `ssh` did not connect, for a reason that is in its own words only."""

    host: str
    words: str

    code = "tunnel.openssh-failed"
    text = Text(en="`ssh` does not reach {host}: {words}", zh="`ssh` 无法连接 {host}：{words}")
    hint = Text(en="`ssh -v {host}` shows more", zh="用 `ssh -v {host}` 查看详情")

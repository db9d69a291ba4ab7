"""What goes wrong with holding a tunnel: before it, beside others, and in the background."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import DeniedError, ExitCode, NotFoundError, SetupError, UnavailableError, WriteError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class PortMissing(SetupError):
    """A profile's server has a port of its own for everybody, and none was given."""

    host: str

    exit_code = ExitCode.USAGE
    code = "tunnel.port-missing"
    text = Text(
        en="`--port` is missing: at {host} every dev machine has a port of its own",
        zh="缺少 `--port`：{host} 上每台开发机都有自己的端口",
    )
    hint = Text(
        en="in the InternStudio console, `SSH connection` (`SSH 连接`) beside the dev machine shows its command; "
        "its port is the number behind `-p`: `internlm-setup tunnel --port 33090`",
        zh="在 InternStudio 控制台中，开发机旁的“SSH 连接”会显示连接命令，"
        "端口就是 `-p` 后面的数字：`internlm-setup tunnel --port 33090`",
    )


@dataclass(eq=False)
class HeldAlready(WriteError):
    """A local port is held by another tunnel of ours. `other` is the same forward on another port."""

    address: str
    port: int
    pid: int
    server: str
    other: str

    code = "tunnel.held-already"
    text = Text(
        en="port {port} on {address} is held by a tunnel already: process {pid}, to {server}",
        zh="{address} 的端口 {port} 已有隧道在使用：进程 {pid}，连接到 {server}",
    )
    hint = Text(
        en="`internlm-setup tunnel status` shows it, `internlm-setup tunnel stop` ends it; "
        "for one beside it, on another port: `{other}`",
        zh="用 `internlm-setup tunnel status` 查看，用 `internlm-setup tunnel stop` 结束；"
        "要用其他端口同时再开一条：`{other}`",
    )


@dataclass(eq=False)
class NoKeyYet(DeniedError):
    """There is nothing to log in with: no key, no agent, and nobody to ask for a password."""

    user: str
    host: str
    folder: str

    code = "tunnel.no-key-yet"
    text = Text(
        en="nothing to log in to {user}@{host} with: no key in `{folder}`, no agent, "
        "and no terminal to ask for a password",
        zh="无法登录 {user}@{host}：`{folder}` 中没有密钥，没有 ssh-agent，也没有终端可询问密码",
    )
    hint = Text(
        en="make a key and paste it where it says, then run the same command again: `internlm-setup ssh-key`",
        zh="请生成密钥并按提示粘贴，然后重新运行同一条命令：`internlm-setup ssh-key`",
    )


@dataclass(eq=False)
class NoTunnel(NotFoundError):
    """No tunnel of ours holds a port, or none at all."""

    which: Text

    code = "tunnel.none"
    text = Text(en="no tunnel is held{which}", zh="没有{which}隧道")
    hint = Text(
        en="`internlm-setup tunnel --port 33090 --detach` holds one in the background",
        zh="用 `internlm-setup tunnel --port 33090 --detach` 在后台保持一条隧道",
    )


@dataclass(eq=False)
class SeveralTunnels(SetupError):
    """More than one tunnel is held, and it was not said which is meant."""

    ports: str

    exit_code = ExitCode.USAGE
    code = "tunnel.several"
    text = Text(en="several tunnels are held, on the ports {ports}", zh="有多条隧道，端口为 {ports}")
    hint = Text(
        en="name one by its port, for example `internlm-setup tunnel stop 6006`",
        zh="请用端口指明，例如 `internlm-setup tunnel stop 6006`",
    )


@dataclass(eq=False)
class DoesNotStop(UnavailableError):
    """A tunnel was asked to stop and goes on."""

    pid: int

    code = "tunnel.does-not-stop"
    text = Text(en="the tunnel of process {pid} does not answer", zh="进程 {pid} 的隧道没有应答")
    hint = Text(en="end the process: `kill {pid}`", zh="请结束该进程：`kill {pid}`")


@dataclass(eq=False)
class BackgroundDied(UnavailableError):
    """The process in the background ended before the tunnel was up, without a word."""

    log: str

    code = "tunnel.background-died"
    text = Text(
        en="the tunnel in the background ended before it was up; its log is `{log}`",
        zh="后台隧道在连接成功之前就结束了；日志在 `{log}`",
    )
    hint = Text(
        en="run the same command without `--detach` to see why", zh="请去掉 `--detach` 重新运行同一条命令以查看原因"
    )

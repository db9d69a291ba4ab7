"""`tour`: the whole tool on this machine alone, driven as a person would, in a throw-away HOME."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.place import opened, run
from internlm_setup.cli.session import Session
from internlm_setup.cli.tour_tunnel import key_and_tunnel
from internlm_setup.cli.walk import Walk
from internlm_setup.core.child import running
from internlm_setup.core.text import Text, human_size

MODEL = "internlm-chat-7b"
SLOW_BYTES_PER_S = 8 << 20
PATIENCE_S = 60.0
TUNA = "https://mirrors.tuna.tsinghua.edu.cn/anaconda"
# What the tutorial has people paste. The last two lines should be indented: as they are, conda ignores them.
TAUGHT = f"""\
channels:
- defaults
show_channel_urls: true
default_channels:
- {TUNA}/pkgs/main
- {TUNA}/pkgs/r
- {TUNA}/pkgs/msys2
custom_channels:
conda-forge: {TUNA}/cloud
pytorch: {TUNA}/cloud
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    says = Text(
        en="See everything work on this machine alone, in under a minute\n\n"
        "Repairs a conda configuration that the tutorial broke, holds a tunnel through a cut, fetches a small "
        "stand-in model from stand-in hubs, kills a download and resumes it, corrupts a byte and finds it. Needs no "
        "internet and leaves nothing behind.",
        zh="一分钟内在本机上看完整个工具的演示\n\n"
        "修复教程中写错的 conda 配置，让隧道挺过一次断线，从替身平台下载一个小型替身模型，中途强行终止再继续，"
        "改坏一个字节再把它找出来。不需要互联网，不留下任何痕迹。",
    )
    add_command(app, tour, says=says, examples=["internlm-setup tour", "internlm-setup tour --lang zh"])


def tour(ctx: typer.Context) -> None:
    """Walk through every step; exit 1 when one does not end as it should."""
    session = Session.of(ctx)
    with tempfile.TemporaryDirectory(prefix="internlm-tour-") as folder, opened(session.env, session.language) as place:
        walk = Walk(session, place, Path(folder).resolve())
        walk.say(_HELLO)
        steps = (_mirrors, key_and_tunnel, _names, _hubs, _again, _killed, _corrupted)
        for number, step in enumerate(steps, 1):
            walk.number = number
            step(walk)
    session.output.result({"steps": walk.done, "problems": walk.problems})
    if walk.problems:
        walk.say(_BAD)
        raise typer.Exit(1)
    walk.say(_GOODBYE)


def _mirrors(walk: Walk) -> None:
    walk.title(Text(en="Mirrors: the .condarc that the tutorial teaches, found broken, repaired, and put back",
                    zh="镜像：教程所教的 .condarc，查出错误、修复、再原样恢复"))  # fmt: skip
    condarc = walk.place.home / ".condarc"
    condarc.write_text(TAUGHT, encoding="utf-8", newline="\n")
    walk.command("mirrors", "doctor", "--offline", expect=1)
    walk.command("mirrors", "doctor", "--fix", "--offline", expect=None)  # files of the system may be wrong too
    repaired = TAUGHT.replace("\nconda-forge", "\n  conda-forge").replace("\npytorch", "\n  pytorch")
    walk.expect("the two lines are indented", condarc.read_text(encoding="utf-8") == repaired, "they are not")
    if shutil.which("conda", path=walk.place.env["PATH"]):
        line = ["conda", "config", "--show", "custom_channels"]
        walk.show(" ".join(line))
        said = _said(line, walk)
        walk.say(said.rstrip())
        walk.expect("conda takes conda-forge from the mirror", f"conda-forge: {TUNA}/cloud" in said, said)
    walk.command("mirrors", "undo")
    walk.expect("the undo gave back every byte", condarc.read_text(encoding="utf-8") == TAUGHT, "it did not")
    condarc.unlink()


def _said(line: list[str], walk: Walk) -> str:
    """Return what a program prints in the playground."""
    program = shutil.which(line[0], path=walk.place.env["PATH"]) or line[0]
    with running([program, *line[1:]], walk.place.env, walk.folder) as child:
        return str(child.communicate()[0], "utf-8", "replace")


def _names(walk: Walk) -> None:
    walk.title(Text(en="Names: the catalogue knows the models, and how each hub spells them",
                    zh="名称：目录认识这些模型，以及各平台的写法"))  # fmt: skip
    walk.command("models", "show", MODEL)


def _hubs(walk: Walk) -> None:
    walk.title(Text(en="One command, three hubs; every file verified, and what is here already not fetched again",
                    zh="一条命令，三个平台；每个文件都校验，本机已有的不再下载"))  # fmt: skip
    for hub in ("modelscope", "huggingface", "openxlab"):
        walk.command("fetch", MODEL, "--source", hub, "--to", f"from-{hub}")
    same = {(walk.folder / f"from-{hub}" / "tokenizer.model").read_bytes() for hub in ("modelscope", "openxlab")}
    walk.expect("the hubs gave the same bytes", len(same) == 1, "they differ")


def _again(walk: Walk) -> None:
    walk.title(Text(en="Again: nothing to do", zh="再来一次：无事可做"))
    walk.command("fetch", MODEL, "--source", "modelscope", "--to", "from-modelscope")


def _killed(walk: Walk) -> None:
    walk.title(Text(en="From two hubs at once, killed half way; then the same command again",
                    zh="同时从两个平台下载，中途强行终止；再运行同一条命令"))  # fmt: skip
    walk.show("rm -r from-*")  # else all of it would be found here
    for folder in walk.folder.glob("from-*"):
        shutil.rmtree(folder)
    server = walk.place.server
    before = server.log.sent_bytes
    server.faults.throttle(total_bytes_per_s=SLOW_BYTES_PER_S)
    words = ("fetch", MODEL, "--to", "killed")
    walk.show("internlm-setup " + " ".join(words))
    child = subprocess.Popen(walk.line(*words), env=dict(walk.place.env), cwd=walk.folder, stdout=walk.stdout)  # noqa: S603
    try:
        server.log.wait_for_bytes(before + (12 << 20), timeout_s=PATIENCE_S)
    finally:
        child.kill()
        child.wait()
    _show_cursor(walk)
    server.faults.throttle()
    whole = sorted(p.name for p in (walk.folder / "killed").glob("*.bin"))
    walk.say(_KILLED.fill(whole=len(whole)))
    walk.command(*words)
    sent = server.log.sent_bytes - before
    size = sum(p.stat().st_size for p in (walk.folder / "killed").iterdir() if p.is_file())
    walk.say(_RESUMED.fill(sent=human_size(sent), size=human_size(size)))
    walk.expect("the second run went on where the first was", sent < size * 1.4, f"{sent} bytes for {size}")


def _corrupted(walk: Walk) -> None:
    walk.title(Text(en="One corrupted byte, found and repaired", zh="一个坏字节：找出并修复"))
    weights = walk.folder / "killed" / "pytorch_model-00003-of-00008.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    walk.command("verify", "killed", expect=1)
    walk.command("verify", "killed", "--repair")
    walk.command("verify", "killed")
    if shutil.which("sha256sum"):
        line = ["sha256sum", "-c", "--quiet", ".internlm-setup/SHA256SUMS"]
        walk.show("cd killed; " + " ".join(line))
        code = run(line, walk.place.env, cwd=walk.folder / "killed", stdout=walk.stdout)
        walk.expect("sha256sum agrees", code == 0, f"exit {code}")


def _show_cursor(walk: Walk) -> None:
    """A killed progress display could not give the cursor back."""
    if walk.session.output.is_live():
        sys.stderr.write("\x1b[?25h\n")
        sys.stderr.flush()


_HELLO = Text(
    en="This tour needs no internet: hubs, model and dev machine are small stand-ins here, HOME is a throw-away.",
    zh="本演示不需要互联网：平台、模型和开发机都是本机上的小型替身，HOME 是临时的。",
)
_KILLED = Text(
    en="killed. {whole} weight files are complete and verified; the rest waits in killed/.internlm-setup/, "
    "nothing half-done bears a final name",
    zh="已强行终止。{whole} 个权重文件完整且已校验；其余留在 killed/.internlm-setup/ 中，没有半成品使用正式文件名",
)
_RESUMED = Text(
    en="the server sent {sent} in both runs together, for {size} of files",
    zh="两次运行服务器共发送 {sent}，文件共 {size}",
)
_GOODBYE = Text(
    en="\nThat was all; nothing is left behind. The real thing:\n"
    "  internlm-setup fetch internlm-chat-7b --source modelscope",
    zh="\n演示结束，没有留下任何文件。真正的下载：\n  internlm-setup fetch internlm-chat-7b --source modelscope",
)
_BAD = Text(en="\nSomething did not go as it should; see above.", zh="\n有步骤没有按预期进行，见上文。")

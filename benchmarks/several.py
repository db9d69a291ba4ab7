"""Who is compared where there are several hubs: tools that take from all of them, and those that take from one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import peers
from origin import Origin
from peers import CONNECTIONS, Tool

HUBS = ("huggingface", "modelscope")


def ours(
    program: Path, origins: Sequence[Origin], *options: str, order: Sequence[str] = HUBS, trace: Path | None = None
) -> Tool:
    """Return internlm-setup asking both hubs: the first origin as Hugging Face, the second as ModelScope."""
    plain = peers.ours(program, ",".join(order), *options)
    traced = ["--trace", str(trace)] if trace is not None and can(program, "--trace") else []

    def command(origin: Origin, folder: Path) -> list[str]:
        return [*plain.command(origin, folder), *traced]

    return replace(plain, command=command, env=endpoints(*origins))


def endpoints(huggingface: Origin, modelscope: Origin) -> dict[str, str]:
    """Return the variables that tell the hubs' addresses."""
    return {"HF_ENDPOINT": huggingface.url, "MODELSCOPE_ENDPOINT": modelscope.url}


def at(tool: Tool, hub: Origin) -> Tool:
    """Return a tool that asks this hub, whichever one it is told of."""

    def command(origin: Origin, folder: Path) -> list[str]:
        del origin
        return tool.command(hub, folder)

    return replace(tool, command=command, env={**tool.env, **endpoints(hub, hub)})


@cache
def can(program: Path, option: str) -> bool:
    """Tell whether the program that is measured has an option of `fetch`."""
    said = subprocess.run([str(program), "fetch", "--help"], capture_output=True, text=True, check=False)
    return option in said.stdout


def aria2c(origins: Sequence[Origin], connections: int = CONNECTIONS, options: Sequence[str] = ()) -> Tool:
    """Return `aria2c` given the file's address at every hub by hand, and its checksum."""

    def command(origin: Origin, folder: Path) -> list[str]:
        (entry,) = origin.model.entries
        alone = peers.aria2c(f"-s{connections}", *options).command(origin, folder)  # the last -s counts
        return [*alone[:-1], *(one.file_url(entry.path) for one in origins)]

    name = " ".join([f"aria2c -s{connections} --checksum", *options])
    return Tool(f"{name}, {len(origins)} addresses", command, "sha256", needs="aria2c")


def discarding(origins: Sequence[Origin], rates: Sequence[int]) -> Tool:
    """Return sockets that throw everything away, and take from each hub its share by its link's rate."""

    def command(origin: Origin, folder: Path) -> list[str]:
        del folder
        (entry,) = origin.model.entries
        words = [sys.executable, str(Path(__file__).with_name("discard.py")), str(CONNECTIONS)]
        for one, rate in zip(origins, rates, strict=True):
            words += [one.file_url(entry.path), str(entry.size_bytes * rate // sum(rates))]
        return words

    return Tool(f"{CONNECTIONS} sockets, discarding", command, peers.NO_CHECK, peer=False, keeps=False)


def hubdl() -> Tool:
    """Return `hubdl`, which has aria2c fetch with 16 connections, from the first hub in ModelScope's tongue.

    That is where it verifies: of Hugging Face it leaves the hashes alone unless asked.
    """

    def command(origin: Origin, folder: Path) -> list[str]:
        program = str(peers.CACHE / peers.HUBDL / "bin" / peers.HUBDL)
        words = ["--local-dir", str(folder), "--endpoint", origin.url, "--allow-http", "--progress", "none"]
        return [program, "ms", origin.model.name, *words, "-x", str(CONNECTIONS)]

    return Tool(f"hubdl, aria2c -x{CONNECTIONS}", command, "sha256", needs=peers.HUBDL)


def single() -> list[Tool]:
    """Return the tools that take from one hub, each at its best."""
    return [peers.modelscope(parallel=True), peers.aria2c(), hubdl(), peers.huggingface()]

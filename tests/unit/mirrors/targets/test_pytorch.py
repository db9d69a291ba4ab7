"""PyTorch: which build fits what `nvidia-smi` says, and the command for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Machine, Serving, Site, Wish
from internlm_setup.mirrors.targets.pytorch import BUILDS, TARGET, build, newest_cuda

# Two lines of what the program printed: the first on an H100 in November 2026, the second as drivers from 610 on do.
H100 = "| NVIDIA-SMI 580.159.04             Driver Version: 580.159.04     CUDA Version: 13.0     |\n"
NEWER = "| NVIDIA-SMI 610.57.04              KMD Version: 610.57.04     CUDA UMD Version: 13.3     |\n"
OLDER = "| NVIDIA-SMI 470.82.01    Driver Version: 470.82.01    CUDA Version: 11.4     |\n"


def wish(style: str = "index", *builds: str) -> Wish:
    """Return a site with these builds."""
    serving = Serving("https://mirror.test/whl", "full", "", paths={name: name for name in builds}, style=style)
    return Wish(Site("mirror", Text(en="Mirror", zh="镜像"), "2026-09-01", {"pytorch": serving}))


def machine(folder: Path, banner: str, capabilities: str = "9.0", *more: str) -> Machine:
    """Return a machine whose `nvidia-smi` says this."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nif [ $# -gt 0 ]; then {capabilities}; else cat <<'END'\n{banner}END\nfi\n")
    program.chmod(0o755)
    programs = {"nvidia-smi": program, **{name: Path(f"/usr/bin/{name}") for name in more}}
    return Machine("linux", {"PATH": "/usr/bin:/bin"}, PurePosixPath("/home/me"), False, programs)


@pytest.mark.parametrize(
    ("smi", "capabilities", "expected"),
    [
        (H100, "9.0\n", (13, 0)),
        (NEWER, "12.0\n9.0\n", (13, 3)),
        (OLDER, "", (11, 4)),
        (H100, "7.0\n9.0\n", (12, 6)),
        (OLDER, "6.1\n", (11, 4)),
        (H100, 'Field "compute_cap" is not a valid field to query.\n', (13, 0)),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", "", None),
        ("CUDA Version: N/A", "", None),
    ],
)
def test_newest_cuda(smi: str, capabilities: str, expected: tuple[int, int] | None) -> None:
    """What the driver runs, unless a GPU is too old for newer builds."""
    assert newest_cuda(smi, capabilities) == expected


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [((13, 3), "cu130"), ((12, 9), "cu128"), ((12, 6), "cu126"), ((12, 0), "cu118"), ((11, 4), "cpu"), (None, "cpu")],
)
def test_build(cuda: tuple[int, int] | None, expected: str) -> None:
    """The newest one that is not newer than the driver."""
    assert build(cuda, BUILDS) == expected


def test_other_folders_of_a_site_are_no_builds() -> None:
    """Not ROCm's, not the nightly ones."""
    assert build((13, 0), ["cpu", "rocm6.4", "cu118_pypi_cudnn", "xpu", "cu121"]) == "cu121"


def test_index(tmp_path: Path) -> None:
    """The program is asked, and the command is whole."""
    advice = [text.en for text in TARGET.advice(wish(), machine(tmp_path, H100, "echo 9.0"))]
    assert advice == [
        "the driver and the GPU run programs up to CUDA 13.0; the newest build for them is cu130",
        "install it: `pip install torch torchvision --index-url https://mirror.test/whl/cu130`",
    ]


def test_the_catalogue_knows_the_builds_of_a_site(tmp_path: Path) -> None:
    """Then no other is named, and uv's command stands beside pip's."""
    there = machine(tmp_path, NEWER, "echo 9.0", "uv")
    advice = TARGET.advice(wish("index", "cpu", "cu124"), there)
    assert [text.zh.partition("：")[2] for text in advice[1:]] == [
        "`pip install torch torchvision --index-url https://mirror.test/whl/cu124`",
        "`uv pip install torch torchvision --default-index https://mirror.test/whl/cu124`",
    ]


def test_list_of_files(tmp_path: Path) -> None:
    """Such a site is no index, and the version must be written where the own index has a higher one."""
    advice = [text.en for text in TARGET.advice(wish("find-links"), machine(tmp_path, H100, "echo 7.0"))]
    assert "`pip install torch torchvision --find-links https://mirror.test/whl/cu126/`" in advice[1]
    assert "`torch==VERSION+cu126`" in advice[2]


def test_old_driver_that_does_not_know_capabilities(tmp_path: Path) -> None:
    """The driver's CUDA counts alone."""
    assert "cu118" in TARGET.advice(wish(), machine(tmp_path, OLDER.replace("11.4", "12.0"), "exit 2"))[1].en


@pytest.mark.parametrize("banner", ["NVIDIA-SMI has failed\nEND\nexit 9\ncat <<END\n", "No devices were found\n"])
def test_without_a_usable_gpu(tmp_path: Path, banner: str) -> None:
    """The build for the CPU, whether the program fails, says nothing of CUDA, cannot be started, or is absent."""
    there = machine(tmp_path, banner)
    broken = replace(there, programs={"nvidia-smi": tmp_path / "absent"})
    for one in (there, broken, replace(there, programs={})):
        advice = TARGET.advice(wish(), one)
        assert "no usable NVIDIA GPU" in advice[0].en
        assert "/whl/cpu`" in advice[1].en


def test_mac() -> None:
    """It has one build."""
    mac = Machine("darwin", {}, PurePosixPath("/Users/me"), False, {})
    assert TARGET.advice(wish(), mac)[0].en.endswith("`pip install torch torchvision`")

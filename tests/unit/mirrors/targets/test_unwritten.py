"""The tools that are only explained or advised about."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.model import Layer, Machine, Reads, Serving, Site, Wish
from internlm_setup.mirrors.targets import Unwritten, docker, huggingface, poetry

LINUX = Machine("linux", {}, PurePosixPath("/home/me"), False, {})
WINDOWS = Machine("win32", {}, PureWindowsPath("C:/Users/me"), False, {})
ENDPOINT = "https://hub.test"
WISH = Wish(
    Site(
        "mirror",
        Text(en="Mirror", zh="镜像"),
        "2026-09-01",
        {"huggingface": Serving(ENDPOINT, "full", ""), "pypi": Serving("https://mirror.test/simple", "full", "")},
    )
)


def nothing(path: PurePath) -> None:
    """Return nothing: an empty disk."""


def disk(files: dict[str, str]) -> Reads:
    """Return a disk with these files."""
    return lambda path: files[str(path)].encode() if str(path) in files else None


@pytest.mark.parametrize("name", [name for name, target in targets.known().items() if isinstance(target, Unwritten)])
def test_nothing_is_written(name: str) -> None:
    """There are no scopes, no files and no edits."""
    target = targets.get(name)
    assert target.scopes == ()
    assert not target.files(LINUX, "user", nothing)
    assert not target.edits({}, WISH, LINUX)
    assert not target.owned({}, lambda _: True)
    assert not target.always
    with pytest.raises(LookupError):
        target.syntax(PurePath("x"))


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (LINUX, [("sh", f"export HF_ENDPOINT={ENDPOINT}")]),
        (replace(LINUX, env={"SHELL": "/bin/bash"}), [("bash", f"export HF_ENDPOINT={ENDPOINT}")]),
        (replace(LINUX, env={"SHELL": "/usr/local/bin/zsh"}), [("zsh", f"export HF_ENDPOINT={ENDPOINT}")]),
        (replace(LINUX, env={"SHELL": "/usr/bin/fish"}), [("fish", f"set -gx HF_ENDPOINT {ENDPOINT}")]),
        (replace(LINUX, env={"SHELL": "/bin/tcsh"}), [("tcsh", f"setenv HF_ENDPOINT {ENDPOINT}")]),
        (WINDOWS, [("PowerShell", f'$env:HF_ENDPOINT = "{ENDPOINT}"'), ("cmd", f"set HF_ENDPOINT={ENDPOINT}")]),
        (replace(WINDOWS, env={"SHELL": r"C:\git\bash.exe"}), [("bash", f"export HF_ENDPOINT={ENDPOINT}")]),
    ],
)
def test_line_for_the_shell(machine: Machine, expected: list[tuple[str, str]]) -> None:
    """It is the shell that the environment names; on Windows, where none does, there are two."""
    assert huggingface.setting("HF_ENDPOINT", ENDPOINT, machine) == expected
    advice = [text.en for text in huggingface.TARGET.advice(WISH, machine)]
    assert [line for _, line in expected] == [text.split("`")[1] for text in advice[: len(expected)]]


def test_warnings_of_hugging_face() -> None:
    """Who gets the token, and what is not mirrored."""
    token, big = huggingface.TARGET.advice(WISH, LINUX)[-2:]
    assert "token" in token.en
    assert "令牌" in token.zh
    assert "big files" in big.en
    assert "大文件" in big.zh


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shells_take_the_line(shell: str) -> None:
    """The real shell hands the variable on."""
    ((_, line),) = huggingface.setting("HF_ENDPOINT", ENDPOINT, replace(LINUX, env={"SHELL": f"/bin/{shell}"}))
    said = subprocess.run([shell, "-c", f"{line}; printenv HF_ENDPOINT"], capture_output=True, text=True, check=True)
    assert said.stdout == f"{ENDPOINT}\n"


def test_variable_of_hugging_face() -> None:
    """It decides, unless it is empty."""
    found = huggingface.TARGET.effective(replace(LINUX, env={"HF_ENDPOINT": f"{ENDPOINT}/"}), nothing)
    assert found.urls == (ENDPOINT,)
    assert found.decided_by == Layer("variable", "HF_ENDPOINT")
    assert huggingface.TARGET.effective(replace(LINUX, env={"HF_ENDPOINT": ""}), nothing).urls == ()


def test_poetry() -> None:
    """Its plugin's variable is known, and both ways are told."""
    url = "https://mirror.test/simple/"
    assert poetry.TARGET.effective(LINUX, nothing).urls == ()
    found = poetry.TARGET.effective(replace(LINUX, env={"POETRY_PYPI_MIRROR_URL": url}), nothing)
    assert found.urls == (url,)
    assert "plugin" in found.notes[0].en
    assert [url in text.en and url in text.zh for text in poetry.TARGET.advice(WISH, LINUX)] == [True, True]


@pytest.mark.parametrize(
    ("machine", "path"),
    [
        (LINUX, "/etc/docker/daemon.json"),
        (LINUX, "/home/me/.config/docker/daemon.json"),
        (LINUX, "/home/me/.docker/daemon.json"),
        (WINDOWS, r"C:\ProgramData\docker\config\daemon.json"),
        (WINDOWS, r"C:\Users\me\.docker\daemon.json"),
    ],
)
def test_mirrors_of_docker(machine: Machine, path: str) -> None:
    """They are shown, with the file that names them."""
    found = docker.TARGET.effective(machine, disk({path: json.dumps({"registry-mirrors": ["https://m.test"]})}))
    assert found.urls == ("https://m.test",)
    assert found.decided_by == Layer("file", path, ("registry-mirrors",))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"registry-mirrors": null}', "{broken"])
def test_docker_without_mirrors(text: str) -> None:
    """Whatever the file holds, somebody is told why nothing is written, or what is wrong with it."""
    found = docker.TARGET.effective(LINUX, disk({"/etc/docker/daemon.json": text}))
    assert found.urls == ()
    assert ("valid JSON" if "broken" in text else "nothing is written") in found.notes[0].en


def test_answer_of_docker() -> None:
    """A list, or null."""
    ask = docker.TARGET.ask(replace(LINUX, programs={"docker": Path("/usr/bin/docker")}))
    assert ask is not None
    assert ask.read('["https://m.test/"]\n').urls == ("https://m.test",)
    assert ask.read("null\n").urls == ()
    for words in ("", '{"a": 1}', "Cannot connect to the Docker daemon"):
        with pytest.raises(ValueError):
            ask.read(words)
    assert docker.TARGET.ask(LINUX) is None

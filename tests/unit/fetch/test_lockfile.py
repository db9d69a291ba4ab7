"""Lock files: the same bytes for the same lock, nothing secret, and nothing believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes import git_sha1, sha256
from internlm_setup.core.files import CannotRead
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.lockfile import Lock, LockedHub, check_place, read, write
from internlm_setup.fetch.model import RemoteFile
from internlm_setup.fetch.source_errors import BadLock, NoLock, OtherLock

LOCK = Lock(
    "chat",
    (
        LockedHub("huggingface", "lab/chat", "refs/pr/1", "c0ffee" * 6 + "c0ff"),
        LockedHub("modelscope", "Lab_CN/chat", "v1.0+cu", None),
        LockedHub("openxlab", "OpenLab/Chat", "", None),
    ),
    (
        RemoteFile("a/weights.bin", 7, sha256(b"weights"), None),
        RemoteFile("模型.md", 2, sha256(b"hi"), git_sha1(b"hi")),
    ),
)
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A written lock."""
    write(tmp_path / "chat.lock", LOCK)
    return tmp_path / "chat.lock"


def test_what_was_written_is_read(path: Path) -> None:
    """A lock survives its file, and is written in one way."""
    assert read(path) == LOCK
    before = path.read_bytes()
    write(path, read(path))
    assert path.read_bytes() == before
    assert before.endswith(b"\n")


def test_no_file(tmp_path: Path) -> None:
    """The command that writes one is named."""
    with pytest.raises(NoLock) as caught:
        read(tmp_path / "none")
    assert "fetch MODEL --lock" in (caught.value.next_step() or "")


def test_a_folder(tmp_path: Path) -> None:
    """What cannot be read is said to be so."""
    with pytest.raises(CannotRead):
        read(tmp_path)


def hub(**fields: object) -> Edit:
    return lambda lock: lock["hubs"][0].update(fields)


def file(**fields: object) -> Edit:
    return lambda lock: lock["files"][0].update(fields)


def top(**fields: object) -> Edit:
    return lambda lock: lock.update(fields)


@pytest.mark.parametrize(
    "edit",
    [
        top(schema=2),
        top(model="../../x"),
        top(model=7),
        top(hubs=[]),
        top(hubs={"hub": "x"}),
        top(files=[]),
        top(files=[1]),
        hub(hub="../hubs"),
        hub(hub="os.path"),
        hub(repo=".."),
        hub(repo="lab/.."),
        hub(repo="https://x.test/lab/chat"),
        hub(commit=7),
        hub(revision=None),
        hub(revision="../../../etc"),
        hub(revision="/etc"),
        hub(commit="..\\x"),
        file(path="../up"),
        file(path="/abs"),
        file(path=".internlm-setup/manifest.json"),
        file(path="模型.MD"),
        file(path=7),
        file(size_bytes=None),
        file(size_bytes=True),
        file(size_bytes=-1),
        file(size_bytes=1 << 60),
        file(sha256=None),
        file(sha256="A" * 64),
        file(sha256="x"),
        file(git_sha1="x"),
        file(git_sha1=[]),
        lambda lock: lock["files"][0].pop("sha256"),
        lambda lock: lock["files"].append(lock["files"][0]),
    ],
)
def test_hostile(path: Path, edit: Edit) -> None:
    """A lock may come from anybody: nothing in it leads out of the folder, and each value is what it should be."""
    value = json.loads(path.read_text("utf-8"))
    edit(value)
    path.write_text(json.dumps(value), "utf-8")
    with pytest.raises(BadLock):
        read(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"null", b"\xff", b"[" * 100_000, b"weights: yes"])
def test_something_else(path: Path, data: bytes) -> None:
    """Whatever else is there is no lock."""
    path.write_bytes(data)
    with pytest.raises(BadLock):
        read(path)


@pytest.mark.parametrize(
    ("edit", "en", "zh"),
    [
        (top(schema=2), "version 2, and this program reads version 1", "格式版本是 2"),
        (top(schema="x"), "its field `schema` is missing or wrong", "字段 `schema` 缺失或有误"),
        (top(hubs=[]), "`hubs` is missing", "`hubs` 缺失"),
        (file(path="../up"), "`../up`: it would land outside", "`../up`：它会落到"),
        (lambda lock: lock["files"].append(lock["files"][0]), "`a/weights.bin`: it is listed twice", "列出了两次"),
        (hub(repo=7), "`hubs[0].repo` is missing", "`hubs[0].repo` 缺失"),
        (lambda lock: lock["files"][1].pop("sha256"), "`files[1].sha256` is missing", "`files[1].sha256` 缺失"),
    ],
)
def test_what_is_wrong_is_named(path: Path, edit: Edit, en: str, zh: str) -> None:
    """In either language, without a word of Python's."""
    value = json.loads(path.read_text("utf-8"))
    edit(value)
    path.write_text(json.dumps(value), "utf-8")
    with pytest.raises(BadLock) as caught:
        read(path)
    assert (en in caught.value.message(), zh in caught.value.message("zh")) == (True, True), caught.value.message()


def test_where_a_lock_may_be_written(path: Path) -> None:
    """Over nothing, and over a lock of the same model; not over that of another one, nor over another file."""
    check_place(path.with_name("new"), Wanted("chat", {"modelscope": "Lab_CN/chat"}))
    check_place(path, Wanted("chat-renamed", {"modelscope": "Lab_CN/chat", "huggingface": "lab/other"}))
    with pytest.raises(OtherLock) as caught:
        check_place(path, Wanted("chat", {"modelscope": "Elsewhere/chat"}))
    assert (caught.value.locked, caught.value.model) == ("chat", "chat")
    path.write_text("precious")
    with pytest.raises(BadLock):
        check_place(path, Wanted("chat", {"modelscope": "Lab_CN/chat"}))

"""What a hub may say instead of a listing or a file: each its own clear error, and nothing under a final name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.playground import make_standin
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Fault, HubServer, Repository
from internlm_setup.playground.hub.message import Stage
from servers.machine import MODEL, Machine

pytestmark = pytest.mark.loopback
HUBS = ("modelscope", "huggingface", "openxlab")
TITLES = {"modelscope": "ModelScope", "huggingface": "Hugging Face", "openxlab": "OpenXLab"}
LISTING: frozenset[Stage] = frozenset({"listing"})


@pytest.fixture
def change(hub: HubServer, tmp_path: Path) -> Callable[..., None]:
    """Serve the model anew with other properties."""
    folder = make_standin(tmp_path / "served", weights_bytes=1 << 20)

    def serve(**properties: object) -> None:
        hub.add(replace(Repository(MODEL_IDS, folder), **properties))  # type: ignore[arg-type]

    return serve


def refusal(machine: Machine, source: str, **asked: Any) -> SetupError:
    """Fetch, and return the error; no file may have been put in place."""
    with pytest.raises(SetupError) as caught:
        machine.fetch(source=source, **asked)
    assert machine.files() == {}
    assert caught.value.next_step("en")
    assert caught.value.next_step("zh")
    return caught.value


def told(error: SetupError) -> tuple[str, int]:
    return error.code, int(error.exit_code)


@pytest.mark.parametrize("source", HUBS)
def test_a_missing_repository(machine: Machine, hub: HubServer, source: str) -> None:
    hub.faults.clear()
    machine_of_another = Machine(machine.root / "other", {**machine.variables})
    with pytest.raises(SetupError, match=r"has no model repository `lab/nothing`") as caught:
        machine_of_another.fetch("lab/nothing", source)
    assert told(caught.value) == ("fetch.repository-missing", 66)


@pytest.mark.parametrize("source", ["modelscope", "huggingface", "openxlab"])
def test_a_private_repository(machine: Machine, change: Callable[..., None], source: str) -> None:
    change(private=True)
    assert told(refusal(machine, source)) == ("fetch.repository-missing", 66)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("huggingface", ("fetch.repository-disabled", 77)),
        ("modelscope", ("fetch.repository-missing", 66)),
        ("openxlab", ("fetch.repository-missing", 66)),
    ],
)
def test_a_disabled_repository(
    machine: Machine, change: Callable[..., None], source: str, code: tuple[str, int]
) -> None:
    change(disabled=True)
    assert told(refusal(machine, source)) == code


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize("token", [None, "hf_accepted"])
def test_a_gated_repository(machine: Machine, change: Callable[..., None], token: str | None, granted: bool) -> None:
    """Names and sizes are public, the files need a token whose owner was let in."""
    change(gated=True, granted=granted)
    if token:
        machine.variables = {**machine.variables, "HF_TOKEN": token}
    if token and granted:
        assert machine.fetch(source="huggingface").unverified == ()
        return
    error = refusal(machine, "huggingface")
    assert told(error) == ("fetch.gated", 77)
    assert f"{MODEL_IDS['huggingface']}" in (error.next_step("en") or "")


@pytest.mark.parametrize("source", ["modelscope", "openxlab"])
def test_a_gated_repository_elsewhere(machine: Machine, change: Callable[..., None], source: str) -> None:
    change(gated=True)
    assert int(refusal(machine, source).exit_code) == 77


@pytest.mark.parametrize("source", HUBS)
def test_an_unknown_revision(machine: Machine, source: str) -> None:
    """ModelScope says 200 and `Files: null` to this, and its own client says success."""
    error = refusal(machine, source, revision="v9")
    assert told(error) == ("fetch.revision-missing", 66)
    known = "(it has: master)" if source == "modelscope" else ""
    assert error.message("en").endswith(f"has no revision `v9` {known}".rstrip())
    assert error.message("zh").endswith("没有版本 `v9`（现有：master）" if known else "没有版本 `v9`")


@pytest.mark.parametrize("source", ["modelscope", "huggingface"])
def test_a_known_revision(machine: Machine, change: Callable[..., None], source: str) -> None:
    change(revisions=frozenset({"v1.0.3"}))
    assert machine.fetch(source=source, revision="v1.0.3").revision == "v1.0.3"


@pytest.mark.parametrize("source", HUBS)
def test_no_file_matches(machine: Machine, source: str) -> None:
    error = refusal(machine, source, include=("*.gguf",))
    assert told(error) == ("fetch.nothing-matches", 66)
    assert "--include *.gguf" in error.message("en")


@pytest.mark.parametrize("source", HUBS)
def test_an_empty_repository(machine: Machine, change: Callable[..., None], source: str) -> None:
    change(entries=())
    assert told(refusal(machine, source)) == ("fetch.repository-empty", 66)


@pytest.mark.parametrize("source", HUBS)
def test_a_log_in_page_for_a_listing(machine: Machine, hub: HubServer, source: str) -> None:
    hub.faults.add(Fault("garbage", hub=source, where=LISTING))
    error = refusal(machine, source)
    assert told(error) == ("fetch.bad-answer", 76)
    assert f"{TITLES[source]} at 127.0.0.1" in error.message("en")
    assert "<html>" not in error.message("en")


STATUSES = {
    401: ("fetch.token-refused", 77),
    403: ("fetch.token-refused", 77),
    429: ("fetch.hub-busy", 69),
    500: ("fetch.hub-busy", 69),
    503: ("fetch.hub-busy", 69),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("source", HUBS)
def test_a_status_for_a_listing(machine: Machine, hub: HubServer, source: str, status: int) -> None:
    hub.faults.add(Fault("server-error", hub=source, where=LISTING, status=status))
    error = refusal(machine, source)
    assert told(error) == STATUSES[status]
    assert TITLES[source] in error.message("en")
    assert re.search(rf"\b{status}\b", error.message("en"))


@pytest.mark.parametrize("source", HUBS)
def test_404_for_a_listing(machine: Machine, hub: HubServer, source: str) -> None:
    hub.faults.add(Fault("server-error", hub=source, where=LISTING, status=404))
    assert int(refusal(machine, source).exit_code) in {66, 76}


@pytest.mark.parametrize("source", HUBS)
def test_a_busy_hub_is_asked_again(machine: Machine, hub: HubServer, source: str) -> None:
    busy = hub.faults.add(Fault("rate-limit", hub=source, where=LISTING, times=1))
    assert machine.fetch(source=source).unverified == ()
    assert hub.faults.struck(busy) == 1


@pytest.mark.parametrize("source", HUBS)
def test_a_listing_that_ends_half_way(machine: Machine, hub: HubServer, source: str) -> None:
    hub.faults.add(Fault("truncate", hub=source, where=LISTING))
    assert int(refusal(machine, source).exit_code) in {69, 76}


def test_every_hub_refuses(machine: Machine, hub: HubServer) -> None:
    """`auto` reports each hub's own reason."""
    hub.faults.add(Fault("server-error", where=LISTING, status=503))
    done = machine.run("fetch", MODEL)
    assert (done.code, done.out) == (69, "")
    assert done.err.count("answered 503 again and again") == 2


def test_the_command_says_what_happened_and_what_to_do(machine: Machine, hub: HubServer) -> None:
    done = machine.run("fetch", MODEL, "--source", "modelscope", "--revision", "v9", LANG="zh_CN.UTF-8")
    assert (done.code, done.out) == (66, "")
    assert done.err.endswith(
        "错误：ModelScope 上的 `Shanghai_AI_Laboratory/internlm-chat-7b` 没有版本 `v9`（现有：master）\n\n"
        "去掉 `--revision` 即使用默认版本（`master`）\n"
    )

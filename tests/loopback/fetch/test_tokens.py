"""A token goes to its own hub's origin, and nowhere else: no other server, no terminal, no file of ours."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from internlm_setup.playground import open_playground
from internlm_setup.playground.hub import Access, Fault, HubServer
from servers.machine import MODEL, Done, Machine

pytestmark = pytest.mark.loopback
SECRETS = {
    "huggingface": {"HF_TOKEN": "hf_SecretOfHuggingFace123"},
    "modelscope": {"MODELSCOPE_API_TOKEN": "ms-01234567-89ab-cdef-0123-456789abcdef"},
    "openxlab": {"OPENXLAB_AK": "ak-of-openxlab", "OPENXLAB_SK": "sk-of-openxlab-000"},
}
EVERYWHERE = {name: value for variables in SECRETS.values() for name, value in variables.items()}


def run(machine: Machine, source: str, *words: str) -> Done:
    """Fetch with the tokens of all hubs at hand."""
    machine.variables = {**machine.variables, **EVERYWHERE}
    return machine.run("fetch", MODEL, "--source", source, *words)


def secrets_in_files(root: Path) -> set[str]:
    """The files that hold a secret, as paths from `root`."""
    stored = root / "home" / ".openxlab" / "token.json"
    secrets = set(EVERYWHERE.values())
    if stored.exists():
        token = json.loads(stored.read_text(encoding="utf-8"))
        secrets |= {token["jwt"], token["refresh_token"]}
    found = set()
    for file in root.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        if any(value.encode() in content for value in secrets):
            found.add(file.relative_to(root).as_posix())
    return found


@pytest.mark.parametrize("source", SECRETS)
def test_the_hub_gets_its_own_token_and_nothing_else_does(machine: Machine, hub: HubServer, source: str) -> None:
    """No other hub, no CDN, no redirect's target, no terminal, no file but the vendor's own."""
    hub.faults.add(Fault("elsewhere", "pytorch_model-0000[12]*"))
    done = run(machine, source, "-v")
    assert done.code == 0, done.err
    assert not [value for value in EVERYWHERE.values() if value in done.out + done.err]
    assert secrets_in_files(machine.root) == ({"home/.openxlab/token.json"} if source == "openxlab" else set())
    own = set(SECRETS[source].values())
    others = set(EVERYWHERE.values()) - own
    for request in hub.log:
        sent = " ".join([*request.headers.values(), *request.query.values()])
        assert not [value for value in others if value in sent and request.hub == source]
        assert request.origin == "hub" or not request.carries_secret, request
    assert any(r.carries_secret for r in hub.log if r.origin == "hub" and r.hub == source)
    assert {r.origin for r in hub.log} == {"hub", "cdn"} | ({"other"} if source != "openxlab" else set())


def test_the_next_page_at_another_origin_gets_no_token(tmp_path: Path) -> None:
    with open_playground(weights_bytes=1 << 20, page_size=5) as hub:
        machine = Machine(tmp_path, hub.environment())
        hub.faults.add(Fault("link-elsewhere"))
        assert run(machine, "huggingface").code == 0
        pages = [r for r in hub.log if "cursor" in r.query]
        assert "other" in {r.origin for r in pages}
        assert not [r for r in hub.log if r.origin != "hub" and r.carries_secret]


def test_no_token_is_in_the_stream_of_events(machine: Machine) -> None:
    done = run(machine, "huggingface", "--json=stream")
    assert done.code == 0
    assert not [value for value in EVERYWHERE.values() if value in done.out + done.err]


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("huggingface", 403),
        ("modelscope", 401),
        pytest.param("huggingface", 503, marks=pytest.mark.full),
        pytest.param("modelscope", 503, marks=pytest.mark.full),
        pytest.param("openxlab", 403, marks=pytest.mark.full),
    ],
)
def test_no_token_is_in_an_error_or_in_the_log(machine: Machine, hub: HubServer, source: str, status: int) -> None:
    hub.faults.add(Fault("server-error", hub=source, where=frozenset({"file", "content"}), status=status))
    done = run(machine, source, "-v")
    assert done.code in {66, 69, 75, 77}
    assert not [value for value in EVERYWHERE.values() if value in done.out + done.err]
    assert secrets_in_files(machine.root) <= {"home/.openxlab/token.json"}
    assert list(machine.home.rglob("internlm-setup.log"))


def test_openxlabs_login_is_kept_private_and_used_again(tmp_path: Path) -> None:
    keys = Access(EVERYWHERE["OPENXLAB_AK"], EVERYWHERE["OPENXLAB_SK"])
    with open_playground(weights_bytes=1 << 20, access=keys) as hub:
        machine = Machine(tmp_path, hub.environment())
        assert run(machine, "openxlab").code == 0
        file = machine.home / ".openxlab" / "token.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert keys.sk not in file.read_text(encoding="utf-8")
        token = json.loads(file.read_text(encoding="utf-8"))["jwt"]
        hub.log.clear()
        assert run(machine, "openxlab").code == 0
        assert not [r for r in hub.log if "/sso-be/" in r.path]
        assert token in {r.headers.get("authorization") for r in hub.log}


def test_wrong_keys_are_a_refusal(tmp_path: Path) -> None:
    with open_playground(weights_bytes=1 << 20, access=Access("other", "other")) as hub:
        done = run(Machine(tmp_path, hub.environment()), "openxlab")
    assert done.code == 77
    assert "OPENXLAB_AK" in done.err


def test_a_private_model_comes_with_the_right_token_alone(tmp_path: Path) -> None:
    tokens = {"huggingface": "hf_right0000", "modelscope": "right"}
    with open_playground(weights_bytes=1 << 20, tokens=tokens) as hub:
        machine = Machine(tmp_path, hub.environment())
        login = machine.home / ".cache" / "huggingface"
        login.mkdir(parents=True)
        (login / "token").write_text("hf_right0000", encoding="utf-8")
        assert machine.run("fetch", MODEL, "--source", "huggingface").code == 0
        assert "Bearer hf_right0000" in {r.headers.get("authorization") for r in hub.log}

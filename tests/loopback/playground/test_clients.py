"""The vendors' own programs, unmodified, against the playground.

If they cannot use it, the playground is wrong. What they do when a server misbehaves is recorded
here too, because it is what ours is measured against.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from internlm_setup.playground import make_standin, open_playground
from internlm_setup.playground.hub import Access, Fault, HubServer
from servers.tls_proxy import TlsProxy

pytestmark = pytest.mark.loopback
OPENXLAB_HOST = "openapi.openxlab.org.cn"
FIRST_SHARD = "pytorch_model-00001-of-00008.bin"


def program(name: str, folder: Path | None = None) -> str:
    """Return a vendor's program beside this Python, or skip by its name."""
    found = (folder or Path(sys.executable).parent) / name
    if not found.exists():
        pytest.skip(f"{name} is not installed")
    return str(found)


def run(command: list[str], home: Path, variables: Mapping[str, str]) -> tuple[int, str]:
    """Run a program in a home of its own, and return its exit code and all it said."""
    home.mkdir(exist_ok=True)
    inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    env = {**inherited, "HOME": str(home), "USERPROFILE": str(home), **variables}
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=50, check=False)
    return done.returncode, done.stdout + done.stderr


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".cache" not in file.parts
    }


@pytest.fixture
def model(tmp_path: Path) -> dict[str, bytes]:
    """The bytes that must arrive."""
    return files_in(make_standin(tmp_path / "expected", weights_bytes=1 << 20))


def test_hf_download(hub: HubServer, model: dict[str, bytes], tmp_path: Path) -> None:
    """`hf download` gets every byte; no token, and so no Xet either, is involved."""
    command = [program("hf"), "download", "internlm/internlm-chat-7b", "--local-dir"]
    code, said = run([*command, str(tmp_path / "to")], tmp_path / "home", hub.environment())
    assert code == 0, said
    assert files_in(tmp_path / "to") == model
    assert {request.status for request in hub.log if request.origin == "cdn"} == {200}


def test_hf_token_stays_at_the_hub(hub: HubServer, tmp_path: Path) -> None:
    """`hf` sends its token with every request to the hub, and to no CDN."""
    variables = {**hub.environment(), "HF_TOKEN": "hf_secret"}
    command = [program("hf"), "download", "internlm/internlm-chat-7b", FIRST_SHARD]
    code, said = run(command, tmp_path / "home", variables)
    assert code == 0, said
    asked = [request for request in hub.log if "agent-harnesses" not in request.path]
    assert {request.origin for request in asked if request.carries_secret} == {"hub"}
    assert {request.origin for request in asked if not request.carries_secret} == {"cdn"}


def test_hf_pages(model: dict[str, bytes], tmp_path: Path) -> None:
    """`hf` follows the links of a listing in pages."""
    command = [program("hf"), "download", "internlm/internlm-chat-7b", "--local-dir"]
    with open_playground(weights_bytes=1 << 20, page_size=5) as hub:
        code, said = run([*command, str(tmp_path / "to")], tmp_path / "home", hub.environment())
        assert code == 0, said
        assert files_in(tmp_path / "to") == model
        assert len([request for request in hub.log if "/tree/" in request.path]) == 4


def test_hf_errors(hub: HubServer, tmp_path: Path) -> None:
    """`hf` understands our errors as the hub's own."""
    base = [program("hf"), "download"]
    for words, expected in (
        (["no/such"], "not found"),
        (["internlm/internlm-chat-7b", "--revision", "v9"], "revision"),
        (["internlm/internlm-chat-7b", "no.such"], "not found"),
    ):
        code, said = run([*base, *words], tmp_path / "home", hub.environment())
        assert code != 0
        assert expected in said.lower(), said


def test_hf_does_not_notice_a_flipped_bit(hub: HubServer, tmp_path: Path) -> None:
    """`hf download` says it is done though a byte is wrong; this is what `verify` is for."""
    hub.faults.add(Fault("flip", files=FIRST_SHARD))
    command = [program("hf"), "download", "internlm/internlm-chat-7b", FIRST_SHARD]
    code, said = run(command, tmp_path / "home", hub.environment())
    assert code == 0, said


def test_modelscope_download(hub: HubServer, model: dict[str, bytes], tmp_path: Path) -> None:
    """`modelscope download` gets every byte, and the file only its hub has."""
    name = "Shanghai_AI_Laboratory/internlm-chat-7b"
    command = [program("modelscope"), "download", "--model", name, "--local_dir"]
    code, said = run([*command, str(tmp_path / "to")], tmp_path / "home", hub.environment())
    assert code == 0, said
    got = files_in(tmp_path / "to")
    assert set(got) - set(model) == {"configuration.json"}
    assert {path: got[path] for path in model} == model


def test_modelscope_resumes(hub: HubServer, model: dict[str, bytes], tmp_path: Path) -> None:
    """A dropped connection is continued with a range, answered as 206 or as 200."""
    hub.faults.add(Fault("truncate", files=FIRST_SHARD, times=1, at_byte=1000))
    hub.faults.add(Fault("range-200", files=FIRST_SHARD))
    name = "Shanghai_AI_Laboratory/internlm-chat-7b"
    command = [program("modelscope"), "download", "--model", name, FIRST_SHARD, "--local_dir"]
    code, said = run([*command, str(tmp_path / "to")], tmp_path / "home", hub.environment())
    assert code == 0, said
    assert files_in(tmp_path / "to")[FIRST_SHARD] == model[FIRST_SHARD]
    ranges = [r.headers.get("range") for r in hub.log if r.origin == "cdn"]
    assert ranges == [None, "bytes=1000-"]


def test_modelscope_notices_a_flipped_bit(hub: HubServer, tmp_path: Path) -> None:
    """Three tries, then a failure."""
    fault = hub.faults.add(Fault("flip", files=FIRST_SHARD))
    name = "Shanghai_AI_Laboratory/internlm-chat-7b"
    command = [program("modelscope"), "download", "--model", name, "--local_dir"]
    code, _ = run([*command, str(tmp_path / "to")], tmp_path / "home", hub.environment())
    assert code != 0
    assert hub.faults.struck(fault) == 3


@pytest.fixture(scope="session")
def openxlab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment of its own for openxlab 0.1.3, whose pins cannot live beside ours."""
    if os.environ.get("INTERNLM_SETUP_FULL") != "1":
        pytest.skip("openxlab: set INTERNLM_SETUP_FULL=1 to install it in an environment of its own")
    folder = tmp_path_factory.mktemp("openxlab")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(scripts / "python"), "-m", "pip", "install", "-q", "openxlab==0.1.3"]
    subprocess.run(pip, check=True, capture_output=True)
    return scripts


@contextmanager
def openxlab_proxy(hub: HubServer, folder: Path) -> Iterator[TlsProxy]:
    """Stand in for OpenXLab's hosts, which its program has built in."""
    folder.mkdir()
    port = urlsplit(hub.url).port or 0
    with TlsProxy({OPENXLAB_HOST: port, "openxlab.org.cn": port}, folder) as proxy:
        yield proxy


def openxlab_download(
    proxy: TlsProxy, scripts: Path, folder: Path, keys: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run `openxlab model download` into `folder / "to"`."""
    variables = {
        "HTTPS_PROXY": proxy.url,
        "NO_PROXY": "127.0.0.1",
        "REQUESTS_CA_BUNDLE": str(proxy.certificate_file),
        **(keys or {}),
    }
    name = "OpenLMLab/InternLM-chat-7b"
    command = [program("openxlab", scripts), "model", "download", "--model-repo", name]
    return run([*command, "--output", str(folder / "to")], folder / "home", variables)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("keys", [{}, {"OPENXLAB_AK": "ak", "OPENXLAB_SK": "sk"}])
def test_openxlab_download(
    openxlab_folder: Path, model: dict[str, bytes], tmp_path: Path, keys: dict[str, str]
) -> None:
    """`openxlab model download` gets every byte, anonymously and with a key pair."""
    with (
        open_playground(weights_bytes=1 << 20, access=Access("ak", "sk")) as hub,
        openxlab_proxy(hub, tmp_path / "tls") as proxy,
    ):
        code, said = openxlab_download(proxy, openxlab_folder, tmp_path, keys)
        assert code == 0, said
        assert files_in(tmp_path / "to") == model
        assert f"{OPENXLAB_HOST}:443" in proxy.connected
        jwts = [r.headers.get("authorization") for r in hub.log if "getFileDownloadUrl" in r.path]
        assert [jwt is not None for jwt in jwts] == [bool(keys)]
        assert not any(request.carries_secret for request in hub.log if request.origin == "cdn")


@pytest.mark.full
@pytest.mark.timeout(300)
def test_openxlab_does_not_notice_a_short_file(hub: HubServer, openxlab_folder: Path, tmp_path: Path) -> None:
    """A body cut short is called finished."""
    hub.faults.add(Fault("truncate", files=FIRST_SHARD, at_byte=1000))
    with openxlab_proxy(hub, tmp_path / "tls") as proxy:
        code, said = openxlab_download(proxy, openxlab_folder, tmp_path)
    assert code == 0, said
    assert len(files_in(tmp_path / "to")[FIRST_SHARD]) == 1000

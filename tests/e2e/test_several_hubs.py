"""Several hubs where the network leads nowhere: no slower than one, and a dead one costs three seconds once."""

from __future__ import annotations

from pathlib import Path

import pytest

from servers import namespace
from servers.machine import MODEL, Done, Machine

pytestmark = pytest.mark.e2e
NOWHERE = "http://192.0.2.80"
TWICE = f"export HF_ENDPOINT={NOWHERE}; internlm-setup fetch {MODEL} && internlm-setup fetch {MODEL} --to again"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty HOME, and no variable that leads anywhere."""
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    return Machine(tmp_path)


def check_failure(done: Done, cause: str) -> None:
    """Both hubs are named with host and cause, each with its next step."""
    assert (done.code, done.out) == (69, "")
    assert f"cannot reach ModelScope at modelscope.cn: {cause}" in done.err
    assert f"cannot reach Hugging Face at huggingface.co: {cause}" in done.err


def test_without_dns(machine: Machine) -> None:
    done = machine.run("fetch", MODEL, prefix=namespace.without_network(machine.root / "net"))
    check_failure(done, "its name cannot be resolved (DNS)")
    assert done.wall_s < 4  # 1.5 s on a machine that does nothing else


@pytest.mark.full
@pytest.mark.parametrize("known", [{}, {"modelscope.cn": "192.0.2.80", "huggingface.co": "192.0.2.81"}])
def test_packets_dropped(machine: Machine, known: dict[str, str]) -> None:
    """Those to the DNS server, or those to the hubs; the next run has learned nothing that makes it worse."""
    prefix = namespace.with_packets_dropped(machine.root / "net", known)
    for _ in range(2):
        done = machine.run("fetch", MODEL, prefix=prefix)
        check_failure(done, "no answer in time (time-out)" if known else "no DNS server answered within 4 s")
        assert done.wall_s < 12


def test_one_hub_drops_packets(machine: Machine) -> None:
    """The other one's model arrives, and the second run does not wait again."""
    prefix = namespace.with_packets_dropped(machine.root / "net")
    done = machine.run("playground", "--", "sh", "-c", TWICE, prefix=prefix)
    assert done.code == 0, done.err
    assert done.err.count("used: no other hub has a listing") == 2
    assert done.err.count("no answer within") == 1
    assert done.err.count("it did not answer a while ago, so it was not waited for") == 1

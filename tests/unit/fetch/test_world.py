"""Which hubs are asked for what, and what is said when none can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.clock import SystemClock
from internlm_setup.core.http import user_agent
from internlm_setup.core.paths import Paths
from internlm_setup.core.settings import hub_defaults, resolve_settings
from internlm_setup.fetch import hubs
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.errors import NotAtHub, UnknownHub
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.world import World, make_world, questions

HUBS = Path(__file__).parents[3] / "configs" / "hubs.yaml"


def asked(world: World, model: str, *sources: str, revision: str | None = None) -> list[tuple[str, str, str, str]]:
    """Return hub, repository, revision and the command to try instead, of each question."""
    wanted = world.catalog.want(model)
    return [(q.hub.id, q.repo, q.revision, q.instead) for q in questions(wanted, world, sources, revision)]


def test_auto_asks_its_hubs_in_order(world: World) -> None:
    """Without a source, the hubs of `auto` that have the model are asked in their order; others are not."""
    assert asked(world, "chat") == [
        ("alpha", "lab/chat", "trunk", "internlm-setup fetch chat"),
        ("beta", "Lab_CN/chat", "trunk", "internlm-setup fetch chat"),
    ]


def test_a_named_hub_is_asked_alone(world: World) -> None:
    """A named source is asked and no other; the command to try instead names another that has it."""
    expected = ("beta", "Lab_CN/chat", "v2", "internlm-setup fetch chat --source alpha")
    assert asked(world, "chat", "beta", revision="v2") == [expected]


def test_named_hubs_in_the_order_given(world: World) -> None:
    """Several named sources are asked in the order in which they were named."""
    assert [hub for hub, *_ in asked(world, "chat", "beta", "alpha")] == ["beta", "alpha"]


def test_a_model_that_auto_would_not_find(world: World) -> None:
    """A model that is only at a hub outside `auto` is asked for there."""
    assert [hub for hub, *_ in asked(world, "lonely")] == ["openxlab"]


def test_hubs_without_the_model_are_left_out(world: World) -> None:
    """A named hub that has not got it is passed over while another has, which is said."""
    told: list[events.Event] = []
    found = questions(world.catalog.want("prover"), world, ["alpha", "beta"], None, tell=told.append)
    assert [q.hub.id for q in found] == ["beta"]
    (noted,) = told
    assert isinstance(noted, events.Noted)
    assert (noted.text.en, noted.warning) == ("`prover` is not published at Alpha", True)


def test_an_endpoint_that_auto_does_not_ask(world: World) -> None:
    """It is said that it is not used; one of a hub that is asked needs no words."""
    told: list[events.Event] = []
    for hub in ("alpha", "openxlab"):
        near = replace(world, nearer=((hub, "http://127.0.0.1:9"),))
        questions(world.catalog.want("chat"), near, (), None, tell=told.append)
    (noted,) = told
    assert isinstance(noted, events.Noted)
    assert "`--source openxlab` would ask it" in noted.text.en


def test_not_at_that_hub(world: World) -> None:
    """When no named hub has it, that is said, with the command that would find it."""
    with pytest.raises(NotAtHub) as caught:
        asked(world, "prover", "alpha")
    assert (caught.value.model, caught.value.hub) == ("prover", "Alpha")
    assert caught.value.next_step() == "`internlm-setup fetch prover --source beta`"


def test_at_no_installed_hub(world: World) -> None:
    """A model that only a hub which is not installed has is nowhere to be had."""
    with pytest.raises(NotAtHub) as caught:
        asked(world, "lost")
    assert caught.value.hub == "Alpha, Beta"
    assert caught.value.next_step() == "`internlm-setup models list`"


def test_unknown_hub(world: World) -> None:
    """A hub nobody knows is refused with the known ones."""
    with pytest.raises(UnknownHub) as caught:
        asked(world, "chat", "alpha", "gamma")
    assert caught.value.name == "gamma"
    assert caught.value.known == "huggingface, modelscope, openxlab, alpha, beta"


def test_a_command_outside_the_catalogue(world: World) -> None:
    """It names the whole repository, and the hub where Hugging Face is not meant."""
    again = [q.instead for q in questions(world.catalog.want("who/what"), world, (), None)]
    again += [q.instead for q in questions(world.catalog.want("who/what", ["beta"]), world, ["beta"], None)]
    assert again == ["internlm-setup fetch who/what", "internlm-setup fetch who/what --source beta"]


def test_hubs_outside_the_catalogue(world: World) -> None:
    """A repository outside the catalogue is asked for under its own name."""
    found = questions(Wanted("x", {"beta": "any/x"}), world, ["beta"], None)
    assert [(q.hub.title, q.repo) for q in found] == [("Beta", "any/x")]


def test_endpoints(world: World, tmp_path: Path) -> None:
    """A hub is asked at the world's endpoint, at its own where the world has none."""
    assert world.hub("alpha").endpoint == str(tmp_path / "alpha")
    assert world.hub("huggingface").endpoint == "https://huggingface.co"
    with pytest.raises(UnknownHub):
        hubs.make("gamma", None, world.network, {}, tmp_path)


def test_made_from_a_machine(tmp_path: Path) -> None:
    """A real world has the shipped models and hubs, the settings' endpoints and the environment's proxy."""
    env = {"HOME": str(tmp_path), "HTTPS_PROXY": "http://proxy.test:1"}
    settings = resolve_settings(
        env=env,
        config_file=tmp_path / "none",
        hubs=hub_defaults(HUBS),
        given={"endpoint.modelscope": "http://127.0.0.1:1"},
    )
    made = make_world(env, tmp_path, tmp_path, Paths.of(env, tmp_path), settings)
    assert made.auto == ("modelscope", "huggingface")
    assert made.endpoints["modelscope"] == "http://127.0.0.1:1"
    assert made.endpoints["huggingface"] == "https://huggingface.co"
    assert made.network.proxy_for("https://hub.test/") == "http://proxy.test:1"
    assert made.network.user_agent == user_agent()
    assert isinstance(made.clock, SystemClock)
    assert made.catalog.want("internlm-chat-7b").ids.keys() >= {"modelscope", "huggingface", "openxlab"}

"""Whose version is used, and what is said of the other hubs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes import FakeHub, put, snapshot_of
from internlm_setup.core.errors import ExitCode, SeveralErrors
from internlm_setup.core.text import Text
from internlm_setup.fetch.choice import Choice, _Found, _pick, choose, standings
from internlm_setup.fetch.model import Snapshot, Standing
from internlm_setup.fetch.source_errors import HubsDiffer
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.world import World

BEGUN = Text(en="begun", zh="已开始")


def nothing(snapshot: Snapshot) -> Text | None:
    return None


def prefer(hub: str) -> Callable[[Snapshot], Text | None]:
    return lambda snapshot: BEGUN if snapshot.hub == hub else None


def found(hub: str, after_s: float) -> _Found:
    return _Found(FakeHub(id=hub), snapshot_of(hub=hub), after_s)


@pytest.mark.parametrize(
    ("one_s", "two_s", "expected"),
    [(0.2, 0.1, "one"), (1.0, 0.1, "one"), (1.2, 0.1, "two"), (4.0, 2.0, "one"), (7.0, 2.0, "two"), (0.1, 9.0, "one")],
)
def test_the_usual_order_unless_much_slower(one_s: float, two_s: float, expected: str) -> None:
    """The first hub's version is used unless it answers a second later and three times as slowly as another."""
    primary, why = _pick([found("one", one_s), found("two", two_s)], nothing, named=False)
    assert primary.hub.id == expected
    assert ("usual order" in why.en) == (expected == "one")


def test_a_reason_counts_more_than_speed() -> None:
    """What a folder was begun with goes on; an order that somebody typed is above all."""
    both = [found("one", 0.1), found("two", 9.0)]
    assert _pick(both, prefer("two"), named=False)[0].hub.id == "two"
    assert _pick(both, prefer("two"), named=True)[0].hub.id == "one"
    assert _pick(list(reversed(both)), nothing, named=True)[0].hub.id == "two"


@pytest.fixture
def lab(world: World, tmp_path: Path) -> Callable[..., None]:
    """Put files of the model `chat` at a hub."""
    repos = {"alpha": "lab/chat", "beta": "Lab_CN/chat"}

    def publish(hub: str, **files: str) -> None:
        for name, data in files.items():
            put(tmp_path, f"{hub}/{repos[hub]}/{name.replace('_', '.')}", data.encode())

    return publish


def chosen(world: World, told: list[events.Event], *sources: str, only: str = "") -> Choice:
    wanted = world.catalog.want("chat")
    return choose(
        wanted,
        world,
        told.append,
        sources=sources,
        revision=None,
        prefer=nothing,
        select=lambda s: tuple(f for f in s.files if only in f.path),
    )


def warnings(told: list[events.Event]) -> list[str]:
    return [e.text.en for e in told if isinstance(e, events.Noted) and e.warning]


def states(hubs: tuple[Standing, ...]) -> dict[str, str]:
    return {standing.hub: standing.state for standing in hubs}


def test_the_same_everywhere(world: World, lab: Callable[..., None]) -> None:
    """The first hub's version is used, the other one is a holder too, and nobody is warned."""
    lab("alpha", a_bin="x")
    lab("beta", a_bin="x", extra="y")
    told: list[events.Event] = []
    choice = chosen(world, told)
    assert (choice.hub.id, [hub.id for hub, _ in choice.holders]) == ("alpha", ["alpha", "beta"])
    assert states(choice.hubs) == {"alpha": "used", "beta": "same"}
    assert [e.hubs for e in told if isinstance(e, events.Compared)] == [choice.hubs]
    assert warnings(told) == []


def test_auto_warns_of_other_bytes(world: World, lab: Callable[..., None]) -> None:
    """One warning names the files and whose version is used; nothing stops."""
    lab("alpha", a_bin="x", readme="1")
    lab("beta", a_bin="y", readme="2")
    told: list[events.Event] = []
    assert chosen(world, told).hubs[1].different == ("a.bin", "readme")
    assert warnings(told) == [
        "beta holds other bytes of a.bin, readme; the version of alpha is used, and nothing is mixed"
    ]


def test_named_hubs_with_other_weights_are_refused(world: World, lab: Callable[..., None]) -> None:
    """The files and a command for each hub are named, after the table was told; the exit code is 1."""
    lab("alpha", a_bin="x", readme="1")
    lab("beta", a_bin="y", readme="2")
    told: list[events.Event] = []
    with pytest.raises(HubsDiffer) as caught:
        chosen(world, told, "beta", "alpha")
    assert (caught.value.files, caught.value.exit_code) == (("a.bin",), ExitCode.NO)
    assert caught.value.message() == "beta and alpha hold different weights of `chat`: a.bin"
    one, other = (f"`internlm-setup fetch chat --source {hub}`" for hub in ("beta", "alpha"))
    assert caught.value.next_step() == f"nothing was fetched; choose one: {one}, {other}"
    assert any(isinstance(e, events.Compared) for e in told)


def test_what_is_not_fetched_is_not_compared(world: World, lab: Callable[..., None]) -> None:
    """Named hubs that differ only in files that were not selected, or in words, are used."""
    lab("alpha", a_bin="x", readme="1")
    lab("beta", a_bin="y", readme="2")
    told: list[events.Event] = []
    choice = chosen(world, told, "beta", "alpha", only="readme")
    assert (choice.hub.id, choice.hubs[1].different, warnings(told)) == ("beta", ("readme",), [])


def test_a_hub_that_refuses_stops_nobody(world: World, lab: Callable[..., None]) -> None:
    """Its line has its words; the next hub's version is used."""
    lab("beta", a_bin="x")
    choice = chosen(world, [])
    assert states(choice.hubs) == {"beta": "used", "alpha": "failed"}
    assert choice.hubs[0].verdict.en == "used: no other hub has a listing"
    assert "has no model repository `lab/chat`" in choice.hubs[1].verdict.en


def test_nobody_has_it(world: World) -> None:
    """Each hub's own words are told."""
    with pytest.raises(SeveralErrors) as caught:
        chosen(world, [])
    assert len(caught.value.errors) == 2


def test_one_hub_is_no_table(world: World, lab: Callable[..., None]) -> None:
    """A single hub is asked alone, and there is nothing to compare."""
    lab("beta", a_bin="x")
    told: list[events.Event] = []
    assert (chosen(world, told, "beta").hubs, [type(e) for e in told]) == ((), [events.Asking])


def lines(world: World, model: str, *, ask_hubs: bool = True) -> dict[str, tuple[int | None, int | None, str]]:
    """Return files, size and verdict by hub."""
    shown = standings(world.catalog.want(model), world, events.ignore, ask_hubs=ask_hubs)
    return {s.hub: (s.files, s.size_bytes, s.verdict.en) for s in shown}


def test_standing_of_every_hub(world: World, lab: Callable[..., None]) -> None:
    """What a fetch would use is what the others are compared with; OpenXLab has no hashes and is not asked."""
    lab("alpha", a="same", b="same")
    lab("beta", a="same")
    assert lines(world, "chat") == {
        "alpha": (2, 8, "used: it is the first in the usual order"),
        "beta": (1, 4, "the same bytes in the one file whose hash can be compared (1 shared)"),
        "openxlab": (None, None, "not asked"),
    }


def test_a_hub_that_fails_is_a_line(world: World, lab: Callable[..., None]) -> None:
    """A hub that has nothing to say is told in its line; where none has, there are only such lines."""
    assert {files for files, _, _ in lines(world, "chat").values()} == {None}
    lab("beta", a="same")
    shown = lines(world, "chat")
    assert "has no model repository `lab/chat`" in shown["alpha"][2]
    assert shown["beta"] == (1, 4, "used: no other hub has a listing")


def test_only_hubs_that_were_named_are_asked(world: World, lab: Callable[..., None]) -> None:
    """As by a fetch; where none of them has the model, the catalogue's lines remain."""
    lab("alpha", a="same")
    lab("beta", a="same")
    wanted = world.catalog.want("chat")
    first, *others = standings(wanted, world, events.ignore, sources=("beta",), ask_hubs=True)
    assert (first.hub, first.verdict.en) == ("beta", "used: no other hub was named")
    assert {s.state for s in others} == {"not-asked"}
    (shown,) = standings(world.catalog.want("prover"), world, events.ignore, sources=("alpha",), ask_hubs=True)
    assert (shown.hub, shown.state) == ("beta", "not-asked")


def test_without_asking(world: World) -> None:
    """Unasked, each hub is a line with its repository and its note."""
    first, second, third = standings(world.catalog.want("chat"), world, events.ignore, ask_hubs=False)
    assert (first.hub, first.repo, first.files, first.note) == ("alpha", "lab/chat", None, None)
    assert second.note is not None
    assert second.note.zh == "说明"
    assert third.note is not None
    assert "no longer maintained" in third.note.en


def test_hub_that_is_not_installed(world: World) -> None:
    """A hub that only the catalogue knows is a line too, unasked."""
    (shown,) = standings(world.catalog.want("lost"), world, events.ignore, ask_hubs=False)
    assert (shown.hub, shown.note, shown.state) == ("nowhere", None, "not-asked")
    assert dataclasses.is_dataclass(shown)

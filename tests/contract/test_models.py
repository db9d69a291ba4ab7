"""Every shipped model and hub keeps the catalogue's rules; the files are found, never listed."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from internlm_setup.fetch.catalog import Catalog, Model, load_catalog

CONFIGS = Path(__file__).parents[2] / "configs"
FAMILY_FILES = sorted((CONFIGS / "models").glob("*.yaml"))
CATALOG = load_catalog([CONFIGS / "models"])
HUBS: list[dict[str, Any]] = yaml.safe_load((CONFIGS / "hubs.yaml").read_text("utf-8"))["hubs"]

each_model = pytest.mark.parametrize("model", CATALOG.models, ids=lambda model: model.name)
each_file = pytest.mark.parametrize("path", FAMILY_FILES, ids=lambda path: path.name)
each_hub = pytest.mark.parametrize("hub", HUBS, ids=lambda hub: hub["id"])


def plain(name: str) -> str:
    return re.sub(r"[._-]", "-", name.casefold())


def test_every_row_of_the_source_tables_is_there() -> None:
    """The 57 models that the READMEs and registries name, each under its own Hugging Face id."""
    assert len(CATALOG.models) == 57
    assert len({model.ids["huggingface"].casefold() for model in CATALOG.models}) == 57
    counts = {hub: sum(hub in m.ids for m in CATALOG.models) for m in CATALOG.models for hub in m.ids}
    assert counts == {"huggingface": 57, "modelscope": 55, "openxlab": 30, "modelers": 1}
    assert sum(len(model.original_ids) for model in CATALOG.models) == 22


def test_no_spelling_means_two_models() -> None:
    """Not even when case and separators are ignored, nor with an `-original` twin."""
    meant: dict[str, set[str]] = defaultdict(set)
    for model in CATALOG.models:
        for spelling in model.spellings:
            meant[plain(spelling)].add(model.name)
        for twin in model.original_ids.values():
            meant[plain(twin)].add(twin)
            meant[plain(twin.rpartition("/")[2])].add(twin)
    assert {spelling: names for spelling, names in meant.items() if len(names) > 1} == {}


@each_model
def test_a_models_name_is_its_repository_at_hugging_face(model: Model) -> None:
    """The short name is the one that most of the world types."""
    assert model.ids["huggingface"] == f"internlm/{model.name}"


@each_model
def test_a_model_says_where_we_know_it_from(model: Model) -> None:
    """A source of its own, not the default of a user's file; both languages; pins with theirs."""
    assert model.source.strip()
    assert ".yaml" not in model.source
    assert re.search(r"[A-Za-z]", model.title.en)
    assert re.search(r"[\u4e00-\u9fff]", model.title.zh)
    for hub, pin in model.revisions.items():
        assert hub in model.ids
        assert re.fullmatch(r"[0-9a-f]{40}|v\d+(\.\d+)+", pin.revision)


@each_model
def test_every_spelling_is_understood(model: Model) -> None:
    """What any hub calls the model leads to the model, in any case."""
    for spelling in model.spellings:
        assert CATALOG.find(spelling) == model
        assert CATALOG.find(spelling.upper()) == model
        assert CATALOG.want(spelling).ids == model.ids


@each_model
def test_ids_are_in_their_hubs_organisations(model: Model) -> None:
    """Each hub knows InternLM under its own organisation; the twin is the id with `-original`."""
    organisations = {
        "huggingface": {"internlm"},
        "modelscope": {"Shanghai_AI_Laboratory"},
        "openxlab": {"OpenLMLab", "InternLM-xcomposer"},
        "modelers": {"Intern"},
    }
    for hub, repo in model.ids.items():
        assert repo.partition("/")[0] in organisations[hub]
    for hub, twin in model.original_ids.items():
        assert twin == f"{model.ids[hub]}-original"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("internlm-20b-chat", "internlm-chat-20b"),
        ("internlm/internlm-20b-chat", "internlm-chat-20b"),
        ("Shanghai_AI_Laboratory/internlm-chat-7b-v1_1", "internlm-chat-7b-v1.1"),
        ("OpenLMLab/InternLM-chat-7b", "internlm-chat-7b"),
        ("internlm2-chat-1.8b", "internlm2-chat-1_8b"),
        ("internlm2-base-1.8b", "internlm2-1_8b"),
        ("InternLM2.5-7B-Chat", "internlm2_5-7b-chat"),
        ("intern-s1", "Intern-S1"),
    ],
)
def test_the_naming_traps_are_handled(typed: str, name: str) -> None:
    """The README's wrong name, each hub's own spelling, and the names as prose has them."""
    assert CATALOG.want(typed).name == name


def test_a_model_may_be_missing_at_a_hub() -> None:
    """`internlm2-step-prover` is at Hugging Face alone."""
    assert set(CATALOG.want("internlm2-step-prover").ids) == {"huggingface"}


@pytest.mark.parametrize("model", [m for m in CATALOG.models if m.original_ids], ids=lambda m: m.name)
def test_the_original_format_is_never_the_model(model: Model) -> None:
    """The twin leads to itself alone."""
    (twin,) = model.original_ids.values()
    assert CATALOG.want(twin).ids == {"openxlab": twin}


@each_file
def test_a_family_file_is_one_family_and_says_when_it_was_checked(path: Path) -> None:
    """The file's name is the family's; the header gives source and date."""
    text = path.read_text("utf-8")
    assert yaml.safe_load(text)["family"] == path.stem
    assert re.search(r"^# Source: ", text, re.MULTILINE)
    assert re.search(r"^# Checked on \d{4}-\d\d-\d\d: ", text, re.MULTILINE)


def test_the_hubs_are_in_the_order_of_preference() -> None:
    """ModelScope, Hugging Face, then OpenXLab, which is asked only when it is named."""
    assert [(hub["id"], hub["auto"]) for hub in HUBS] == [
        ("modelscope", True),
        ("huggingface", True),
        ("openxlab", False),
    ]


@each_hub
def test_a_hub_has_an_address_and_a_variable_that_moves_it(hub: dict[str, Any]) -> None:
    """Addresses are https without a trailing slash."""
    assert hub["endpoint"].startswith("https://")
    assert not hub["endpoint"].endswith("/")
    assert hub["endpoint_variables"]


def test_the_example_of_a_users_file_loads_over_the_shipped_ones() -> None:
    """It adds its model and takes nothing away."""
    both: Catalog = load_catalog([CONFIGS / "models", CONFIGS / "examples" / "models"])
    assert len(both.models) == len(CATALOG.models) + 1
    assert both.find("my-sft").revisions["huggingface"].revision == "v1.0"
    assert both.find("my-sft").title.zh == "本实验室的模型"

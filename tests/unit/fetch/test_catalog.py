"""The catalogue's names: what is understood, what is refused, and what a user's own file may do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.errors import ExitCode, SetupError
from internlm_setup.fetch.catalog import Catalog, Wanted, load_catalog
from internlm_setup.fetch.errors import BadCatalogFile, BadModelName, UnknownModel

SHIPPED = """
family: chats
title: {en: Chats, zh: 对话}
models:
  - name: chat-7b
    ids: {huggingface: lab/chat-7b, modelscope: Lab_CN/chat-7b, openxlab: OpenLab/Chat-7b}
    original_ids: {openxlab: OpenLab/Chat-7b-original}
    revisions: {huggingface: {revision: 1.0, source: a registry}}
    source: the README
  - name: chat-20b
    ids: {huggingface: lab/chat-20b, modelscope: Lab_CN/chat-20b}
    aliases: [20b-chat, lab/20b-chat]
    source: the README
  - name: chat-7b-v1.1
    ids: {huggingface: lab/chat-7b-v1.1, modelscope: Lab_CN/chat-7b-v1_1}
    source: the README
  - name: prover
    ids: {huggingface: lab/prover}
    source: the README
"""


def catalog_of(folder: Path, *texts: str) -> Catalog:
    """Each text is the only file of a folder of its own, in order."""
    folders = [folder / str(n) for n in range(len(texts))]
    for place, text in zip(folders, texts, strict=True):
        place.mkdir(exist_ok=True)
        (place / "family.yaml").write_text(text, "utf-8")
    return load_catalog(folders)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(tmp_path, SHIPPED)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("chat-7b", "chat-7b"),
        ("  chat-7b\n", "chat-7b"),
        ("CHAT-7B", "chat-7b"),
        ("lab/chat-7b", "chat-7b"),
        ("Lab_CN/chat-7b", "chat-7b"),
        ("openlab/chat-7B", "chat-7b"),
        ("20b-chat", "chat-20b"),
        ("lab/20b-chat", "chat-20b"),
        ("chat-7b-v1_1", "chat-7b-v1.1"),
        ("Lab_CN/chat-7b-v1_1", "chat-7b-v1.1"),
        ("Chat_20b", "chat-20b"),
        ("https://huggingface.co/lab/chat-7b", "chat-7b"),
        ("https://huggingface.co/lab/chat-7b/tree/main?x=1#files", "chat-7b"),
        ("https://hf-mirror.com/lab/chat-7b/", "chat-7b"),
        ("huggingface.co/lab/chat-7b", "chat-7b"),
        ("https://www.modelscope.cn/models/Lab_CN/chat-7b/summary", "chat-7b"),
        ("https://openxlab.org.cn/models/detail/OpenLab/Chat-7b", "chat-7b"),
    ],
)
def test_every_spelling_of_a_known_model_means_it(catalog: Catalog, typed: str, name: str) -> None:
    """A name, an alias, any hub's id, another case and a page's address all mean the one model."""
    assert catalog.find(typed).name == name
    assert catalog.want(typed).name == name


def test_a_known_model_has_its_own_id_at_each_hub(catalog: Catalog) -> None:
    """One hub's id is turned into every hub's, whatever hubs were asked for."""
    ids = {
        "huggingface": "lab/chat-7b-v1.1",
        "modelscope": "Lab_CN/chat-7b-v1_1",
    }
    assert catalog.want("lab/chat-7b-v1.1", ["modelscope"]) == Wanted("chat-7b-v1.1", ids)


def test_a_hub_without_the_model_is_absent(catalog: Catalog) -> None:
    """The caller sees that a hub it named has no such model."""
    assert catalog.want("prover", ["modelscope"]).ids.get("modelscope") is None


def test_the_exact_spelling_wins(tmp_path: Path) -> None:
    """Where two names differ in case or separators only, each still means itself."""
    text = "family: f\nmodels: [{name: a-b, ids: {h: x/1}}, {name: a_b, ids: {h: x/2}}]"
    catalog = catalog_of(tmp_path, text)
    assert [catalog.find("a-b").name, catalog.find("A_B").name] == ["a-b", "a_b"]
    with pytest.raises(UnknownModel, match=r"a\.b"):
        catalog.find("a.b")


def test_a_name_wins_over_another_models_alias(tmp_path: Path) -> None:
    """An alias or id that is also a model's name means that model."""
    mine = "family: f\nmodels: [{name: mine, aliases: [chat-7b], ids: {huggingface: lab/chat-7b}}]"
    catalog = catalog_of(tmp_path, SHIPPED, mine)
    assert catalog.find("chat-7b").name == "chat-7b"
    assert catalog.find("lab/chat-7b").name == "chat-7b"


@pytest.mark.parametrize("typed", ["OpenLab/Chat-7b-original", "chat-7b-original"])
def test_the_other_weight_format_is_a_repository_of_its_own(catalog: Catalog, typed: str) -> None:
    """The `-original` twin is fetched from its hub only and never stands for the model."""
    wanted = Wanted("Chat-7b-original", {"openxlab": "OpenLab/Chat-7b-original"})
    assert catalog.want(typed) == wanted
    with pytest.raises(UnknownModel) as caught:
        catalog.find(typed)
    assert caught.value.suggestions[0] == "chat-7b"


@pytest.mark.parametrize(
    ("typed", "hubs", "ids"),
    [
        ("who/what", None, {"huggingface": "who/what"}),
        ("who/what", ["modelscope"], {"modelscope": "who/what"}),
        ("who/what", ["a", "b"], {"a": "who/what", "b": "who/what"}),
        ("https://modelscope.cn/models/who/what", None, {"modelscope": "who/what"}),
        ("https://modelscope.cn/models/who/what", ["huggingface"], {"huggingface": "who/what"}),
    ],
)
def test_an_unknown_repository_is_taken_literally(
    catalog: Catalog, typed: str, hubs: list[str] | None, ids: dict[str, str]
) -> None:
    """It goes to the hubs named, else to the one whose page was pasted, else to Hugging Face."""
    wanted = catalog.want(typed, hubs)
    assert wanted == Wanted("what", ids, "who/what")
    assert catalog.want(wanted.typed, wanted.where[10:].split(",") if wanted.where else None) == wanted


def test_a_hub_from_elsewhere_is_given_what_was_typed(catalog: Catalog) -> None:
    """A hub that the catalogue knows nothing about is asked for the id as it stands."""
    assert catalog.want("Lab_CN/chat-7b", ["acme"]).ids["acme"] == "Lab_CN/chat-7b"
    assert catalog.want("20b-chat", ["acme"]).ids["acme"] == "lab/chat-20b"


def test_an_unknown_name_gets_close_ones(catalog: Catalog) -> None:
    """The error is exit 66 and its hint is the exact command, in both languages."""
    with pytest.raises(UnknownModel) as caught:
        catalog.want("chat7b")
    error = caught.value
    assert error.exit_code == ExitCode.NOT_FOUND
    assert error.details()["name"] == "chat7b"
    assert error.suggestions[0] == "chat-7b"
    for language in ("en", "zh"):
        hint = error.next_step(language) or ""
        assert "`internlm-setup fetch chat-7b`" in hint
        assert "`internlm-setup models list`" in hint


def test_words_in_another_order_are_close(catalog: Catalog) -> None:
    """`7b-chat` is one of the ways to get a name wrong."""
    assert catalog.close_to("7b-chat") == ("chat-7b", "chat-20b", "chat-7b-v1.1")


def test_a_part_of_a_name_is_close(catalog: Catalog) -> None:
    """A name cut short leads to the whole one, however much is missing."""
    assert catalog.close_to("rov") == ("prover",)


def test_a_name_like_nothing_gets_the_list(catalog: Catalog) -> None:
    """No suggestion is better than a wrong one."""
    with pytest.raises(UnknownModel) as caught:
        catalog.find("zzzzzz")
    assert caught.value.suggestions == ()
    assert "`internlm-setup models list`" in (caught.value.next_step("zh") or "")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "a b",
        "a/b/c",
        "a//b",
        "/a",
        "a/",
        "..",
        "../x",
        "./a/b",
        "a/..",
        "a..b/c",
        "-x",
        "a\\b",
        "a\x1b[31m",
        "a\nb",
        "模型",
        "who/what@main",
        "x" * 300,
        "https://",
        "https://huggingface.co/",
        "https://huggingface.co/lab",
        "https://example.org/lab/chat-7b",
        "ftp://huggingface.co/lab/chat-7b",
        "https://huggingface.co/datasets/lab/chat-7b",
        "https://huggingface.co/lab/cha t",
    ],
)
def test_what_is_no_name_is_refused(catalog: Catalog, typed: str) -> None:
    """A malformed name is an error of its own, and nothing unprintable comes back in it."""
    with pytest.raises(BadModelName) as caught:
        catalog.want(typed, ["modelscope"])
    assert caught.value.message("en").isprintable()
    assert caught.value.message("zh") != caught.value.message("en")
    assert caught.value.next_step()


@pytest.mark.parametrize(
    ("tail", "command"),
    [
        ("tree/v1.0", "`internlm-setup fetch lab/chat-7b --revision v1.0`"),
        ("tree/refs/pr/1", "`internlm-setup fetch lab/chat-7b`"),
        ("blob/main/config.json", "`internlm-setup fetch lab/chat-7b`"),
    ],
)
def test_an_address_that_says_more_is_not_cut_short(catalog: Catalog, tail: str, command: str) -> None:
    """A revision or a file in the address is never dropped in silence."""
    with pytest.raises(BadModelName) as caught:
        catalog.want(f"https://huggingface.co/lab/chat-7b/{tail}")
    assert caught.value.next_step() == command


def test_a_token_in_an_address_is_not_shown(catalog: Catalog) -> None:
    """User information and queries may hold secrets."""
    with pytest.raises(BadModelName) as caught:
        catalog.want("https://me:s3cret@example.org/lab/chat-7b?token=s3cret")
    assert "s3cret" not in caught.value.message()


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(typed: str) -> None:
    """No text is a traceback, and no id that comes out has a step upwards or a third part."""
    try:
        wanted = Catalog(()).want(typed)
    except SetupError:
        return
    (repo,) = wanted.ids.values()
    assert ".." not in repo
    assert repo.count("/") == 1
    assert repo.isprintable()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (None, ["chat-7b", "chat-7b-v1.1", "chat-20b", "prover"]),
        ("", ["chat-7b", "chat-7b-v1.1", "chat-20b", "prover"]),
        ("7B", ["chat-7b", "chat-7b-v1.1"]),
        ("*-7b", ["chat-7b"]),
        ("chat-[27]*b", ["chat-7b", "chat-20b"]),
        ("v1_1", ["chat-7b-v1.1"]),
        ("20b-c", ["chat-20b"]),
        ("chats", ["chat-7b", "chat-7b-v1.1", "chat-20b", "prover"]),
        ("lab", []),
        ("openlab/", ["chat-7b"]),
        ("nothing", []),
    ],
)
def test_a_pattern_selects_in_natural_order(catalog: Catalog, pattern: str | None, names: list[str]) -> None:
    """A glob or a part of a name in any case; 7 comes before 20."""
    assert [model.name for model in catalog.matching(pattern)] == names


def test_a_file_is_read_as_it_stands(catalog: Catalog) -> None:
    """Values that YAML would turn into numbers stay texts, and what is left out is empty."""
    model = catalog.find("chat-7b")
    assert model.revisions["huggingface"].revision == "1.0"
    assert model.original_ids == {"openxlab": "OpenLab/Chat-7b-original"}
    assert (model.title.en, model.title.zh, model.source) == ("Chats", "对话", "the README")
    assert catalog.find("prover").aliases == ()


def test_a_users_file_adds_and_replaces(tmp_path: Path) -> None:
    """A user's model of a shipped name takes the whole place of it; others are added."""
    mine = "\ufefffamily: my\nmodels: [{name: Chat-7B, ids: {acme: me/c}}, {name: new, ids: {h: a/b}}]"
    catalog = catalog_of(tmp_path, SHIPPED, mine)
    assert catalog.find("chat-7b").ids == {"acme": "me/c"}
    assert len(catalog.models) == 5
    new = catalog.find("new")
    assert (new.title.zh, Path(new.source).name) == ("my", "family.yaml")


def test_folders_that_are_not_there_are_skipped(tmp_path: Path) -> None:
    """A user without a folder of their own has the shipped catalogue."""
    assert load_catalog([tmp_path / "nowhere"]) == Catalog(())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "file"),
        ("just words", "file"),
        ("[]", "file"),
        ("family: f\nmodels: [", "line 2"),
        ("a\x00b", "file"),
        ("[" * 5000, "file"),
        ("models: [{name: a, ids: {h: x/y}}]", "family"),
        ("family: f", "models"),
        ("family: f\nmodels: {}", "models"),
        ("family: f\nmodels: []", "models"),
        ("family: f\ntitle: {en: only}\nmodels: [{name: a, ids: {h: x/y}}]", "title.zh"),
        ("family: f\nmodels: [{name: a, ids: {h: x/y}, idz: 1}]", "models[1].idz"),
        ("family: f\nmodels: [{name: a b, ids: {h: x/y}}]", "models[1].name"),
        ("family: f\nmodels: [{name: [a], ids: {h: x/y}}]", "models[1].name"),
        ("family: f\nmodels: [{name: a}]", "models[1].ids"),
        ("family: f\nmodels: [{name: a, ids: }]", "models[1].ids"),
        ("family: f\nmodels: [{name: a, ids: {h: no-org}}]", "models[1].ids.h"),
        ("family: f\nmodels: [{name: a, ids: {h: ../x}}]", "models[1].ids.h"),
        ("family: f\nmodels: [{name: a, ids: {h: x/y}, aliases: b}]", "models[1].aliases"),
        ("family: f\nmodels: [{name: a, ids: {h: x/y}, aliases: [b c]}]", "models[1].aliases[1]"),
        ("family: f\nmodels: [{name: a, ids: {h: x/y}, revisions: {h: v1}}]", "revisions.h"),
        (
            "family: f\nmodels: [{name: a, ids: {h: x/y}}, {name: A, ids: {h: x/z}}]",
            "models[2]",
        ),
    ],
)
def test_a_bad_file_is_named_with_the_place(tmp_path: Path, text: str, where: str) -> None:
    """A mistake is exit 78 with the file and the line or field, never a traceback."""
    with pytest.raises(BadCatalogFile) as caught:
        catalog_of(tmp_path, SHIPPED, text)
    error = caught.value
    assert error.exit_code == ExitCode.CONFIG
    assert error.path == str(tmp_path / "1" / "family.yaml")
    assert error.where.endswith(where)
    assert error.message("en") != error.message("zh")


@pytest.mark.parametrize("raw", [b"family: \xd6\xd0\xce\xc4", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, raw: bytes | None) -> None:
    """Another encoding and a folder in the file's place are told, not raised as they come."""
    path = tmp_path / "mine.yaml"
    path.mkdir() if raw is None else path.write_bytes(raw)
    with pytest.raises(BadCatalogFile) as caught:
        load_catalog([tmp_path])
    assert (caught.value.path, caught.value.where) == (str(path), "file")

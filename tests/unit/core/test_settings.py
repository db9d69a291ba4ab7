"""Every setting has a value and an origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.errors import ConfigError, SetupError
from internlm_setup.core.paths import shipped_configs
from internlm_setup.core.setting_rules import BadOption, BadSetting, Origin, Value, parse_rate
from internlm_setup.core.settings import (
    HubDefaults,
    Settings,
    UnknownKey,
    find_language,
    hub_defaults,
    network_settings,
    resolve_settings,
)

HUBS = (HubDefaults("one", "https://one.test", ("ONE_ENDPOINT", "ONE_DOMAIN")),)


def resolved(file: Path, env: dict[str, str] | None = None, **given: Value) -> Settings:
    return resolve_settings(env=env or {}, config_file=file, hubs=HUBS, given=given)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A config file that sets several things."""
    path = tmp_path / "config.yaml"
    path.write_text("jobs: 4\nlang: zh\nendpoint:\n  one: https://mine.test/\n", encoding="utf-8")
    return path


def test_defaults(tmp_path: Path) -> None:
    """Without a file or variables everything has its default."""
    settings = resolved(tmp_path / "none")
    assert (settings.source, settings.jobs, settings.limit_rate_bytes_per_s) == ("auto", 8, None)
    assert settings.endpoint("one") == "https://one.test"
    assert settings.endpoint("two") is None
    assert {str(s.origin) for s in settings} == {"default"}


def test_order(file: Path) -> None:
    """Command line over variable over file over default, and each says so."""
    env = {"INTERNLM_SETUP_JOBS": "5"}
    assert resolved(file)["jobs"].origin == Origin("file", str(file))
    assert resolved(file, env)["jobs"].origin == Origin("environment", "INTERNLM_SETUP_JOBS")
    assert resolved(file, env, jobs=6)["jobs"].origin == Origin("command line")
    assert [resolved(file).jobs, resolved(file, env).jobs, resolved(file, env, jobs=6).jobs] == [
        4,
        5,
        6,
    ]


def test_sources(tmp_path: Path) -> None:
    """A hub that is named twice is one; `auto` names none."""
    assert resolved(tmp_path / "none", source="b, a,b").sources == ("b", "a")
    assert resolved(tmp_path / "none", source=" auto ").sources == ()


def test_endpoint_variables(file: Path) -> None:
    """The first variable that is set wins; a bare domain is an https address."""
    assert resolved(file).endpoint("one") == "https://mine.test"
    assert resolved(file, {"ONE_DOMAIN": "d.test"}).endpoint("one") == "https://d.test"
    both = {"ONE_DOMAIN": "d.test", "ONE_ENDPOINT": "http://e.test:8/x/"}
    assert resolved(file, both).endpoint("one") == "http://e.test:8/x"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("jobs", "0"),
        ("jobs", "many"),
        ("source", "auto,huggingface"),
        ("source", "huggingface,"),
        ("source", "'huggingface,,modelscope'"),
        ("limit_rate", "fast"),
        ("limit_rate", "0"),
        ("endpoint.one", "a b"),
        ("endpoint.one", "http://host:port"),
        ("endpoint.one", "http://host:99999"),
        ("endpoint.one", "https://:443"),
    ],
)
def test_wrong_values(tmp_path: Path, key: str, value: str) -> None:
    """A wrong value is a usage error on the command line and a config error elsewhere."""
    with pytest.raises(BadOption, match=value):
        resolve_settings(env={}, config_file=tmp_path, hubs=HUBS, given={key: value})
    path = tmp_path / "config.yaml"
    hub = key.partition(".")[2]
    path.write_text(f"endpoint: {{{hub}: {value}}}" if hub else f"{key}: {value}", encoding="utf-8")
    with pytest.raises(BadSetting, match=str(path)):
        resolved(path)


def test_half_an_address(tmp_path: Path) -> None:
    """An address that no parser takes is refused like any other wrong value."""
    with pytest.raises(BadOption):
        resolve_settings(env={}, config_file=tmp_path, hubs=HUBS, given={"endpoint.one": "https://[::1"})


def test_wrong_variable(tmp_path: Path) -> None:
    """The message names the variable."""
    with pytest.raises(BadSetting, match="INTERNLM_SETUP_JOBS"):
        resolved(tmp_path / "none", {"INTERNLM_SETUP_JOBS": "x"})


@pytest.mark.parametrize("content", ["jbos: 4", "endpoint: {two: https://x.test}", "endpoint: 3"])
def test_unknown_keys(tmp_path: Path, content: str) -> None:
    """An unknown key is refused, with the keys there are."""
    path = tmp_path / "config.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnknownKey) as caught:
        resolved(path)
    assert "endpoint.one" in (caught.value.next_step() or "")


@pytest.mark.parametrize("content", [b"a: [", b"- x", b"\xff\xfe\xff", b"just words"])
def test_files_that_are_no_settings(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be read as settings is named."""
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        resolved(path)


def test_empty_file(tmp_path: Path) -> None:
    """A file of comments sets nothing."""
    path = tmp_path / "config.yaml"
    path.write_text("# jobs: 4\n", encoding="utf-8")
    assert resolved(path).jobs == 8


def test_language(file: Path, tmp_path: Path) -> None:
    """The option, our variable, the file, the locale, English."""
    locale = {"LANG": "en_US.UTF-8"}
    ours = {"INTERNLM_SETUP_LANG": "en"}
    assert find_language(locale, file) == ("zh", Origin("file", str(file)))
    assert find_language(ours, file) == ("en", Origin("environment", "INTERNLM_SETUP_LANG"))
    assert find_language(ours, file, "zh") == ("zh", Origin("command line"))
    assert find_language({"LANG": "zh_CN"}, tmp_path) == ("zh", Origin("environment", "LANG"))
    assert find_language({}, tmp_path / "none") == ("en", Origin("default"))
    assert resolved(file)["lang"].value == "zh"


def test_network_settings_hide_passwords() -> None:
    """Proxies are shown without their password, in the spelling that was found."""
    env = {"https_proxy": "http://me:secret@proxy.test:3128", "NO_PROXY": "localhost"}
    found = {s.name: s.value for s in network_settings(env)}
    assert found == {"https_proxy": "http://me:***@proxy.test:3128", "NO_PROXY": "localhost"}


def test_shipped_hubs() -> None:
    """The shipped file gives every hub an endpoint and the variables of its vendor."""
    hubs = {hub.id: hub for hub in hub_defaults(shipped_configs() / "hubs.yaml")}
    assert hubs["huggingface"].variables == ("HF_ENDPOINT",)
    assert hub_defaults(Path("/nowhere")) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10M", 10 << 20),
        ("512k", 512 << 10),
        ("1.5GiB/s", 3 << 29),
        ("77", 77),
        ("0", None),
        ("x", None),
    ],
)
def test_rates(text: str, expected: int | None) -> None:
    """Rates are binary and per second."""
    assert parse_rate(text) == expected


def test_errors_are_ours() -> None:
    """Both refusals are failures that a person is told about."""
    assert issubclass(BadOption, SetupError)
    assert BadOption.exit_code == 2

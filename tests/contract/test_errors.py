"""Every error class keeps the rules, found by itself."""

from __future__ import annotations

import importlib
import pkgutil
import re
import string
from collections.abc import Iterator

import pytest

import internlm_setup
from internlm_setup.cli.errors import Bug
from internlm_setup.core import errors as families
from internlm_setup.core.errors import ExitCode, SetupError
from internlm_setup.core.text import Text

ENVELOPE = {"code", "message", "hint"}
CORE_SSH = "internlm_setup.core.ssh"
LENT = {
    f"{CORE_SSH}.connect_errors": "tunnel",
    f"{CORE_SSH}.login_errors": "tunnel",
    f"{CORE_SSH}.errors": "ssh_key",
}
FAMILIES = {thing for thing in vars(families).values() if isinstance(thing, type)}


def every_class(base: type[SetupError] = SetupError) -> Iterator[type[SetupError]]:
    for module in pkgutil.walk_packages(internlm_setup.__path__, "internlm_setup."):
        if module.name.endswith("errors") or module.name.startswith("internlm_setup.core."):
            importlib.import_module(module.name)
    todo = [base]
    while todo:
        found = todo.pop()
        todo += found.__subclasses__()
        if found.__module__.startswith("internlm_setup.") and found not in FAMILIES:
            yield found


ALL = sorted(set(every_class()), key=lambda found: found.code)


def placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name is not None}


def test_there_are_errors() -> None:
    """The search finds something, or the rest proves nothing."""
    assert len(ALL) > 5


def test_codes_are_unique() -> None:
    """One code, one meaning."""
    codes = [found.code for found in ALL]
    assert sorted(set(codes)) == codes


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.code)
class TestError:
    """What holds for each class."""

    def test_code(self, found: type[SetupError]) -> None:
        """The code is `<feature>.<slug>`: the feature it lives in, or for core.ssh the one people meet it in."""
        feature = LENT.get(found.__module__, found.__module__.split(".")[1])
        assert re.fullmatch(rf"{feature}\.[a-z0-9]+(-[a-z0-9]+)*", found.code)

    def test_family(self, found: type[SetupError]) -> None:
        """Every error but the bug itself has a family."""
        assert (found.exit_code == ExitCode.BUG) == (found is Bug)

    def test_words(self, found: type[SetupError]) -> None:
        """Both languages say something with the same fields, which the class has."""
        names = set(getattr(found, "__dataclass_fields__", {}))
        texts = [t for t in (found.text, found.hint) if t is not None]
        extra = [t for t in vars(found).values() if isinstance(t, Text) and t not in texts]
        for text in [*texts, *extra]:
            assert text.en.strip()
            assert text.zh.strip()
            assert placeholders(text.en) == placeholders(text.zh)
        for text in texts:
            assert placeholders(text.en) <= names

    def test_one_line_without_full_stop(self, found: type[SetupError]) -> None:
        """A message is one line and ends without a full stop."""
        assert "\n" not in found.text.en + found.text.zh
        assert not found.text.en.endswith(".")
        assert not found.text.zh.endswith("。")

    def test_fields_leave_the_envelope_alone(self, found: type[SetupError]) -> None:
        """No field hides the envelope's own keys."""
        names = set(getattr(found, "__dataclass_fields__", {}))
        assert names.isdisjoint(ENVELOPE)


def test_the_codes_that_are_law() -> None:
    """Scripts rely on them."""
    assert {"fetch.hash-mismatch", "tunnel.host-key-changed"} <= {found.code for found in ALL}

"""`mirrors`: package mirrors; one file a verb."""

from __future__ import annotations

import importlib

import typer

from internlm_setup.cli.help import add_group
from internlm_setup.core import registry
from internlm_setup.core.text import Text


def register(app: typer.Typer) -> None:
    """Add the noun, and every verb that has a file here."""
    says = Text(en="Point pip and conda at mirrors, and undo it exactly", zh="让 pip 和 conda 使用镜像，并可原样撤销")
    noun = add_group(app, "mirrors", says=says, examples=["internlm-setup mirrors list"])
    for name in registry.modules(__name__):
        importlib.import_module(name).register(noun)

"""The table of hubs on stderr."""

from __future__ import annotations

from internlm_setup.cli.hubs import lines
from internlm_setup.core.text import Text
from internlm_setup.fetch.model import Standing

SAYS = Text(en="the same", zh="相同")
HUBS = (
    Standing("modelscope", "lab/chat", "master", None, "used", 12, 1 << 20, (), SAYS, None),
    Standing("x", "long-lab/chat", "", None, "silent", None, None, (), SAYS, None),
)


def test_columns_begin_together() -> None:
    """Cells are as wide as they look, in either language, and no line ends in spaces."""
    assert list(lines(HUBS, "en")) == [
        "HUB         ID             FILES  SIZE     SAYS",
        "modelscope  lab/chat       12     1.0 MiB  the same",
        "x           long-lab/chat                  the same",
    ]
    assert next(lines(HUBS, "zh")) == "平台        ID             文件数  大小     说明"

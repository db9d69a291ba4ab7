"""What each hub holds of a model, as a table: for `models show`, and for `fetch` before bytes move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from internlm_setup.cli.help import width_of
from internlm_setup.core.text import Language, Text, human_size
from internlm_setup.fetch.model import Standing

COLUMNS = (
    Text(en="HUB", zh="平台"),
    Text(en="ID", zh="ID"),
    Text(en="FILES", zh="文件数"),
    Text(en="SIZE", zh="大小"),
    Text(en="SAYS", zh="说明"),
)


def row(standing: Standing, language: Language) -> tuple[str, ...]:
    """Return one hub's cells."""
    files = "" if standing.files is None else str(standing.files)
    size = "" if standing.size_bytes is None else human_size(standing.size_bytes)
    return (standing.name, standing.repo, files, size, standing.verdict.of(language))


def lines(standings: Sequence[Standing], language: Language) -> Iterator[str]:
    """Yield the table line by line, for stderr; drawn without rich, which a run with nothing to do need not load."""
    table = [tuple(column.of(language) for column in COLUMNS), *(row(s, language) for s in standings)]
    widths = [max(map(width_of, cells)) for cells in zip(*table, strict=True)]
    for cells in table:
        padded = (cell + " " * (width - width_of(cell)) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()

"""Every file of the corpora, written through the journal and undone: the same bytes, mode and link."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from cases.mirrors import npm, pdm, pip, uv
from cases.mirrors.marked import MIRROR, WISH
from condarcs import CONDARCS
from fakes import StillClock
from internlm_setup.core.text import Text
from internlm_setup.mirrors import targets
from internlm_setup.mirrors.journal import Journal
from internlm_setup.mirrors.model import Change, Channel, Machine, Serving, Site, Wish
from internlm_setup.mirrors.plan import change

MACHINE = Machine("linux", {}, PurePosixPath("/home/me"), False, {})
CONDA = Wish(
    Site("mirror", Text(en="Mirror", zh="镜像"), "2026-11-01", {"conda": Serving(MIRROR, "full", "")}),
    (
        Channel("main", f"{MIRROR}/pkgs/main", "catalogue"),
        Channel("conda-forge", f"{MIRROR}/cloud/conda-forge", "catalogue"),
    ),
)
CORPORA = {
    **{name: [case.before for case in of.CASES] for name, of in (("pip", pip), ("npm", npm), ("uv", uv), ("pdm", pdm))},
    "conda": list(CONDARCS.values()),
}


def changes(tool: str, folder: Path) -> Iterator[Change]:
    """Put a tool's files on the disk, each third one behind a link and each fourth one private; say what is written."""
    target = targets.get(tool)
    for number, data in enumerate(CORPORA[tool]):
        path = folder / f"{number}.conf"
        path.write_bytes(data)
        path.chmod(0o600 if number % 4 == 0 else 0o644)
        if number % 3 == 0:
            path.rename(folder / f"{number}.dotfile")
            path.symlink_to(f"{number}.dotfile")
        keys = target.syntax(path).look(data)
        yield change(target, path, data, target.edits(keys, CONDA if tool == "conda" else WISH, MACHINE))


def tree(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Return everything in a folder: a link's target, the mode, the bytes."""
    return {
        path.name: (
            str(path.readlink()) if path.is_symlink() else "",
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes(),
        )
        for path in folder.iterdir()
    }


@pytest.mark.parametrize("tool", CORPORA)
def test_undo_is_exact(tool: str, tmp_path: Path) -> None:
    """Written, every file differs in what was planned; undone, nothing differs any more."""
    folder = tmp_path / "files"
    folder.mkdir()
    planned = list(changes(tool, folder))
    before = tree(folder)
    journal = Journal(tmp_path / "journal")
    assert journal.write(planned, StillClock()) is not None
    assert [one.path.read_bytes() for one in planned] == [one.after for one in planned]
    undone = journal.undo(None, lambda tool, path: targets.get(tool).syntax(path))
    assert {one.how for one in undone} == {"exact"}
    assert tree(folder) == before


@pytest.mark.parametrize("tool", CORPORA)
def test_undo_key_by_key(tool: str, tmp_path: Path) -> None:
    """Where somebody wrote a comment since, the keys are put back and the comment stays; what cannot be is named."""
    folder = tmp_path / "files"
    folder.mkdir()
    planned = [one for one in changes(tool, folder) if one.before != one.after]
    journal = Journal(tmp_path / "journal")
    journal.write(planned, StillClock())
    end = {one.path: b"\n# since then\n" for one in planned}
    for one in planned:
        one.path.write_bytes((one.after or b"") + end[one.path])
    undone = {one.path: one for one in journal.undo(None, lambda tool, path: targets.get(tool).syntax(path))}
    assert {one.how for one in undone.values()} == {"keys"}
    target, odd = targets.get(tool), 0
    for one in planned:
        now = one.path.read_bytes()
        assert now.endswith(end[one.path])
        was, found = (target.syntax(one.path).look(data) for data in (one.before or b"", now))
        differ = {key for key in was.keys() | found.keys() if was.get(key) != found.get(key)}
        assert differ <= set(undone[one.path].left)
        odd += bool(differ)
    assert odd <= len(planned) / 10  # a value over several lines, a key without one

"""Writing a person's files and taking it back: bytes, modes, links and folders as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes import StillClock
from internlm_setup.core.errors import ExitCode
from internlm_setup.core.text import Text
from internlm_setup.mirrors.errors import FileChanged, FileUnparseable, SnapshotLost, UnknownRecord
from internlm_setup.mirrors.journal import Journal, Record, Written
from internlm_setup.mirrors.revert import Undone
from writes import change, lines_of, tree, write

OLD = b"# mine\r\nindex = https://old.test/simple\r\n\r\n[x]\r\nno newline"
NEW = OLD.replace(b"old.test", b"new.test")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "mirrors"


@pytest.fixture
def journal(state: Path) -> Journal:
    return Journal(state)


def test_nothing_to_change_writes_nothing(journal: Journal, home: Path, tmp_path: Path) -> None:
    """No change, no record, and not even a folder of ours."""
    (home / "pip.conf").write_bytes(OLD)
    before = tree(tmp_path)
    assert write(journal) is None
    assert write(journal, change(home / "pip.conf", OLD), change(home / "none", None)) is None
    assert journal.records() == []
    assert journal.undo(None, lines_of) == []
    assert tree(tmp_path) == before


def test_a_file_is_written_and_restored(journal: Journal, home: Path) -> None:
    """The bytes and the mode come back, and the record says so."""
    file = home / "pip.conf"
    file.write_bytes(OLD)
    file.chmod(0o640)
    before = tree(home)
    assert journal.write([change(file, NEW, "index")], StillClock(1234.5)) == "1"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (NEW, 0o640)
    written = (Written("pip", file, (("index",),)),)
    assert journal.records() == [Record("1", 1234.5, written, undone=False)]

    assert journal.undo("1", lines_of) == [Undone(file, "exact")]
    assert tree(home) == before
    assert journal.records() == [Record("1", 1234.5, written, undone=True)]


def test_new_files_and_folders_vanish_again(journal: Journal, home: Path) -> None:
    """What was not there is not there afterwards, folders that two runs made for two files included."""
    one, two, three = (home / ".config" / name for name in ("pip/pip.conf", "uv/uv.toml", "pixi/config.toml"))
    write(journal, change(one, b"a = 1\n"), change(two, b"b = 1\n"))
    write(journal, change(three, b"c = 1\n"))
    assert journal.undo("1", lines_of) == [Undone(two, "removed"), Undone(one, "removed")]
    assert sorted(tree(home)) == [".config", ".config/pixi", ".config/pixi/config.toml"]
    assert journal.undo(None, lines_of) == [Undone(three, "removed")]
    assert tree(home) == {}


def test_folders_that_are_in_use_stay(journal: Journal, home: Path) -> None:
    """A folder of ours in which somebody put a file is theirs."""
    file = home / ".config" / "pip" / "pip.conf"
    write(journal, change(file, b"a = 1\n"))
    (home / ".config" / "theirs").write_bytes(b"x")
    journal.undo(None, lines_of)
    assert sorted(tree(home)) == [".config", ".config/theirs"]


def test_a_removed_file_comes_back_with_its_mode(journal: Journal, home: Path) -> None:
    """A file that was taken away is there again as it was."""
    file = home / "pip.conf"
    file.write_bytes(OLD)
    file.chmod(0o666)
    before = tree(home)
    write(journal, change(file, None))
    assert tree(home) == {}
    assert journal.undo(None, lines_of) == [Undone(file, "exact")]
    assert tree(home) == before


def test_links_stay_links(journal: Journal, home: Path) -> None:
    """The file at the end of a chain of links is written, or made where the last one leads nowhere."""
    dotfiles = home / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "condarc").write_bytes(OLD)
    (home / ".condarc").symlink_to("dotfiles/condarc")
    (home / "nowhere").symlink_to("dotfiles/later/npmrc")
    before = tree(home)
    write(journal, change(home / ".condarc", NEW), change(home / "nowhere", b"a = 1\n"))
    assert (home / ".condarc").is_symlink()
    assert (dotfiles / "condarc").read_bytes() == NEW
    assert (dotfiles / "later" / "npmrc").read_bytes() == b"a = 1\n"
    journal.undo(None, lines_of)
    assert tree(home) == before


def test_an_undo_takes_the_newest_that_is_left(journal: Journal, home: Path) -> None:
    """Without an id it walks back, and each record can be undone once."""
    file = home / "pip.conf"
    for n in (1, 2, 3):
        assert write(journal, change(file, b"a = %d\n" % n, "a")) == str(n)
    assert journal.undo(None, lines_of) == [Undone(file, "exact")]
    assert journal.undo(None, lines_of) == [Undone(file, "exact")]
    assert [(record.id, record.undone) for record in journal.records()] == [("3", True), ("2", True), ("1", False)]
    with pytest.raises(UnknownRecord) as caught:
        journal.undo("3", lines_of)
    assert caught.value.message() == "change `3` was undone already"
    assert (caught.value.known, caught.value.exit_code) == ("1", ExitCode.NOT_FOUND)
    with pytest.raises(UnknownRecord, match="change `9` is not in the journal"):
        journal.undo("9", lines_of)
    journal.undo("1", lines_of)
    assert (tree(home), journal.undo(None, lines_of)) == ({}, [])
    assert write(journal, change(file, b"b = 1\n")) == "7"  # undos count too: an id is never used twice


def test_an_edited_file_is_reverted_key_by_key(journal: Journal, home: Path) -> None:
    """Only keys that are still ours go back; what somebody wrote since stays, and both are named."""
    file = home / "pip.conf"
    file.write_bytes(b"# top\nindex = old\nhost = h\nkept = 1\n")
    write(journal, change(file, b"# top\nindex = new\nhost = g\nkept = 1\nextra = x\n", "index", "host", "extra"))
    file.write_bytes(b"# top\nindex = new\nhost = mine\nkept = 2\nextra = x\n# by hand\n")
    (undone,) = journal.undo(None, lines_of)
    assert undone == Undone(file, "keys", (("extra",), ("index",)), (("host",),))
    assert file.read_bytes() == b"# top\nindex = old\nhost = mine\nkept = 2\n# by hand\n"
    assert undone.words == Text(
        en="edited since, so key by key; put back: `extra`, `index`; left as they are: `host`",
        zh="此后被编辑过，因此逐键恢复；已恢复：`extra`, `index`；保持原样：`host`",
    )
    assert journal.records()[0].undone


def test_a_newer_change_of_the_same_file_is_kept(journal: Journal, home: Path) -> None:
    """Taking back the older of two is done by key; a file that was not there before goes with its last key."""
    file = home / "pip.conf"
    write(journal, change(file, b"a = 1\n", "a"))
    write(journal, change(file, b"a = 1\nb = 1\n", "b"))
    (undone,) = journal.undo("1", lines_of)
    assert undone == Undone(file, "keys", (("a",),), newer="2")
    assert undone.words.en == "changed again by 2, so key by key; put back: `a`"
    assert file.read_bytes() == b"b = 1\n"
    assert journal.undo("2", lines_of) == [Undone(file, "keys", (("b",),))]
    assert tree(home) == {}  # it was not there before, and nothing is left of it


def test_a_newer_change_that_led_back(journal: Journal, home: Path) -> None:
    """Even where the bytes happen to be those of the older change, it is not alone with the file any more."""
    file = home / "pip.conf"
    for data in (b"a = 1\n", b"a = 1\nb = 1\n", b"a = 1\n"):
        write(journal, change(file, data, "a", "b"))
    assert journal.undo("1", lines_of) == [Undone(file, "keys", (("a",),), newer="3")]


def test_a_key_that_cannot_go_back_alone_is_left(journal: Journal, home: Path) -> None:
    """The proof of every edit holds for an undo as well."""
    file = home / "pip.conf"
    file.write_bytes(b"odd! = 1\n")
    write(journal, change(file, b"odd! = 2\n", "odd!"))
    file.write_bytes(b"odd! = 2\nmore = 2\n")
    assert journal.undo(None, lines_of) == [Undone(file, "keys", left=(("odd!",),))]
    assert file.read_bytes() == b"odd! = 2\nmore = 2\n"


def test_nothing_of_ours_is_left(journal: Journal, home: Path) -> None:
    """A file from which our keys went already, or that is gone, is left; the record counts as undone."""
    file, other = home / "pip.conf", home / ".condarc"
    other.write_bytes(b"a = 0\n")
    write(journal, change(file, b"a = 1\n", "a"), change(other, b"a = 1\n", "a"))
    file.write_bytes(b"# empty\n")
    other.unlink()
    gone, mine = journal.undo(None, lines_of)
    assert (gone, mine) == (Undone(other, "gone"), Undone(file, "keys"))
    assert mine.words.en == "edited since, so key by key; nothing of it was left"
    assert file.read_bytes() == b"# empty\n"
    assert journal.undo(None, lines_of) == []


def test_put_back_by_hand_is_as_good(journal: Journal, home: Path) -> None:
    """A file that has its old bytes already counts as restored."""
    file = home / "pip.conf"
    file.write_bytes(OLD)
    write(journal, change(file, NEW, "index"))
    file.write_bytes(OLD)
    assert journal.undo(None, lines_of) == [Undone(file, "exact")]


def test_a_file_that_cannot_be_parsed_now(journal: Journal, home: Path) -> None:
    """It is named with its line, nothing at all is written, and the undo can be repeated."""
    file, other = home / "pip.conf", home / "other"
    write(journal, change(file, b"a = 1\n", "a"), change(other, b"a = 1\n", "a"))
    file.write_bytes(b"a = 1\n\0\n")
    before = tree(home)
    with pytest.raises(FileUnparseable) as caught:
        journal.undo(None, lines_of)
    assert (caught.value.path, caught.value.line, caught.value.exit_code) == (str(file), 2, ExitCode.CONFIG)
    assert tree(home) == before
    file.write_bytes(b"a = 1\n")
    journal.undo(None, lines_of)
    assert tree(home) == {}


def test_a_repair_has_no_keys_to_go_back_to(journal: Journal, home: Path) -> None:
    """The repair of a broken file goes back exactly, or not at all once the file was edited."""
    file = home / ".condarc"
    file.write_bytes(b"broken\0\n")
    write(journal, change(file, b"a = 1\n", "a"))
    file.write_bytes(b"a = 1\nb = 1\n")
    assert journal.undo(None, lines_of) == [Undone(file, "keys", left=(("a",),))]
    file.write_bytes(b"broken\0\n")
    write(journal, change(file, b"a = 1\n", "a"))
    assert journal.undo(None, lines_of) == [Undone(file, "exact")]
    assert file.read_bytes() == b"broken\0\n"


def test_a_file_that_changed_meanwhile(journal: Journal, home: Path) -> None:
    """One file that is not as it was read, and none of the run is written."""
    first, second = home / "pip.conf", home / ".condarc"
    second.write_bytes(b"a = 1\n")
    changes = [change(first, b"a = 2\n"), change(second, b"a = 2\n")]
    second.write_bytes(b"a = 1\n# by hand\n")
    before = tree(home)
    with pytest.raises(FileChanged) as caught:
        write(journal, *changes)
    assert (caught.value.path, caught.value.exit_code) == (str(second), ExitCode.WRITE)
    assert (tree(home), journal.records()) == (before, [])


def test_a_file_that_changed_to_what_we_want(journal: Journal, home: Path) -> None:
    """The same command run twice at once: the later one finds its work done."""
    file = home / "pip.conf"
    wanted = change(file, b"a = 1\n")
    assert write(journal, wanted) == "1"
    assert write(journal, wanted) is None


def test_the_same_file_twice_in_a_run(journal: Journal, home: Path) -> None:
    """The second would undo the first, so it is refused and the first is put back."""
    file = home / "pip.conf"
    file.write_bytes(OLD)
    with pytest.raises(FileChanged):
        write(journal, change(file, b"a = 1\n"), change(file, b"a = 2\n"))
    assert (file.read_bytes(), journal.records()) == (OLD, [])


def test_passwords_are_for_the_owner_alone(journal: Journal, home: Path, state: Path) -> None:
    """A new file with a password is 0600 as all of the journal is; a key is told without it."""
    file = home / "pip.conf"
    write(journal, change(file, b"index = https://me:secret@mirror.test/simple\n", "https://me:secret@mirror.test/x"))
    assert file.stat().st_mode & 0o777 == 0o600
    modes = {
        kind: {mode for found, mode, _ in tree(state.parent).values() if found == kind} for kind in ("16384", "32768")
    }
    assert modes["32768"] == {0o600}
    assert state.stat().st_mode & 0o777 == (state / "copies").stat().st_mode & 0o777 == 0o700
    file.write_bytes(file.read_bytes() + b"# x\n")
    (undone,) = journal.undo(None, lines_of)
    left = Undone(file, "keys", left=(("https://me:secret@mirror.test/x",),))
    assert "secret" not in left.words.en + left.words.zh + undone.words.en


def test_a_damaged_copy(journal: Journal, home: Path, state: Path) -> None:
    """An undo that cannot be exact any more writes nothing and says which copy is bad."""
    file = home / "pip.conf"
    file.write_bytes(OLD)
    write(journal, change(file, NEW, "index"))
    for copy in (state / "copies").iterdir():
        copy.write_bytes(b"rubbish")
    with pytest.raises(SnapshotLost) as caught:
        journal.undo(None, lines_of)
    assert caught.value.exit_code is ExitCode.CORRUPT
    for copy in (state / "copies").iterdir():
        copy.unlink()
    with pytest.raises(SnapshotLost):
        journal.undo(None, lines_of)
    assert file.read_bytes() == NEW


def test_a_journal_cut_anywhere(home: Path, tmp_path: Path) -> None:
    """What is left of the last line counts for nothing, earlier records stay, and writing goes on behind it."""
    file = home / "pip.conf"
    first = Journal(tmp_path / "first")
    write(first, change(file, b"a = 1\n", "a"))
    kept = (tmp_path / "first" / "journal.jsonl").read_bytes()
    write(first, change(file, b"a = 2\n", "a"))
    whole = (tmp_path / "first" / "journal.jsonl").read_bytes()
    for length in {*range(len(kept), len(whole), 11), len(whole) - 1, len(whole)}:
        file.write_bytes(b"a = 2\n")
        (tmp_path / "first" / "journal.jsonl").write_bytes(whole[:length])
        known = [record.id for record in first.records()]
        assert known in (["1"], ["2", "1"])
        assert write(first, change(file, b"a = 3\n", "a")) == str(len(known) + 1)
        assert [record.id for record in first.records()] == [str(len(known) + 1), *known]
        assert first.undo(None, lines_of) == [Undone(file, "exact")]
        assert file.read_bytes() == b"a = 2\n"


def test_lines_that_are_not_ours(journal: Journal, home: Path, state: Path) -> None:
    """Whatever else stands in the journal is passed over."""
    write(journal, change(home / "pip.conf", b"a = 1\n", "a"))
    odd = [
        [],
        1,
        {"end": [0], "of": "77"},
        {"begin": {"id": "x"}},
        {"begin": 3},
        {"later": 1},
        {"end": [9, "a"], "of": "1"},
    ]
    with (state / "journal.jsonl").open("ab") as file:
        file.write(b"\xff\n" + b"".join(json.dumps(line).encode() + b"\n" for line in odd[:-1]))
    assert [record.id for record in journal.records()] == ["1"]
    with (state / "journal.jsonl").open("ab") as file:
        file.write(json.dumps(odd[-1]).encode() + b"\n")
    assert journal.records() == []

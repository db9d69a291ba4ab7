"""The piece journal: what it says after a kill, a power cut, a damaged byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.fetch.transfer import journal as tested
from internlm_setup.fetch.transfer.journal import RECORD_BYTES, Journal, boot_id, decode, encode
from internlm_setup.fetch.transfer.spans import Span, Spans

ME = "abc:1000"
BOOT = "boot-1"
CHECKPOINT = None
offsets = st.integers(0, 1000)
written = st.tuples(offsets, offsets).map(sorted).map(tuple)
steps = st.lists(written | st.none(), max_size=12)
Step = Span | None


def head(identity: str = ME, boot: str = BOOT) -> bytes:
    """Return the first line of a journal."""
    return encode(identity, boot, [])[:-RECORD_BYTES]


def journal_of(history: list[Step]) -> bytes:
    """Return the journal that this history leaves behind; None stands for a checkpoint of all before it."""
    data = head()
    for number, step in enumerate(history):
        before = sum(s is not CHECKPOINT for s in history[:number])
        data += record(step) if step else checkpoint(before)
    return data


def record(span: Span) -> bytes:
    """Return the record of one span."""
    return encode(ME, BOOT, [], [span])[-RECORD_BYTES:]


def checkpoint(covered: int) -> bytes:
    """Return a checkpoint that covers so many records."""
    return encode(ME, BOOT, [(0, 0)] * covered)[-RECORD_BYTES:]


def recorded(history: list[Step]) -> list[Span]:
    """Return every span of a history as one set."""
    return list(Spans(s for s in history if s))


def within(found: Spans, allowed: list[Span]) -> bool:
    """Say whether every found byte is allowed."""
    return all(not Spans(allowed).holes(start, end) for start, end in found)


@given(steps)
def test_same_boot_trusts_every_record(history: list[Step]) -> None:
    """A process that was killed loses nothing that it recorded."""
    assert list(decode(journal_of(history), ME, BOOT)) == recorded(history)


@given(steps)
def test_other_boot_trusts_up_to_the_last_checkpoint(history: list[Step]) -> None:
    """After a power cut only what was synced counts."""
    synced = history[: max((n for n, s in enumerate(history) if s is CHECKPOINT), default=0)]
    assert list(decode(journal_of(history), ME, "boot-2")) == recorded(synced)


@given(steps, st.data())
def test_cut_at_any_byte(history: list[Step], data: st.DataObject) -> None:
    """Cut anywhere, the journal still says exactly what its whole records say."""
    whole = journal_of(history)
    cut = data.draw(st.integers(0, len(whole)))
    complete = max(0, cut - len(head())) // RECORD_BYTES
    expected = recorded(history[:complete]) if cut >= len(head()) else []
    assert list(decode(whole[:cut], ME, BOOT)) == expected


@given(steps, st.data())
def test_any_one_damaged_byte(history: list[Step], data: st.DataObject) -> None:
    """Damage to one byte, wherever it is, never makes the journal vouch for bytes that were not recorded."""
    damaged = bytearray(journal_of(history))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    assert within(decode(bytes(damaged), ME, BOOT), recorded(history))


@given(steps, st.data())
def test_one_damaged_byte_after_a_power_cut(history: list[Step], data: st.DataObject) -> None:
    """Nor does it then make unsynced records count."""
    synced = history[: max((n for n, s in enumerate(history) if s is CHECKPOINT), default=0)]
    damaged = bytearray(journal_of(history))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    assert within(decode(bytes(damaged), ME, "another boot"), recorded(synced))


@given(st.lists(written | st.none(), min_size=1, max_size=12), st.data())
def test_what_follows_damage_does_not_count(history: list[Step], data: st.DataObject) -> None:
    """Records behind a damaged one are not believed: where one is wrong, the rest may be another file's."""
    damaged = bytearray(journal_of(history))
    record = data.draw(st.integers(0, len(history) - 1))
    damaged[len(head()) + record * RECORD_BYTES + data.draw(st.integers(0, RECORD_BYTES - 1))] ^= 0x10
    assert list(decode(bytes(damaged), ME, BOOT)) == recorded(history[:record])


@given(steps, st.binary(max_size=100))
def test_rubbish_at_the_end(history: list[Step], rubbish: bytes) -> None:
    """Whatever else a crash leaves behind the last record, zeros included, adds nothing."""
    for tail in (rubbish, bytes(4096)):
        assert list(decode(journal_of(history) + tail, ME, BOOT)) == recorded(history)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    """A file that is no journal vouches for nothing."""
    assert list(decode(data, ME, BOOT)) == []


@pytest.mark.parametrize(
    "first",
    [b"[]", b"null", b'"text"', b"{}", b'{"journal": 1, "of": "abc:1000", "boot": "boot-1"}', b'{"journal": 2}', b""],
)
def test_other_heads(first: bytes) -> None:
    """A head of another shape or another version vouches for nothing."""
    records = encode(ME, BOOT, [(0, 9)]).partition(b"\n")[2]
    assert list(decode(first + b"\n" + records, ME, BOOT)) == []


def test_another_content() -> None:
    """The journal of another content, or of another size of this one, is not believed."""
    data = encode(ME, BOOT, [(0, 9)])
    assert list(decode(data, "abc:1001", BOOT)) == []
    assert list(decode(data, "abd:1000", BOOT)) == []


@given(st.lists(written, max_size=6))
def test_encoded_spans_survive_a_power_cut(spans: list[Span]) -> None:
    """What `encode` writes counts after any reboot."""
    assert list(decode(encode(ME, BOOT, spans), ME, "boot-2")) == list(Spans(spans))


def test_reopened(tmp_path: Path) -> None:
    """A journal that is opened again goes on where it was, also behind a torn record."""
    path = tmp_path / "pieces"
    first = Journal(path, ME)
    first.record(0, 10)
    first.close()
    with path.open("ab") as file:
        file.write(b"S torn")
    second = Journal(path, ME)
    second.record(20, 30)
    second.close()
    assert list(second.spans) == [(0, 10), (20, 30)]
    assert list(decode(path.read_bytes(), ME, boot_id())) == [(0, 10), (20, 30)]


def test_opening_is_no_checkpoint(tmp_path: Path) -> None:
    """What a killed process recorded without a sync does not become safe by being read again."""
    path = tmp_path / "pieces"
    for start in (0, 20):
        journal = Journal(path, ME)
        journal.record(start, start + 10)
        journal.close()
    assert list(decode(path.read_bytes(), ME, "the next boot")) == []


def test_checkpoint_on_disk(tmp_path: Path) -> None:
    """After a checkpoint the records before it count for every later boot, those after it for this one."""
    journal = Journal(tmp_path / "pieces", ME)
    journal.record(0, 10)
    journal.checkpoint(journal.mark())
    journal.record(20, 30)
    journal.close()
    data = (tmp_path / "pieces").read_bytes()
    assert list(decode(data, ME, "the next boot")) == [(0, 10)]
    assert list(decode(data, ME, boot_id())) == [(0, 10), (20, 30)]


def test_what_comes_during_a_sync_is_not_covered(tmp_path: Path) -> None:
    """A span that was recorded while the disk was waited for may have missed that sync."""
    journal = Journal(tmp_path / "pieces", ME)
    journal.record(0, 10)
    mark = journal.mark()
    journal.record(20, 30)
    journal.checkpoint(mark)
    journal.close()
    assert list(decode((tmp_path / "pieces").read_bytes(), ME, "the next boot")) == [(0, 10)]


@pytest.mark.parametrize("during", [False, True])
def test_shortening_keeps_checkpoints(tmp_path: Path, during: bool) -> None:
    """What was synced stays so when the journal is rewritten, also when that happens during the sync."""
    journal = Journal(tmp_path / "pieces", "long:99999")
    journal.record(0, 10)
    mark = journal.mark()
    if not during:
        journal.checkpoint(mark)
    for start in range(tested.COMPACT_AFTER_RECORDS):
        journal.record(20 + start, 21 + start)
    if during:
        journal.checkpoint(mark)
    journal.close()
    data = (tmp_path / "pieces").read_bytes()
    assert len(data) < 20 * RECORD_BYTES
    assert list(decode(data, "long:99999", "the next boot")) == [(0, 10)]
    assert list(decode(data, "long:99999", boot_id())) == [(0, 10), (20, 20 + tested.COMPACT_AFTER_RECORDS)]


def test_synced_spans_survive_several_boots(tmp_path: Path) -> None:
    """A journal that is opened after a power cut keeps what was synced before it, and still calls it synced."""
    path = tmp_path / "pieces"
    path.write_bytes(encode(ME, "an earlier boot", [(0, 10)], [(20, 30)]))
    Journal(path, ME).close()
    assert list(decode(path.read_bytes(), ME, "a later boot")) == [(0, 10)]


def test_long_histories_are_shortened(tmp_path: Path) -> None:
    """A journal of very many records is rewritten as the few spans they are, and goes on."""
    path = tmp_path / "pieces"
    journal = Journal(path, "long:99999")
    for start in range(tested.COMPACT_AFTER_RECORDS + 5):
        journal.record(start, start + 1)
    journal.close()
    assert path.stat().st_size < 20 * RECORD_BYTES
    assert list(decode(path.read_bytes(), "long:99999", boot_id())) == [(0, tested.COMPACT_AFTER_RECORDS + 5)]


def test_late_record(tmp_path: Path) -> None:
    """A record that comes after the journal was closed is refused, and lands in no other file."""
    journal = Journal(tmp_path / "pieces", ME)
    journal.close()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match="descriptor"):
        journal.record(0, 10)
    os.close(other)
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize("during", [False, True])
def test_forgotten_spans_are_not_vouched_for(tmp_path: Path, during: bool) -> None:
    """What turned out wrong is missing in this boot and the next, also when a sync was under way meanwhile."""
    journal = Journal(tmp_path / "pieces", ME)
    journal.record(0, 100)
    mark = journal.mark()
    if not during:
        journal.checkpoint(mark)
    journal.forget(30, 50)
    journal.record(35, 40)
    if during:
        journal.checkpoint(mark)
    journal.close()
    data = (tmp_path / "pieces").read_bytes()
    assert list(decode(data, ME, boot_id())) == [(0, 30), (35, 40), (50, 100)]
    assert list(decode(data, ME, "the next boot")) == ([] if during else [(0, 30), (50, 100)])

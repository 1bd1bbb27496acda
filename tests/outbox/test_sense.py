"""Files whose form is right and whose words are not, and files that are taken away while in use."""

from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.domain import GapReason, Missing
from edge_agent.errors import OutboxDamaged, OutboxUnusable
from edge_agent.outbox import Bounds, Gap, ImageRow, Outbox, Row, check_pages, contents
from edge_agent.outbox.file import connect
from edge_agent.outbox.salvage import SKIPPED
from tests.outbox.test_images import FACE, deliver, pictured
from tests.outbox.test_mending import filled, kept, overwrite
from tests.outbox.test_outbox import OWNER, Clock, Note


@pytest.mark.parametrize(
    ("words", "bit"),
    [
        (b"quarantined", 7), (b"quarantined", 0), (b"[[5, 5]]", 4), (b"not_written", 0), (b"purged", 7),
        (OWNER.encode(), 7), (b"too large", 7), (b"appended_age_s", 7), (b"appended_age_s", 1), (b"images_due", 2),
        (b"CREATE TABLE sent", 7), (b"counter", 1), (b"held", 0),
    ],
)  # fmt: skip
def test_one_bit_of_what_small_tables_or_the_first_page_say_is_mended(
    path: Path, clock: Clock, words: bytes, bit: int
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note() for _ in range(4)])
        outbox.purge()
        outbox.append([Note() for _ in range(9)])
        outbox.quarantine(5, why="too large")
        outbox.not_written(3)
    content = path.read_bytes()
    found = [k for k in range(len(content)) if content.startswith(words, k)]
    assert found
    for place in found:
        overwrite(path, place + 1, 1, content=bytes([content[place + 1] ^ 1 << bit]))
    with pytest.raises(OutboxDamaged):
        check_pages(path)
    for _ in range(2):
        with Outbox(path=path, now=clock, owner=OWNER) as outbox:
            assert len(list(contents(path))) > 9
            assert [row.seq for row in outbox.take(limit=99)][-8:] == [6, 7, 8, 9, 10, 11, 12, 13]
            assert GapReason.DAMAGED in {one.reason for one in outbox.take_gaps(limit=99)}
            outbox.purges()
            outbox.expire()
    assert len(kept(path)) == 1


def test_a_damaged_name_of_the_owner_is_nobody_elses(path: Path, clock: Clock) -> None:
    filled(path, clock, count=20)
    place = path.read_bytes().rindex(OWNER.encode())
    overwrite(path, place, 1, content=bytes([OWNER.encode()[0] ^ 1]))
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().owner == OWNER
        assert outbox.append([Note()]) == (20 + SKIPPED + 1,)


CHANGED = {
    "the age": "UPDATE age SET aged_s = aged_s + 67108864",
    "the time at that age": "UPDATE age SET utc_s = utc_s - 67108864",
    "the count, up": "UPDATE counter SET last_seq = last_seq + 1048576",
    "the count, down": "UPDATE counter SET last_seq = last_seq - 1",
    "a gap record's places": "UPDATE gaps SET ranges = '[[4, 5]]'",
    "a gap record's number": "UPDATE gaps SET reads = reads + 1024",
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_wrong_bit_that_makes_sense_costs_no_read(path: Path, clock: Clock, what: str) -> None:
    bounds = Bounds(keep_s=600)
    with Outbox(path=path, now=clock, owner=OWNER, bounds=bounds) as outbox:
        outbox.append([Note() for _ in range(5)])
        outbox.quarantine(5, why="too large")
    with closing(connect(path, None)) as connection:
        change = CHANGED[what]
        (before,) = connection.execute(f"SELECT crc32 FROM {change.split()[1]}").fetchone()  # noqa: S608
        connection.create_function("checksum", -1, lambda *_: before, deterministic=True)
        connection.execute(change)
    with pytest.raises(OutboxDamaged):
        check_pages(path)
    with Outbox(path=path, now=clock, owner=OWNER, bounds=bounds) as outbox:
        assert outbox.expire().reads == 0
        assert [row.seq for row in outbox.take(limit=9)] == [1, 2, 3, 4, 5]
        assert 5 < outbox.append([Note()])[0] <= 5 + SKIPPED + 1
        for gap in outbox.take_gaps(limit=9):
            assert gap.reads == 1 or (gap.reason, gap.ranges[0][0]) == (GapReason.DAMAGED, 1)
        clock.seconds += 601
        assert outbox.expire().reads == 6


def flip(path: Path, words: bytes, bit: int = 0) -> None:
    """Change one bit of the first character, wherever the words stand."""
    content = path.read_bytes()
    found = [k for k in range(len(content)) if content.startswith(words, k)]
    assert found
    for place in found:
        overwrite(path, place, 1, content=bytes([content[place] ^ 1 << bit]))


@pytest.mark.parametrize("was_sent", [False, True])
def test_a_read_with_a_wrong_bit_is_never_sent_and_its_place_is_told(
    path: Path, clock: Clock, was_sent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append(pictured(9))
        outbox.mark_sent([4] if was_sent else [])
    flip(path, b"note 4")
    check_pages(path)
    found = list(contents(path))
    assert [one.seq for one in found if isinstance(one, Row)] == [1, 2, 3, 5, 6, 7, 8, 9]
    assert [(one.reason, one.ranges) for one in found if isinstance(one, Gap)] == [(GapReason.DAMAGED, ((4, 4),))]
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.resend()
        assert [row.seq for row in outbox.take(limit=4)] == [1, 2, 3, 5]
        (told,) = outbox.take_gaps(limit=9)
        assert (told.what, told.reason, told.ranges, told.reads) == (Missing.READS, GapReason.DAMAGED, ((4, 4),), 1)
        assert outbox.status().images == 8
    assert "1 read damaged on the disk: not sent, the store is told which" in caplog.text


def test_a_picture_with_a_wrong_bit_is_never_sent_and_its_read_is_told(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append(pictured(3))
        deliver(outbox)
    flip(path, FACE + bytes([1]), 6)
    found = list(contents(path))
    assert [one.seq for one in found if isinstance(one, ImageRow)] == [1, 3]
    assert [(one.what, one.ranges) for one in found if isinstance(one, Gap)] == [(Missing.IMAGES, ((2, 2),))]
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take_images(limit=2)] == [1, 3]
        (told,) = outbox.take_gaps(limit=9)
        assert (told.what, told.reason, told.ranges) == (Missing.IMAGES, GapReason.DAMAGED, ((2, 2),))


def test_thousands_of_damaged_reads_in_a_row_leave_one_gap_record(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note() for _ in range(2000)])
        outbox._session._connection.execute("UPDATE reads SET sealed = x'00' WHERE seq < 2000")
        assert [row.seq for row in outbox.take(limit=1)] == [2000]
        assert [one.ranges for one in outbox.take_gaps(limit=9)] == [((1, 1999),)]


def test_a_read_with_another_id_than_its_own_is_damaged(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note(), Note()])
        outbox._session._connection.execute("UPDATE reads SET id = ? WHERE seq = 1", (bytes(16),))
        assert [row.seq for row in outbox.take(limit=9)] == [2]


def test_a_read_from_the_future_keeps_no_other_from_growing_old(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=10)) as outbox:
        for _ in range(3):
            outbox.append([Note()])
            clock.seconds += 1
        outbox._session._connection.execute("UPDATE reads SET appended_age_s = 7e305 WHERE seq != 2")
        clock.seconds += 6
        assert outbox.expire().reads == 0
        clock.seconds += 5
        assert outbox.expire().reads == 2
        assert outbox.purge().reads == 1


def test_what_is_salvaged_is_what_was_kept(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append(pictured(40))
    flip(path, b"note 7.")
    flip(path, FACE + bytes([8]))
    overwrite(path, 0, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=99)] == [k for k in range(1, 41) if k != 7]
        assert outbox.status().images == 38


@pytest.mark.parametrize("what", ["outbox.db", "outbox.db-wal"])
def test_what_is_taken_away_while_in_use_is_noticed_and_accounted_for(path: Path, clock: Clock, what: str) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
        (path.parent / what).unlink()
        with pytest.raises(OutboxDamaged, match="was moved or deleted while in use"):
            outbox.append([Note()])
        assert outbox.status().pending == 1
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        lost = {place for one in outbox.take_gaps(limit=9) for place in one.ranges}
        assert outbox.status().pending == (not lost)
        assert not lost or lost == {(1, 10_001)}
        outbox.append([Note()])


def test_who_was_taken_over_from_is_not_taken_for_a_damaged_name(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER):
        pass
    hint = path.with_suffix(".lock").read_bytes()
    with Outbox(path=path, now=clock, owner="hpd/car-13") as outbox:
        outbox.not_written(3)
    path.with_suffix(".lock").write_bytes(hint)  # as after a power cut before it was written
    with pytest.raises(OutboxUnusable, match="of hpd/car-13, which hpd/car-12 must not deliver"):
        Outbox(path=path, now=clock, owner=OWNER).open()

"""Pictures in the outbox's file: beside their reads, encrypted and salvaged like them."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from edge_agent.domain import GapReason, Missing
from edge_agent.errors import OutboxUnusable
from edge_agent.outbox import Bounds, ImageRow, Outbox, contents
from tests.outbox.test_outbox import OWNER, Clock, Note

KEY = b"k" * 32
FACE = b"a picture that shows AB12CD3 "


def pictured(count: int, *, times: int = 50) -> list[Note]:
    return [Note(300, image=FACE * times + bytes([number % 256])) for number in range(count)]


def deliver(outbox: Outbox) -> None:
    """Let the store have every read."""
    outbox.receipted([row.key for row in outbox.take(limit=10_000)])


def pages(path: Path, clock: Clock, *, table: str) -> Iterator[int]:
    """Every page of a table's tree, from its root down (https://www.sqlite.org/fileformat2.html#b_tree_pages)."""
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        (root,) = outbox._session._connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
    content, below = path.read_bytes(), [root]
    while below:
        yield (number := below.pop())
        page = content[(number - 1) * 4096 : number * 4096]
        if page[0] == 5:  # of a tree's inside: its cells begin with the numbers of those below
            cells = struct.unpack_from(f">{int.from_bytes(page[3:5])}H", page, 12)
            below += [int.from_bytes(page[8:12]), *(int.from_bytes(page[one : one + 4]) for one in cells)]


def zero(path: Path, numbers: Iterable[int]) -> None:
    with path.open("r+b") as file:
        for number in numbers:
            file.seek((number - 1) * 4096)
            file.write(bytes(4096))


def test_a_correction_has_a_picture_of_its_own_and_one_receipt_does_for_both(path: Path, clock: Clock) -> None:
    first, second = pictured(2)
    second.key, second.image = first.key._replace(revision=1), first.image
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([first, second])
        outbox.receipted([first.key])
        (row,) = outbox.take_images(limit=9)
        assert row.key.read == first.key.id
        outbox.receipted([second.key])
        assert [one.key for one in outbox.take_images(limit=9)] == [row.key] * 2
        assert outbox.images_receipted([row.key]) == 1
        assert outbox.status().waiting == 0


def test_no_picture_is_in_clear_in_an_encrypted_file(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        outbox.append(pictured(50))
        assert not any(FACE in file.read_bytes() for file in path.parent.iterdir())
        assert [one.jpeg[: len(FACE)] for one in contents(path, key=KEY) if isinstance(one, ImageRow)] == [
            FACE
        ] * 50


def test_a_picture_that_leaves_is_overwritten(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=10)) as outbox:
        outbox.append(pictured(20))
        deliver(outbox)
        assert any(FACE in file.read_bytes() for file in path.parent.iterdir())
        clock.seconds += 11
        assert outbox.expire() == (0, 20)
        assert not any(FACE in file.read_bytes() for file in path.parent.iterdir())
        (gap,) = outbox.take_gaps(limit=9)
        assert (gap.what, gap.reason, gap.ranges) == (Missing.IMAGES, GapReason.EXPIRED, ((1, 20),))
        (purge,) = outbox.purges()
        assert (purge.what, purge.reads) == (Missing.IMAGES, 20)


def test_pictures_leave_a_full_outbox_before_the_reads_that_wait(path: Path, clock: Clock) -> None:
    bounds = Bounds(quota_bytes=1_000_000)
    with Outbox(path=path, now=clock, owner=OWNER, bounds=bounds) as outbox:
        for _ in range(10):
            outbox.append(pictured(50, times=100))
        status = outbox.status()
        assert status.pending == 500
        assert 100 < status.images < 350
        assert {gap.what for gap in outbox.take_gaps(limit=99)} == {Missing.IMAGES}


def test_another_vehicle_waits_for_pictures_too(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner="hpd/car-1") as outbox:
        outbox.append(pictured(1))
        deliver(outbox)
    with pytest.raises(OutboxUnusable, match="holds 0 reads, 1 picture and 0 gap records of hpd/car-1"):
        Outbox(path=path, now=clock, owner="hpd/car-2").open()


def test_a_damaged_file_gives_up_its_pictures_and_which_of_them_are_due(path: Path, clock: Clock) -> None:
    notes = pictured(200, times=100)
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        outbox.append(notes)
        outbox.receipted([note.key for note in notes[:100]])
    with path.open("rb+") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\x00" * 4096)
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        status = outbox.status()
        assert 150 < status.images < 200
        due = {row.seq: row.jpeg for row in outbox.take_images(limit=1000)}
        assert 50 < len(due) <= 100
        assert all(jpeg == notes[seq - 1].image for seq, jpeg in due.items())
        assert max(due) <= 100


def test_pictures_that_a_damage_took_are_told_where_every_read_was_saved(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append(pictured(15))
    zero(path, pages(path, clock, table="images"))
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert (outbox.status().pending, outbox.status().images) == (15, 0)
        gaps = [(gap.what, gap.reason, gap.ranges) for gap in outbox.take_gaps(limit=9)]
    assert gaps == [(what, GapReason.DAMAGED, ((1, 15),)) for what in (Missing.READS, Missing.IMAGES)]
    assert "15 reads and 0 pictures could be saved" in caplog.text


@pytest.mark.parametrize("table", ["reads", "images"])
def test_of_a_table_whose_root_is_lost_every_row_is_saved(path: Path, clock: Clock, table: str) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append(pictured(400))
    zero(path, [next(pages(path, clock, table=table))])
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert (outbox.status().pending, outbox.status().images) == (400, 400)
        assert outbox.append(pictured(1)) == (401,)


def a_third_receipted(path: Path, clock: Clock) -> list[Note]:
    notes = pictured(15)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append(notes)
        outbox.receipted([note.key for note in notes[:5]])
    return notes


def test_pictures_whose_reads_a_damage_took_leave_and_the_store_is_told(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    a_third_receipted(path, clock)
    zero(path, pages(path, clock, table="reads"))
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert (outbox.status().pending, outbox.status().images) == (0, 5)
        assert [row.seq for row in outbox.take_images(limit=99)] == [1, 2, 3, 4, 5]
        gaps = [(gap.what, gap.reason, gap.ranges, gap.reads) for gap in outbox.take_gaps(limit=9)]
        assert [(one.what, one.reason, one.reads) for one in outbox.purges()] == [
            (Missing.IMAGES, GapReason.DAMAGED, 10)
        ]
    assert (Missing.IMAGES, GapReason.DAMAGED, ((6, 15),), 10) in gaps
    assert "0 reads and 5 pictures could be saved, 10 pictures of lost reads left, the store is told" in caplog.text


def test_pictures_are_due_by_their_reads_where_a_damage_took_which_are(path: Path, clock: Clock) -> None:
    notes = a_third_receipted(path, clock)
    zero(path, pages(path, clock, table="images_due"))
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert (outbox.status().pending, outbox.status().images) == (10, 15)
        assert [row.seq for row in outbox.take_images(limit=99)] == [1, 2, 3, 4, 5]
        outbox.receipted([note.key for note in notes[5:]])
        assert len(outbox.take_images(limit=99)) == 15

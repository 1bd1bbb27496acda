"""What leaves the outbox without a receipt, in which order, and that nothing leaves without a gap record."""

import math
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_agent.domain import GapReason, Missing
from edge_agent.outbox import Bounds, Outbox, check_pages
from edge_agent.outbox.bounds import RANGES_A_RECORD, ranges
from edge_agent.outbox.room import Room
from tests.outbox.test_outbox import OWNER, Clock, Note

DAY_S = 86400.0
KIB = 1024


def seqs(outbox: Outbox) -> list[int]:
    return [row.seq for row in outbox.take(limit=100_000)]


def told(outbox: Outbox) -> list[tuple[str, tuple[tuple[int, int], ...], int, int]]:
    return [(gap.reason.value, gap.ranges, gap.reads, gap.acknowledged) for gap in outbox.take_gaps(limit=1000)]


def places(outbox: Outbox) -> set[int]:
    return {
        seq for gap in outbox.take_gaps(limit=1000) for first, last in gap.ranges for seq in range(first, last + 1)
    }


def test_runs_without_a_hole_become_ranges() -> None:
    assert list(ranges([7, 1, 2, 3, 9, 8, 20])) == [(1, 3), (7, 9), (20, 20)]
    assert list(ranges([])) == []


def test_a_full_outbox_lets_the_oldest_go_and_says_which(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(quota_bytes=200 * KIB)) as outbox:
        for _ in range(60):
            outbox.append([Note(size=900) for _ in range(10)])
        left = seqs(outbox)
        assert left == list(range(left[0], 601))
        assert 100 < len(left) < 250
        assert places(outbox) == set(range(1, left[0]))
        assert sum(gap.reads for gap in outbox.take_gaps(limit=1000)) == left[0] - 1
        assert {gap.reason for gap in outbox.take_gaps(limit=1000)} == {GapReason.QUOTA}
        assert len(outbox.take_gaps(limit=1000)) < 45
        assert outbox.status().size_bytes <= 1.25 * 200 * KIB


def test_what_the_broker_has_goes_first_and_what_has_priority_last(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(quota_bytes=412 * KIB)) as outbox:
        outbox.append([Note(size=900, priority=k % 10 == 0) for k in range(1, 201)])
        outbox.mark_sent(range(101, 151))
        outbox.append([Note(size=900) for _ in range(250)])
        assert places(outbox) <= set(range(101, 151)) | set(range(1, 100))
        assert set(range(101, 151)) <= places(outbox)
        for _ in range(20):
            outbox.append([Note(size=900) for _ in range(30)])
        assert not places(outbox) & {10, 20, 30, 100, 160, 200}
        assert sum(gap.acknowledged for gap in outbox.take_gaps(limit=1000)) == 50
        for _ in range(20):
            outbox.append([Note(size=900, priority=True) for _ in range(30)])
        assert places(outbox) >= {10, 20, 30, 100, 160, 200}


def test_of_what_the_broker_has_the_oldest_goes_first_whatever_its_priority(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(quota_bytes=41 * 4 * KIB)) as outbox:
        outbox.append([Note(priority=True)])
        outbox.append([Note(size=20_000) for _ in range(5)])
        outbox.mark_sent([1, 2, 3])
        outbox.append([Note(size=3000) for _ in range(3)])
        assert places(outbox) == {1, 2}
        assert seqs(outbox) == [4, 5, 6, 7, 8, 9]


def test_what_leaves_again_and_again_is_logged_once_in_ten_minutes(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=60)) as outbox:
        for _ in range(50):
            outbox.append([Note(), Note()])
            clock.seconds += 15
            outbox.expire()
    first, second, last = caplog.messages
    assert first.endswith("left it unconfirmed, the store is told which: 2 reads (older than they may be kept)")
    assert second.endswith("80 reads (older than they may be kept)")
    assert "12 reads" in last


def test_a_read_larger_than_the_quota_is_taken_all_the_same(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(quota_bytes=64 * KIB)) as outbox:
        outbox.append([Note(size=900) for _ in range(20)])
        outbox.append([Note(size=90 * KIB)])
        assert seqs(outbox)[-1] == 21


def test_what_is_older_than_it_may_be_leaves_sent_or_not(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=180)) as outbox:
        outbox.append([Note(), Note(), Note()])
        outbox.mark_sent([2])
        clock.seconds += 100
        outbox.append([Note()])
        assert outbox.expire().reads == 0
        clock.seconds += 81
        assert outbox.expire().reads == 3
        assert outbox.expire().reads == 0
        assert seqs(outbox) == [4]
        assert told(outbox) == [("expired", ((1, 3),), 3, 1)]
        (purge,) = outbox.purges()
        assert (purge.reason, purge.reads, purge.at) == (GapReason.EXPIRED, 3, clock().utc)
        assert purge.oldest == purge.newest == clock().utc - timedelta(seconds=181)


def test_what_leaves_read_by_read_for_weeks_is_one_gap_record_and_a_line_an_hour(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=180)) as outbox:
        outbox.append([Note()])
        clock.seconds += 200
        outbox.expire()
        (first,) = outbox.take_gaps(limit=9)
        for _ in range(600):
            outbox.append([Note()])
            clock.seconds += 15
            outbox.expire()
        (last,) = outbox.take_gaps(limit=9)
        assert (last.ranges, last.reads) == (((1, 590),), 590)
        # The first may be on its way: what the store says of it must not let go of the others.
        assert outbox.gaps_receipted([first.id]) == 0
        assert outbox.gaps_receipted([last.id]) == 1
        assert len(outbox.purges()) == 3
        assert sum(one.reads for one in outbox.purges()) == 590


def test_a_gap_record_that_is_damaged_goes_on_in_another(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note(), Note()])
        outbox.purge()
        with outbox._session.use() as connection:
            connection.execute("UPDATE gaps SET ranges = '[[1,\x01]]'")
        outbox.append([Note()])
        outbox.purge()
        with outbox._session.use() as connection:
            assert connection.execute("SELECT ranges, reads FROM gaps").fetchall()[1:] == [("[[3, 3]]", 1)]


def test_what_is_old_leaves_in_portions_of_which_the_log_is_small(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = []
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=180)) as outbox:
        for _ in range(5):
            outbox.append([Note(size=900) for _ in range(1000)])
        outbox.expire()
        whole = path.stat().st_size
        overwrite = outbox._session.room.overwrite

        def watched() -> bool:
            logs.append(path.with_name(f"{path.name}-wal").stat().st_size)
            return overwrite()

        monkeypatch.setattr(outbox._session.room, "overwrite", watched)
        clock.seconds += 200
        assert outbox.expire().reads == 5000
        assert [one[:3] for one in told(outbox)] == [("expired", ((1, 5000),), 5000)]
    assert len(logs) > 9
    assert max(logs) <= max(whole * 0.2, 2 * 1024 * 1024)


def test_what_a_lower_quota_has_no_room_for_leaves_in_portions(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        for _ in range(10):
            outbox.append([Note(image=bytes(20_000)) for _ in range(100)])
    logs = []
    overwrite = Room.overwrite

    def watched(room: Room) -> bool:
        logs.append(path.with_name(f"{path.name}-wal").stat().st_size)
        return overwrite(room)

    monkeypatch.setattr(Room, "overwrite", watched)
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(quota_bytes=2_000_000)) as outbox:
        assert outbox.status().images < 130
        assert outbox.status().pending == 1000
        assert places(outbox) == set(range(1, 1001 - outbox.status().images))
        assert path.stat().st_size < 2_500_000
    check_pages(path)
    assert len(logs) > 4
    assert max(logs) < 3_000_000


def test_pictures_leave_with_their_reads_in_whatever_portion(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=180)) as outbox:
        for _ in range(3):
            outbox.append([Note(image=b"picture") for _ in range(1000)])
        clock.seconds += 200
        assert outbox.expire() == (3000, 0)
        assert [one.what for one in outbox.take_gaps(limit=9)] == [Missing.READS]


def test_the_outbox_takes_no_more_than_half_of_its_disk(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SimpleNamespace(total=4_000_000, free=4_000_000)
    monkeypatch.setattr("edge_agent.outbox.bounds.shutil.disk_usage", lambda _: disk)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        for _ in range(30):
            outbox.append([Note(size=900) for _ in range(100)])
        assert outbox.status().pending < 2000
        assert path.stat().st_size < 3_000_000
    assert caplog.messages[0].endswith(
        "takes 2 MB at most, half of its disk, and not the 1000 MB of state.quota_mb"
    )


def test_nothing_expires_without_a_bound(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=math.inf)) as outbox:
        outbox.append([Note()])
        clock.seconds += 100 * 365 * DAY_S
        assert outbox.expire().reads == 0


def test_what_leaves_is_overwritten_in_the_files(path: Path, clock: Clock) -> None:
    class Plate(Note):
        def encode(self, seq: int) -> bytes:
            return b"PLATE-" + b"AB12CD3" * 60

    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=10)) as outbox:
        outbox.append([Plate() for _ in range(50)])
        assert any(b"AB12CD3" in file.read_bytes() for file in path.parent.iterdir())
        clock.seconds += 11
        assert outbox.expire().reads == 50
        assert not any(b"AB12CD3" in file.read_bytes() for file in path.parent.iterdir())
        outbox.append([Plate() for _ in range(50)])
        assert outbox.purge().reads == 50
        assert not any(b"AB12CD3" in file.read_bytes() for file in path.parent.iterdir())


def test_a_person_may_purge_all_or_what_is_old(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note(), Note()])
        clock.seconds += 100
        outbox.append([Note()])
        assert outbox.purge(older_than_s=50).reads == 2
        assert outbox.purge().reads == 1
        assert [one[:3] for one in told(outbox)] == [("purged", ((1, 3),), 3)]
        assert [one.reads for one in outbox.purges()] == [2, 1]


def test_many_holes_become_several_gap_records(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        notes = [Note() for _ in range(2 * RANGES_A_RECORD + 20)]
        outbox.append(notes)
        outbox.receipted([note.key for note in notes[::2]])
        outbox.purge()
        assert [len(gap.ranges) for gap in outbox.take_gaps(limit=9)] == [RANGES_A_RECORD, 10]
        assert len(places(outbox)) == RANGES_A_RECORD + 10


def test_a_quarantined_read_is_kept_counted_and_told_but_not_given_until_the_next_start(
    path: Path, clock: Clock
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        notes = [Note(), Note(), Note()]
        outbox.append(notes)
        outbox.quarantine(2, why="too large")
        outbox.quarantine(2, why="too large")
        outbox.quarantine(99, why="not here")
        assert seqs(outbox) == [1, 3]
        status = outbox.status()
        assert (status.pending, status.quarantined, status.gaps, status.waiting) == (2, 1, 1, 3)
        assert told(outbox) == [("quarantined", ((2, 2),), 1, 0)]
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert seqs(outbox) == [1, 2, 3]
        outbox.quarantine(2, why="too large")
        assert outbox.receipted([notes[1].key]) == 1
        assert outbox.status().quarantined == 0


def test_an_acknowledgement_that_comes_after_the_quarantine_changes_nothing(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
        outbox.quarantine(1, why="malformed")
        outbox.mark_sent([1])
        status = outbox.status()
        assert (status.pending, status.sent, status.quarantined) == (0, 0, 1)


def test_a_gap_record_stays_until_its_receipt_as_a_read_does(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.not_written(7)
        (gap,) = outbox.take_gaps(limit=9)
        assert (gap.reason, gap.ranges, gap.reads, gap.at) == (GapReason.NOT_WRITTEN, (), 7, clock().utc)
        outbox.mark_gaps_sent([gap.id])
        assert outbox.take_gaps(limit=9) == []
        clock.seconds += 60
        outbox.resend(older_than_s=61)
        assert outbox.take_gaps(limit=9) == []
        outbox.resend(older_than_s=60)
        assert outbox.take_gaps(limit=9) == [gap]
        outbox.mark_gaps_sent([gap.id])
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.resend()
        assert outbox.take_gaps(limit=9) == [gap]
        assert outbox.gaps_receipted([gap.id]) == 1
        assert outbox.gaps_receipted([gap.id]) == 0
        assert outbox.status().waiting == 0

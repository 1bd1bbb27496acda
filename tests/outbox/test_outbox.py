import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlcipher3 import dbapi2 as sqlite

from edge_agent.domain import ReadKey, Stamp
from edge_agent.errors import OutboxBusy, OutboxError, OutboxUnusable, StateDirectoryError
from edge_agent.outbox import ImageRow, Outbox, Row, contents, read_status
from edge_agent.outbox.file import explained
from edge_agent.outbox.status import NOTHING


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.utc_ahead = 0.0

    def __call__(self) -> Stamp:
        utc = datetime(2026, 7, 4, tzinfo=UTC) + timedelta(seconds=self.seconds + self.utc_ahead)
        return Stamp(self.seconds, utc)


OWNER = "hpd/car-12"


class Note:
    """An entry that shows its place in the count."""

    def __init__(self, size: int = 0, *, priority: bool = False, image: bytes | None = None) -> None:
        self.key = ReadKey(uuid4())
        self.priority = priority
        self.image = image
        self._size = size

    def encode(self, seq: int) -> bytes:
        return f"note {seq}".encode() + b"." * self._size


class BadNote(Note):
    def encode(self, seq: int) -> bytes:
        raise ValueError("no words")


@pytest.fixture
def outbox(path: Path, clock: Clock) -> Iterator[Outbox]:
    with Outbox(path=path, now=clock, owner=OWNER) as opened:
        yield opened


def test_what_is_appended_can_be_taken_in_order(outbox: Outbox) -> None:
    notes = [Note() for _ in range(5)]
    assert outbox.append(notes[:2]) + outbox.append(notes[2:]) == (1, 2, 3, 4, 5)
    rows = outbox.take(limit=3, after_seq=1)
    assert [(row.seq, row.key, row.payload) for row in rows] == [
        (seq, notes[seq - 1].key, f"note {seq}".encode()) for seq in (2, 3, 4)
    ]


def test_an_append_of_nothing_changes_nothing(outbox: Outbox) -> None:
    assert outbox.append([]) == ()
    assert outbox.append([Note()]) == (1,)


def test_a_sent_read_stays_until_it_is_receipted(outbox: Outbox) -> None:
    note = Note()
    outbox.append([note, Note()])
    outbox.mark_sent([1])
    assert [row.seq for row in outbox.take(limit=9)] == [2]
    assert (outbox.status().pending, outbox.status().sent) == (1, 1)
    assert outbox.receipted([note.key]) == 1
    assert (outbox.status().pending, outbox.status().sent) == (1, 0)


def test_a_receipt_deletes_in_any_state_and_counts_what_was_here(outbox: Outbox) -> None:
    notes = [Note() for _ in range(3)]
    outbox.append(notes)
    outbox.mark_sent([2])
    assert outbox.receipted([notes[0].key, notes[1].key, notes[0].key, ReadKey(uuid4())]) == 2
    assert [row.seq for row in outbox.take(limit=9)] == [3]


def test_a_receipt_by_place_deletes_sent_reads_only(outbox: Outbox) -> None:
    outbox.append([Note() for _ in range(4)])
    outbox.mark_sent([1, 2, 4])
    assert outbox.receipted_through(5) is None
    assert outbox.receipted_through(3) == 2
    assert [row.seq for row in outbox.take(limit=9)] == [3]
    assert outbox.status().sent == 1


def test_marking_a_read_that_is_gone_leaves_no_trace(outbox: Outbox) -> None:
    note = Note()
    outbox.append([note])
    outbox.receipted([note.key])
    outbox.mark_sent([1])
    assert outbox.status().sent == 0


def test_sent_reads_become_pending_again(outbox: Outbox, clock: Clock) -> None:
    outbox.append([Note() for _ in range(3)])
    outbox.mark_sent([1])
    clock.seconds = 60
    outbox.mark_sent([2])
    assert outbox.resend(older_than_s=60) == 1
    assert [row.seq for row in outbox.take(limit=9)] == [1, 3]
    assert outbox.resend() == 1
    assert [row.seq for row in outbox.take(limit=9)] == [1, 2, 3]


def test_the_count_goes_on_after_deletes_and_restarts(path: Path, clock: Clock) -> None:
    notes = [Note() for _ in range(3)]
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append(notes)
        outbox.mark_sent([3])
        outbox.receipted([note.key for note in notes])
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().last_seq == 3
        assert outbox.append([Note()]) == (4,)


def test_an_entry_that_cannot_be_written_takes_its_batch_back(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="no words"):
        outbox.append([Note(), BadNote()])
    assert outbox.take(limit=9) == []
    assert outbox.append([Note()]) == (1,)


def test_the_same_read_twice_is_an_error_and_changes_nothing(outbox: Outbox) -> None:
    note = Note()
    outbox.append([note])
    with pytest.raises(OutboxError):
        outbox.append([Note(), note])
    assert outbox.append([Note()]) == (2,)


def test_a_full_outbox_takes_nothing_half_and_heals_by_receipts(outbox: Outbox) -> None:
    notes = [Note(size=1000) for _ in range(40)]
    outbox.append(notes)
    pages = outbox._session._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._session.room._most_pages = pages
    with pytest.raises(OutboxError, match=r"has no room for what must be written: let state\.quota_mb be more"):
        outbox.append([Note(size=1000) for _ in range(40)])
    assert outbox.status().last_seq == 40
    assert outbox.receipted([note.key for note in notes]) == 40
    assert outbox.append([Note(size=1000) for _ in range(10)]) == tuple(range(41, 51))


def test_what_is_written_together_is_one_commit_or_nothing(outbox: Outbox) -> None:
    notes = [Note() for _ in range(3)]
    outbox.append(notes)
    done: list[str] = []
    outbox._session._connection.set_trace_callback(done.append)
    with outbox.together():
        outbox.mark_sent([1, 2])
        outbox.receipted([notes[0].key])
    outbox._session._connection.set_trace_callback(None)
    assert done.count("COMMIT") == 1
    assert (outbox.status().pending, outbox.status().sent) == (1, 1)

    def half() -> None:
        with outbox.together():
            outbox.receipted([note.key for note in notes])
            outbox.append([notes[2], notes[2]])

    with pytest.raises(OutboxError):
        half()
    assert (outbox.status().pending, outbox.status().sent) == (1, 1)


def test_every_append_is_synced(outbox: Outbox) -> None:
    assert outbox._session._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert outbox._session._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_status_can_be_read_beside_the_agent(outbox: Outbox, path: Path) -> None:
    outbox.append([Note() for _ in range(3)])
    outbox.mark_sent([1])
    status = read_status(path)
    assert status == outbox.status()
    assert (status.pending, status.sent, status.last_seq) == (2, 1, 3)
    assert status.oldest == datetime(2026, 7, 4, tzinfo=UTC)
    assert status.size_bytes > 0


def test_who_reads_the_contents_for_long_does_not_make_the_log_grow(outbox: Outbox, path: Path) -> None:
    outbox.append([Note(1000) for _ in range(300)])
    reading = contents(path)
    for _ in range(250):
        next(reading)
    for _ in range(500):
        note = Note(1000)
        outbox.append([note])
        outbox.receipted([note.key])
    assert path.with_name("outbox.db-wal").stat().st_size < 9_000_000
    assert len(list(reading)) == 50


def test_a_picture_that_comes_while_the_contents_are_read_does_not_come_without_its_read(
    outbox: Outbox, path: Path
) -> None:
    outbox.append([Note(image=b"first")])
    outbox.append([Note()])
    reading = contents(path)
    found = [next(reading) for _ in range(3)]
    outbox.append([Note(image=b"second")])
    found += reading
    assert {one.seq for one in found if isinstance(one, ImageRow)} == {1}
    assert {one.seq for one in found if isinstance(one, Row)} == {1, 2}


def test_the_status_can_be_read_after_the_agent(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
    assert read_status(path).pending == 1
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (2,)


def test_a_status_of_nothing_says_so(path: Path) -> None:
    with pytest.raises(OutboxError, match="no such file"):
        read_status(path)
    assert not path.parent.exists()


def test_who_only_looks_whether_it_is_in_use_keeps_no_service_out(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER):
        pass
    looking = os.open(path.with_suffix(".lock"), os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.1, os.close, [looking]).start()
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (1,)


def test_a_second_agent_is_told_who_has_the_outbox(outbox: Outbox, path: Path, clock: Clock) -> None:
    outbox.append([Note()])
    with pytest.raises(OutboxBusy, match=rf"another agent is using it \(pid {os.getpid()}\)"):
        Outbox(path=path, now=clock, owner=OWNER).open()
    assert outbox.append([Note()]) == (2,)


def test_a_killed_agents_outbox_is_free_and_keeps_its_commits(path: Path, clock: Clock) -> None:
    program = f"""
import os, signal
from pathlib import Path
from tests.outbox.test_outbox import OWNER, Clock, Note
from edge_agent.outbox import Outbox
outbox = Outbox(path=Path({str(path)!r}), now=Clock(), owner=OWNER)
outbox.open()
outbox.append([Note(), Note()])
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False, cwd=Path(__file__).parents[1])
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=9)] == [1, 2]


def test_a_closed_outbox_says_so_and_can_be_opened_again(path: Path, clock: Clock) -> None:
    outbox = Outbox(path=path, now=clock, owner=OWNER)
    with outbox:
        outbox.append([Note()])
    outbox.close()
    with pytest.raises(OutboxError, match="is not open"):
        outbox.append([Note()])
    with outbox:
        assert outbox.status().pending == 1


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StateDirectoryError, match="cannot be written") as caught:
        Outbox(path=tmp_path / "state" / "outbox.db", now=clock, owner=OWNER).open()
    assert caught.value.exit_status == 78
    assert "\n" not in str(caught.value)


def test_a_state_directory_of_the_kernel_is_refused(clock: Clock) -> None:
    with pytest.raises(StateDirectoryError, match="cannot be written"):
        Outbox(
            path=Path("/proc/self/fdinfo/outbox.db"), now=clock, owner=OWNER
        ).open()  # not writable, even as root


def test_an_empty_file_is_a_new_outbox_and_that_is_said_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.touch()
    assert read_status(path) == NOTHING
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (1,)
    with Outbox(path=path, now=clock, owner=OWNER):
        pass
    assert caplog.messages == [f"outbox {path}: was a file of 0 bytes: begins anew"]


def test_reads_of_another_vehicle_must_leave_first_and_each_has_its_own_count(path: Path, clock: Clock) -> None:
    note = Note()
    with Outbox(path=path, now=clock, owner="hpd/car-1") as outbox:
        outbox.append([note, Note()])
        outbox.receipted([note.key])
    with pytest.raises(
        OutboxUnusable,
        match="holds 1 read, 0 pictures and 0 gap records of hpd/car-1, which hpd/car-2 must not deliver",
    ) as caught:
        Outbox(path=path, now=clock, owner="hpd/car-2").open()
    assert caught.value.exit_status == 78
    with Outbox(path=path, now=clock, owner="hpd/car-1") as outbox:
        (left,) = outbox.take(limit=9)
        outbox.receipted([left.key])
    with Outbox(path=path, now=clock, owner="hpd/car-2") as outbox:
        (second,) = outbox.append([other := Note()])
        assert second == 1
        assert outbox.status().owner == "hpd/car-2"
        outbox.receipted([other.key])
    with Outbox(path=path, now=clock, owner="hpd/car-1") as outbox:
        assert outbox.append([Note()]) == (3,)
        assert outbox.receipted_through(4) is None


def test_a_receipt_for_a_read_does_not_delete_its_correction(outbox: Outbox) -> None:
    said, corrected = Note(), Note()
    corrected.key = ReadKey(said.key.id, 1)
    outbox.append([said, corrected])
    outbox.mark_sent([1, 2])
    assert outbox.receipted([said.key]) == 1
    assert outbox.resend() == 1
    assert [row.key for row in outbox.take(limit=9)] == [corrected.key]
    assert outbox.receipted([corrected.key]) == 1


def test_a_directory_in_its_place_is_called_so(path: Path, clock: Clock) -> None:
    path.mkdir(parents=True)
    with pytest.raises(OutboxError, match=f"outbox {path}: is a directory"):
        read_status(path)
    with pytest.raises(StateDirectoryError, match=rf"{path} cannot be written \(Is a directory\)"):
        Outbox(path=path, now=clock, owner=OWNER).open()


def test_whatever_sqlite_calls_it_a_full_disk_is_said_to_be_full(
    outbox: Outbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with explained(path):
            raise sqlite.OperationalError("disk I/O error")

    with pytest.raises(OutboxError, match=f"outbox {path}: disk I/O error"):
        fail()
    monkeypatch.setattr("edge_agent.outbox.file.shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(OutboxError, match=f"outbox {path}: the disk is full") as caught:
        fail()
    assert caught.value.exit_status == 1


def test_a_full_disk_at_the_start_is_for_time(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edge_agent.outbox.file.os.open", refuse)
    with pytest.raises(OutboxError, match="the disk is full") as caught:
        Outbox(path=path, now=clock, owner=OWNER).open()
    assert caught.value.exit_status == 1


def test_a_refused_outbox_is_not_left_locked(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    with closing(sqlite.connect(str(path))) as theirs:
        theirs.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(OutboxUnusable):
        Outbox(path=path, now=clock, owner=OWNER).open()
    path.unlink()
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (1,)


def test_only_the_owner_may_open_the_files(outbox: Outbox, path: Path) -> None:
    outbox.append([Note()])
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


def test_threads_share_one_outbox(outbox: Outbox) -> None:
    def append() -> None:
        for _ in range(20):
            outbox.append([Note()])

    threads = [threading.Thread(target=append) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        outbox.mark_sent([row.seq for row in outbox.take(limit=5)])
    for thread in threads:
        thread.join()
    status = outbox.status()
    assert (status.last_seq, status.pending + status.sent) == (60, 60)


def test_the_status_for_another_user_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "outbox.db"
    path.touch()
    monkeypatch.setattr("edge_agent.outbox.file.os.access", lambda *_: False)
    with pytest.raises(OutboxError, match="only the user that the agent runs as may read it"):
        read_status(path)

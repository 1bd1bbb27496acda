"""What is deleted does not stand in any file for long."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlite

from edge_agent.outbox import Bounds, Outbox
from edge_agent.outbox.file import connect, overwrite
from edge_agent.outbox.room import Room
from tests.outbox.test_mending import PLATE, Plate
from tests.outbox.test_outbox import OWNER, Clock, Note


def in_clear(path: Path) -> bool:
    return any(PLATE in file.read_bytes() for file in path.parent.iterdir())


def test_what_a_receipt_deleted_is_overwritten_while_the_service_runs(path: Path, clock: Clock) -> None:
    note = Plate()
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([note])
        outbox.receipted([note.key])
        assert in_clear(path)
        outbox.expire()
        assert not in_clear(path)


def test_on_a_disk_that_is_nearly_full_the_log_is_overwritten_and_keeps_its_room(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = [Plate() for _ in range(200)]
    log = path.with_name("outbox.db-wal")
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        monkeypatch.setattr("edge_agent.outbox.room.free_bytes", lambda _: 1_000_000)
        outbox.append(notes)
        kept = log.stat().st_size
        for note in notes:  # each begins the log anew
            outbox.receipted([note.key])
        assert in_clear(path)
        outbox.expire()
        assert not in_clear(path)
        assert log.stat().st_size == kept >= 1_000_000
        outbox.append([Note()])
        copies = {file: file.read_bytes() for file in path.parent.iterdir()}
    for file, content in copies.items():  # as a kill leaves them
        file.write_bytes(content)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=9)] == [201]


def test_nobody_writes_into_the_log_while_it_is_overwritten(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, tried = Room._fill, list[str]()

    def beside_a_writer(room: Room, begin: int, end: int) -> None:
        with closing(connect(path, None)) as writer:
            writer.execute("PRAGMA busy_timeout = 0")
            with pytest.raises(sqlite.OperationalError) as locked:
                writer.execute("UPDATE reads SET priority = 1")
        tried.append(str(locked.value))
        fill(room, begin, end)

    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        monkeypatch.setattr("edge_agent.outbox.room.free_bytes", lambda _: 1_000_000)
        outbox.append([Plate() for _ in range(200)])
        monkeypatch.setattr(Room, "_fill", beside_a_writer)
        outbox.expire()
        assert tried == ["database is locked"]
        assert outbox.status().pending == 200


def test_what_expired_beside_a_reader_is_overwritten_when_that_has_ended(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=60)) as outbox:
        outbox.append([Plate()])
        with closing(connect(path, None, read_only=True)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM reads").fetchone()
            clock.seconds = 120
            assert outbox.expire().reads == 1
            assert in_clear(path)
        outbox.expire()
        assert not in_clear(path)


def test_a_purge_beside_a_reader_says_that_it_is_not_overwritten_yet(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Plate()])
        with closing(connect(path, None, read_only=True)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM reads").fetchone()
            outbox.purge()
            assert (
                "another program is reading it: what was deleted is overwritten when that has ended" in caplog.text
            )


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) + 5])
def test_a_file_is_overwritten_to_its_end_and_no_further(tmp_path: Path, size: int) -> None:
    file = tmp_path / "old"
    file.write_bytes(b"x" * size)
    with file.open("rb+") as opened:
        overwrite(opened)
    assert file.read_bytes() == bytes(size)

"""Damaged files, and files with a key: what can be read is saved, what is kept is told, nothing is thrown away."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from random import randrange

import pytest

from edge_agent.domain import GapReason, Missing
from edge_agent.errors import OutboxDamaged, OutboxError, OutboxUnusable, StateDirectoryError
from edge_agent.outbox import Outbox, check_pages, contents, read_status
from edge_agent.outbox.file import Connection, connect
from tests.outbox.test_outbox import OWNER, Clock, Note

KEY = b"k" * 32
PLATE = b"AB12CD3"


class Plate(Note):
    def encode(self, seq: int) -> bytes:
        return f"read {seq} ".encode() + PLATE * 100


def filled(path: Path, clock: Clock, *, count: int = 200, key: bytes | None = None) -> list[Note]:
    notes: list[Note] = [Plate() for _ in range(count)]
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        outbox.append(notes)
    return notes


def overwrite(path: Path, start: int, size: int, *, content: bytes | None = None) -> None:
    """Write something else there: each byte becomes another one."""
    with path.open("r+b") as file:
        file.seek(start)
        was = file.read(size).ljust(size, b"\0")
        file.seek(start)
        file.write(bytes(one ^ randrange(1, 256) for one in was) if content is None else content)


def kept(path: Path) -> list[Path]:
    return [one for one in path.parent.glob("outbox.db.damaged-*") if not one.name.endswith("-wal")]


@pytest.mark.parametrize("key", [None, KEY])
def test_what_can_be_read_of_a_damaged_outbox_is_saved_and_the_file_kept(
    path: Path, clock: Clock, key: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    notes = filled(path, clock, key=key)
    overwrite(path, 20 * 4096, 3 * 4096)
    damaged = path.read_bytes()
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        rows = outbox.take(limit=1000)
        assert 150 < len(rows) < 200
        assert all(
            row.key == notes[row.seq - 1].key and row.payload == notes[row.seq - 1].encode(row.seq) for row in rows
        )
        (gap,) = outbox.take_gaps(limit=9)
        assert (gap.reason, gap.ranges, gap.reads) == (GapReason.DAMAGED, ((1, 200),), 0)
        assert outbox.append([Note()]) == (201,)
    assert [one.read_bytes() for one in kept(path)] == [damaged]
    assert f"was damaged: {len(rows)} reads and 0 pictures could be saved" in caplog.text
    assert "\n" not in caplog.messages[0]
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert outbox.status().pending == len(rows) + 1


@pytest.mark.parametrize("key", [None, KEY])
def test_a_file_without_a_beginning_is_read_by_the_beginning_of_a_new_one(
    path: Path, clock: Clock, key: bytes | None
) -> None:
    notes = filled(path, clock, key=key)
    overwrite(path, 0, 4096)
    damaged = path.read_bytes()
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert [row.key for row in outbox.take(limit=1000)] == [note.key for note in notes]
        assert [(gap.what, gap.ranges) for gap in outbox.take_gaps(limit=9)] == [(Missing.READS, ((1, 200),))]
        assert outbox.append([Note()]) == (201,)
    assert [one.read_bytes() for one in kept(path)] == [damaged]
    assert not list(path.parent.glob("*.mending*"))


def test_what_the_log_holds_of_a_file_without_a_beginning_is_read_too(path: Path, clock: Clock) -> None:
    outbox = Outbox(path=path, now=clock, owner=OWNER)
    outbox.open()
    outbox.append([Plate() for _ in range(40)])
    outbox._session._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox._session._connection.execute("INSERT INTO sent VALUES (3, 0.0)")  # only into the log
    copies = {one.name: one.read_bytes() for one in path.parent.iterdir()}
    outbox.close()
    for name, content in copies.items():
        (path.parent / name).write_bytes(content)
    overwrite(path, 0, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as again:
        assert len(again.take(limit=99)) == 40


def test_an_outbox_that_was_cut_off_while_it_was_made_is_said_to_be(path: Path, clock: Clock) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    making = sqlite3.connect(str(path), isolation_level=None)
    making.execute("PRAGMA cache_size = 5")
    making.execute("BEGIN IMMEDIATE")
    making.execute("CREATE TABLE reads (seq INTEGER PRIMARY KEY)")
    making.executemany("INSERT INTO reads VALUES (?)", ((one,) for one in range(200_000)))
    left = {one: one.read_bytes() for one in path.parent.iterdir()}
    making.close()
    for one, content in left.items():
        one.write_bytes(content)
    assert path.with_name("outbox.db-journal") in left
    with pytest.raises(OutboxError, match="is not made yet: its service was cut off when it began it"):
        read_status(path)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (1,)


@pytest.mark.parametrize("kept_of_the_salt", [0, 28, 31])
def test_of_an_encrypted_file_without_its_salt_nothing_is_saved_but_the_car_reads_on(
    path: Path, clock: Clock, kept_of_the_salt: int
) -> None:
    filled(path, clock, key=KEY)
    mark = path.with_suffix(".keymark")
    hashed, salt = mark.read_text().split()
    mark.write_text(f"{hashed} {salt[:kept_of_the_salt]}")
    overwrite(path, 0, 4096)
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert outbox.take(limit=9) == []
        assert outbox.append([Note()]) == (10_001,)
        assert [(gap.what, gap.ranges) for gap in outbox.take_gaps(limit=9)] == [
            (what, ((1, 10_000),)) for what in Missing
        ]
    assert len(kept(path)) == 1


def test_a_file_that_is_no_outbox_is_moved_aside(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    path.write_bytes(b"The quick brown fox jumps over the lazy dog. " * 100)
    before = path.read_bytes()
    with pytest.raises(OutboxDamaged, match="is not an outbox, or is damaged; the file was left as it is"):
        read_status(path)
    with pytest.raises(OutboxUnusable, match="does not open with the key of state"):
        read_status(path, key=KEY)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
    assert [one.read_bytes() for one in kept(path)] == [before]


def test_a_pipe_in_the_outboxs_place_is_named_and_not_waited_for(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(StateDirectoryError, match=r"outbox\.db: is no regular file: move it away"):
        read_status(path)
    with pytest.raises(StateDirectoryError, match=r"outbox\.db: is no regular file: move it away"):
        Outbox(path=path, now=clock, owner=OWNER).open()


def test_what_only_the_log_holds_is_saved_too(path: Path, clock: Clock) -> None:
    outbox = Outbox(path=path, now=clock, owner=OWNER)
    outbox.open()
    outbox.append([Plate() for _ in range(40)])
    outbox._session._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox.append([Plate() for _ in range(5)])
    copies = {one.name: one.read_bytes() for one in path.parent.iterdir()}  # as a power cut would leave them
    outbox.close()
    for name, content in copies.items():
        (path.parent / name).write_bytes(content)
    overwrite(path, 5 * 4096, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as again:
        assert {41, 42, 43, 44, 45} <= {row.seq for row in again.take(limit=99)}


@pytest.mark.parametrize("key", [None, KEY])
def test_where_many_pages_are_damaged_the_others_are_read(path: Path, clock: Clock, key: bytes | None) -> None:
    filled(path, clock, count=3000, key=key)
    pages = path.stat().st_size // 4096
    for first in range(6, pages, 4):  # among them pages of the tree's inside
        overwrite(path, first * 4096, 4096)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert 2100 < len(outbox.take(limit=9999)) < 2400
        assert outbox.append([Note()]) == (3001,)


def test_what_an_earlier_start_left_half_done_goes(path: Path, clock: Clock) -> None:
    filled(path, clock)
    for what in ("salvaging", "salvaging-journal", "mending", "encrypting"):
        path.with_name(f"outbox.db.{what}").write_bytes(PLATE)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert len(outbox.take(limit=999)) == 200
    assert not list(path.parent.glob("outbox.db.*"))


def test_a_salvage_without_room_says_how_much_it_needs_and_leaves_nothing_half_done(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, clock)
    overwrite(path, 50 * 4096, 4096)
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_agent.outbox.mended.shutil.copyfileobj", refuse)
    with pytest.raises(OutboxError, match="is damaged, and what can be saved of it needs 1 MB free on its disk"):
        Outbox(path=path, now=clock, owner=OWNER).open()
    assert path.read_bytes() == before
    assert not list(path.parent.glob("outbox.db.*"))


@pytest.mark.parametrize("cut", ["unlink", "rename", "replace"])
def test_a_power_cut_while_salvaging_loses_nothing_that_was_saved(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    filled(path, clock)
    overwrite(path, 20 * 4096, 4096)

    class PowerCut(BaseException):
        pass

    def stop(*_args: object, **_more: object) -> None:
        raise PowerCut

    for later in ("unlink", "rename", "replace")[("unlink", "rename", "replace").index(cut) :]:
        monkeypatch.setattr(Path, later, stop)
    with pytest.raises(PowerCut):
        Outbox(path=path, now=clock, owner=OWNER).open()
    monkeypatch.undo()
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert len(outbox.take(limit=1000)) > 150
        assert len(outbox.take_gaps(limit=9)) == 1


def test_damage_that_shows_later_is_for_the_next_start(path: Path, clock: Clock) -> None:
    filled(path, clock)
    outbox = Outbox(path=path, now=clock, owner=OWNER)
    outbox.open()
    try:
        overwrite(path, 4096, 60 * 4096)
        outbox._session._connection.execute("PRAGMA cache_size = 0")
        with pytest.raises(OutboxDamaged):
            outbox.take(limit=1000)
    finally:
        outbox.close()


SEEN = "UPDATE reads SET sealed = NULL WHERE seq = 8"
"""What SQLite itself takes for damage; what it does not notice must lie beside it to be looked at."""

FORGED = {
    "a count that is none": "UPDATE counter SET last_seq = NULL",
    "a count that is a text": "UPDATE counter SET last_seq = 'x'",
    "a count beyond all": "UPDATE counter SET last_seq = 4611686018427387904",
    "an owner that is none": "UPDATE counter SET owner = NULL",
    "an age that is none": "UPDATE age SET aged_s = NULL",
    "a read without a payload": "",
    "a read whose id is none": "UPDATE reads SET id = x'00', sealed = 'text' WHERE seq = 8",
    "a read whose id is short": "UPDATE reads SET id = x'00' WHERE seq = 8",
    "a gap record of no reason": "UPDATE gaps SET reason = 'x'",
    "a gap record of no number": "UPDATE gaps SET reads = 'x'",
    "a gap record of no places": "UPDATE gaps SET ranges = '[[1'",
    "a gap record of strange places": "UPDATE gaps SET ranges = '[[1, null]]'",
    "a purge of nobody": "UPDATE purges SET reads = NULL",
}


def forge(path: Path, change: str) -> None:
    """Write what SQLite would refuse, as a bad page may hold it."""
    with closing(connect(path, None)) as connection:
        tables = connection.execute("SELECT sql, name FROM sqlite_master WHERE type = 'table'").fetchall()
        write_schema(
            connection, [(sql.replace(" NOT NULL", "").replace(") STRICT", ")"), name) for sql, name in tables]
        )
    with closing(connect(path, None)) as connection:
        connection.execute(change)
        connection.execute(SEEN)
        write_schema(connection, tables)


def write_schema(connection: Connection, tables: list[tuple[str, str]]) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany("UPDATE sqlite_master SET sql = ? WHERE name = ?", tables)
    connection.commit()


@pytest.mark.parametrize("what", FORGED)
def test_a_row_that_makes_no_sense_is_left_out_and_keeps_no_car_from_reading(
    path: Path, clock: Clock, what: str
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Plate() for _ in range(6)])
        outbox.purge()
        outbox.not_written(2)
        outbox.append([Plate() for _ in range(6)])
    forge(path, FORGED[what])
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert {row.seq for row in outbox.take(limit=99)} >= {7, 9, 10, 11, 12}
        assert GapReason.DAMAGED in {gap.reason for gap in outbox.take_gaps(limit=9)}
        outbox.purges()
        outbox.expire()
        assert outbox.append([Note()]) > (12,)
    assert len(kept(path)) == 1


def test_the_counts_of_earlier_vehicles_are_saved_too(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner="hpd/car-1") as outbox:
        note = Note()
        outbox.append([note])
        outbox.receipted([note.key])
    filled(path, clock)
    overwrite(path, 20 * 4096, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.receipted([row.key for row in outbox.take(limit=1000)])
        outbox.gaps_receipted([gap.id for gap in outbox.take_gaps(limit=9)])
        assert outbox.status().waiting == 0
    with Outbox(path=path, now=clock, owner="hpd/car-1") as outbox:
        assert outbox.append([Note()]) == (2,)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_file_that_was_cut_short_gives_what_it_still_has(path: Path, clock: Clock, key: bytes | None) -> None:
    filled(path, clock, key=key)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert len(outbox.take(limit=1000)) > 60
        assert outbox.append([Note()]) == (201,)


@pytest.mark.parametrize("lost", ["emptied", "removed", "an old copy"])
def test_a_file_that_is_younger_than_the_count_gives_no_place_twice(path: Path, clock: Clock, lost: str) -> None:
    filled(path, clock, count=20)
    old = path.read_bytes()
    filled(path, clock, count=80)
    if lost == "emptied":
        path.write_bytes(b"")
    elif lost == "removed":
        path.unlink()
    else:
        path.write_bytes(old)
    kept_reads = 20 if lost == "an old copy" else 0
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().pending == kept_reads
        assert outbox.append([Note()]) == (10_101,)
        gaps = outbox.take_gaps(limit=9)
        assert {one.what for one in gaps} == {*Missing}
        assert {(one.reason, one.ranges) for one in gaps} == {(GapReason.DAMAGED, ((kept_reads + 1, 10_100),))}
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (10_102,)


@pytest.mark.parametrize("hint", [2**40, 2**40 + 1, 9_007_199_254_740_990, 9_223_372_036_854_770_000, 10**25])
def test_a_damaged_hint_of_the_count_is_none(path: Path, clock: Clock, hint: int) -> None:
    filled(path, clock, count=20)
    path.with_suffix(".lock").write_text(f"1 {hint} {OWNER}\n")
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (21,)
        assert outbox.take_gaps(limit=9) == []


@pytest.mark.parametrize(("place", "value"), [(18, 3), (19, 3), (47, 9)])
def test_a_header_that_forbids_to_write_is_damaged(path: Path, clock: Clock, place: int, value: int) -> None:
    filled(path, clock, count=20)
    overwrite(path, place, 1, content=bytes([value]))
    with pytest.raises(OutboxDamaged):
        check_pages(path)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().pending == 20
    assert len(kept(path)) == 1


def test_an_index_that_does_not_name_what_is_there_is_mended(path: Path, clock: Clock) -> None:
    filled(path, clock, count=20)
    with closing(sqlite3.connect(path)) as connection:
        (id_,) = connection.execute("SELECT id FROM reads WHERE seq = 7").fetchone()
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_reads_1'"
        ).fetchone()
    place = path.read_bytes().index(id_, (page - 1) * 4096)
    overwrite(path, place, 1, content=bytes([id_[0] ^ 1]))
    with pytest.raises(OutboxDamaged):
        check_pages(path)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().pending == 20
        assert outbox.purge().reads == 20


def test_a_value_that_its_column_cannot_hold_is_said_to_be_a_damage(path: Path, clock: Clock) -> None:
    filled(path, clock, count=20)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = REPLACE(sql, 'STRICT', '') WHERE name = 'reads'")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE reads SET sealed = 1.5 WHERE seq = 7")
    with pytest.raises(OutboxDamaged, match="is damaged"):
        list(contents(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE reads SET appended_ms = x'00' WHERE seq = 1")
    with pytest.raises(OutboxDamaged, match="is damaged"):
        read_status(path)


def test_of_another_owners_count_nothing_is_left_out(path: Path, clock: Clock) -> None:
    filled(path, clock, count=20)
    path.unlink()
    with Outbox(path=path, now=clock, owner="hpd/car-99") as outbox:
        assert outbox.append([Note()]) == (1,)

"""Outbox files of other versions, and of other programs."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlite

from edge_agent.domain import GapReason
from edge_agent.errors import OutboxDamaged, OutboxUnusable
from edge_agent.outbox import Bounds, Outbox, read_status
from edge_agent.outbox.schema import SCHEMA_VERSION
from tests.outbox.test_outbox import OWNER, Clock, Note

FORMATS = {
    1: """
        CREATE TABLE reads (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, payload BLOB NOT NULL,
            appended_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
        CREATE TABLE counter (last_seq INTEGER NOT NULL) STRICT;
        INSERT INTO counter VALUES (1);
    """,
    2: """
        CREATE TABLE reads (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, payload BLOB NOT NULL,
            appended_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
        CREATE TABLE counter (last_seq INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '') STRICT;
        INSERT INTO counter VALUES (1, 'hpd/car-1');
    """,
    3: """
        CREATE TABLE reads (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, payload BLOB NOT NULL,
            appended_ms INTEGER NOT NULL, revision INTEGER NOT NULL DEFAULT 0, UNIQUE (id, revision)) STRICT;
        CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
        CREATE TABLE counter (last_seq INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '') STRICT;
        INSERT INTO counter VALUES (1, 'hpd/car-1');
    """,
}


@pytest.mark.parametrize("version", FORMATS)
def test_an_outbox_of_an_earlier_format_is_taken_over_with_its_reads(
    path: Path, clock: Clock, version: int
) -> None:
    path.parent.mkdir(parents=True)
    note = Note()
    appended_ms = int((clock().utc - timedelta(days=2)).timestamp() * 1000)
    with closing(sqlite.connect(str(path))) as old:
        old.executescript(FORMATS[version])
        old.execute(
            "INSERT INTO reads (seq, id, payload, appended_ms) VALUES (1, ?, ?, ?)",
            (note.key.id.bytes, b"waiting", appended_ms),
        )
        old.execute(f"PRAGMA user_version = {version}")
        old.commit()
    bounds = Bounds(keep_s=3 * 86400)
    with Outbox(path=path, now=clock, owner="hpd/car-1", bounds=bounds) as outbox:
        assert [(row.seq, row.key, row.payload) for row in outbox.take(limit=9)] == [(1, note.key, b"waiting")]
        assert outbox.append([Note()]) == (2,)
        assert outbox.expire().reads == 0
        clock.seconds += 1.5 * 86400
        assert outbox.expire().reads == 1
        assert [row.seq for row in outbox.take(limit=9)] == [2]


def test_the_format_before_the_clock_was_watched_is_taken_over(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=180)) as outbox:
        outbox.append([Note()])
    with closing(sqlite.connect(str(path))) as old:
        old.executescript(
            "ALTER TABLE reads RENAME COLUMN sealed TO payload; ALTER TABLE age DROP COLUMN behind_from;"
            " DROP TABLE kept; PRAGMA user_version = 5;"
        )
    clock.seconds += 200
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=180)) as outbox:
        assert outbox.expire().reads == 1


@pytest.mark.parametrize("key", [None, b"k" * 32], ids=["plain", "with a key"])
@pytest.mark.parametrize("version", [0, 3, SCHEMA_VERSION, SCHEMA_VERSION + 1])
def test_another_programs_database_is_refused_and_left_alone(
    path: Path, clock: Clock, version: int, key: bytes | None
) -> None:
    path.parent.mkdir()
    with closing(sqlite.connect(str(path))) as theirs:
        theirs.execute("CREATE TABLE songs (title TEXT)")
        theirs.execute(f"PRAGMA user_version = {version}")
    with closing(sqlite.connect(str(path))) as theirs:  # its log is still beside it, as after a crash
        theirs.execute("PRAGMA journal_mode = WAL")
        theirs.execute("INSERT INTO songs VALUES ('one')")
        theirs.commit()
        crashed = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    for name, content in crashed.items():
        (path.parent / name).write_bytes(content)
    before = path.read_bytes(), path.with_name("outbox.db-wal").read_bytes()
    for attempt in (Outbox(path=path, now=clock, owner=OWNER, key=key).open, lambda: read_status(path, key=key)):
        with pytest.raises(OutboxUnusable, match="is a database of another program"):
            attempt()
    assert (path.read_bytes(), path.with_name("outbox.db-wal").read_bytes()) == before
    assert not path.with_name("outbox.db.encrypting").exists()


@pytest.mark.parametrize("version", [*range(SCHEMA_VERSION), SCHEMA_VERSION ^ 8, SCHEMA_VERSION ^ 1 << 30])
def test_a_damaged_number_of_the_format_costs_nothing(path: Path, clock: Clock, version: int) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
        outbox.hold_image(1)
        outbox.not_written(3)
        outbox._connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(OutboxDamaged):
        read_status(path)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.status().pending == 1
        assert {one.reason for one in outbox.take_gaps(limit=9)} == {GapReason.NOT_WRITTEN, GapReason.DAMAGED}


def test_a_later_format_is_refused_and_kept(path: Path, clock: Clock) -> None:
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.append([Note()])
        outbox._connection.executescript(
            f"ALTER TABLE reads ADD COLUMN more TEXT; PRAGMA user_version = {SCHEMA_VERSION + 1}"
        )
    for key in (None, b"k" * 32):
        with pytest.raises(OutboxUnusable, match="its format is 9, this program knows 8"):
            Outbox(path=path, now=clock, owner=OWNER, key=key).open()
    connection = sqlite.connect(str(path))
    assert connection.execute("SELECT COUNT(*) FROM reads").fetchone() == (1,)
    connection.close()

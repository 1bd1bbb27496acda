"""What both databases promise of the reads that they keep."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.contract.record import decode_read
from edge_agent.errors import ContractError
from examples.central_store import postgres_keep, sqlite
from examples.central_store.database import REJECTED_BYTES, Database, Span, StoreError
from examples.central_store.sqlite import SqliteDatabase
from tests.central_store.messages import CAR, OTHER, gap, keep, payload
from tests.central_store.places import Place, SqliteFile

DELIVERIES = {
    "SqliteFile": "SELECT deliveries FROM reads",
    "PostgresPlace": "SELECT deliveries FROM read_keys",
}


def test_a_repeat_is_counted_however_it_is_formatted(database: Database, place: Place) -> None:
    read = payload(1)
    spaced = json.dumps(json.loads(read), indent=1).encode()
    keep(database, read, read)
    kept = keep(database, spaced)
    assert list(kept.records) == [decode_read(read).key]
    assert place.rows("SELECT record FROM reads") == [(read.decode(),)]
    assert place.rows(DELIVERIES[type(place).__name__]) == [(3,)]


def test_a_correction_is_kept_beside_what_it_corrects(database: Database, place: Place) -> None:
    first = payload(1, text="A812CD3")
    id_ = str(decode_read(first).id)
    keep(database, first, payload(2, id_text=id_, revision=1), payload(3, text="XY98"))
    assert place.rows("SELECT plate, revision FROM reads ORDER BY seq") == [
        ("A812CD3", 0),
        ("AB12CD3", 1),
        ("XY98", 0),
    ]
    assert place.rows("SELECT plate FROM latest_reads ORDER BY seq") == [("AB12CD3",), ("XY98",)]


def test_a_gap_record_is_kept_once(database: Database, place: Place) -> None:
    account = gap((3, 5), (9, 9))
    other = json.dumps(json.loads(account) | {"reads": 1}).encode()
    assert len(keep(database, account, account).records) == 1
    assert len(keep(database, account).records) == 1
    refused = keep(database, other)
    assert not refused.records
    assert place.rows("SELECT vehicle, reason, reads, record, deliveries FROM gaps") == [
        ("car-1", "quota", 4, account.decode(), 3)
    ]
    assert [record.ranges for record in database.gap_records()] == [((3, 5), (9, 9))]


def test_a_bad_message_is_kept_once_for_each_topic(database: Database, place: Place) -> None:
    for topic in (CAR.reads, OTHER.reads):
        keep(database, b"\xff\x00", b"\xff\x00", topic=topic)
    keep(database, b"\xff\x00", topic=CAR.reads)
    rows = place.rows("SELECT topic, payload, deliveries FROM rejected ORDER BY topic")
    assert [(topic, bytes(stored), count) for topic, stored, count in rows] == [
        (CAR.reads, b"\xff\x00", 3),
        (OTHER.reads, b"\xff\x00", 2),
    ]


def test_rubbish_fills_no_disk(database: Database, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sqlite, postgres_keep):
        monkeypatch.setattr(module, "REJECTED_AT_MOST", 30)
    for batch in range(10):
        keep(database, *(bytes([batch, k]) * 50_000 for k in range(20)), topic=CAR.reads)
        time.sleep(0.002)
    rows = place.rows("SELECT payload FROM rejected ORDER BY rejected_at")
    assert 30 <= len(rows) <= 50
    assert {len(stored) for (stored,) in rows} == {REJECTED_BYTES}
    assert {bytes(stored)[0] for (stored,) in rows} <= {7, 8, 9}


def test_nothing_is_kept_in_a_file_that_nobody_would_find(sqlite_file: SqliteFile, tmp_path: Path) -> None:
    with closing(sqlite_file.open()) as database:
        keep(database, payload(1))
        (tmp_path / "store.db").rename(tmp_path / "elsewhere.db")
        with pytest.raises(StoreError, match=r"store\.db: No such file"):
            keep(database, payload(2))
        (tmp_path / "store.db").touch()
        with pytest.raises(StoreError, match="was replaced while in use: start the store again"):
            keep(database, payload(2))
        (tmp_path / "elsewhere.db").rename(tmp_path / "store.db")
        assert len(keep(database, payload(2)).records) == 1


def test_places_that_are_here_are_told_in_spans(database: Database) -> None:
    keep(database, *(payload(seq) for seq in (1, 2, 5, 9)), *(payload(seq, OTHER) for seq in (3, 2**53 - 1)))
    assert database.held() == [
        Span("hpd", "car-1", 1, 2),
        Span("hpd", "car-1", 5, 5),
        Span("hpd", "car-1", 9, 9),
        Span("hpd", "car-2", 3, 3),
        Span("hpd", "car-2", 2**53 - 1, 2**53 - 1),
    ]


@pytest.mark.parametrize("year", [1, 1970, 2037, 9999])
def test_no_clock_loses_a_read(database: Database, place: Place, year: int) -> None:
    keep(database, payload(1, at=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)))
    assert place.rows("SELECT seq FROM reads") == [(1,)]


def test_a_commit_is_whole_or_nothing(database: Database, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ContractError("no")

    is_sqlite = isinstance(database, SqliteDatabase)
    where = "sqlite.SqliteDatabase._reject" if is_sqlite else "postgres_keep._reject"
    monkeypatch.setattr(f"examples.central_store.{where}", fail)
    with pytest.raises(ContractError):
        keep(database, payload(1), gap((2, 3)))
    monkeypatch.undo()
    assert place.rows("SELECT seq FROM reads") == place.rows("SELECT id FROM gaps") == []
    keep(database, payload(1))
    assert place.rows("SELECT seq FROM reads") == [(1,)]


def test_what_is_stored_is_there_after_the_store_is_opened_again(place: Place) -> None:
    for seq in (1, 2):
        with closing(place.open()) as database:
            keep(database, payload(seq))
    assert place.rows("SELECT seq FROM reads ORDER BY seq") == [(1,), (2,)]


# SQLite alone


def test_a_disk_that_fails_is_said_and_recovered_from(sqlite_file: SqliteFile) -> None:
    with closing(SqliteDatabase(sqlite_file.path)) as database:
        database._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="readonly"):
            keep(database, payload(1))
        database._connection.execute("PRAGMA query_only = OFF")
        keep(database, payload(1))
    assert sqlite_file.rows("SELECT seq FROM reads") == [(1,)]


def test_only_the_owner_may_open_the_file(sqlite_file: SqliteFile) -> None:
    with closing(sqlite_file.open()) as database:
        keep(database, payload(1))
        modes = {path.name: path.stat().st_mode & 0o777 for path in sqlite_file.path.parent.iterdir()}
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)


def test_a_question_reads_no_whole_table(sqlite_file: SqliteFile) -> None:
    values = dict.fromkeys(
        ("beginning", "highest", "doubtful", "since", "until", "agency", "vehicle", "limit"), "A"
    )
    with closing(SqliteDatabase(sqlite_file.path)) as database:
        for query in (sqlite._ASK_PLATE, sqlite._ASK_VEHICLE):
            plan = database._connection.execute("EXPLAIN QUERY PLAN " + query, values).fetchall()
            assert not [step for *_, step in plan if step.startswith("SCAN reads")]


FIRST = """
CREATE TABLE reads (id TEXT PRIMARY KEY, agency TEXT NOT NULL, vehicle TEXT NOT NULL, seq INTEGER NOT NULL,
    camera TEXT NOT NULL, captured_at TEXT NOT NULL, plate TEXT NOT NULL, confidence REAL NOT NULL,
    record TEXT NOT NULL, stored_at TEXT NOT NULL, deliveries INTEGER NOT NULL DEFAULT 1);
CREATE INDEX reads_by_place ON reads (agency, vehicle, seq);
"""
SECOND = """
CREATE TABLE reads (id TEXT NOT NULL, revision INTEGER NOT NULL, agency TEXT NOT NULL, vehicle TEXT NOT NULL,
    seq INTEGER NOT NULL, camera TEXT NOT NULL, captured_at TEXT NOT NULL, plate TEXT NOT NULL,
    confidence REAL NOT NULL, record TEXT NOT NULL, stored_at TEXT NOT NULL, deliveries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (id, revision));
CREATE INDEX reads_by_place ON reads (agency, vehicle, seq);
CREATE VIEW latest_reads AS
    SELECT * FROM reads WHERE (id, revision) IN (SELECT id, MAX(revision) FROM reads GROUP BY id);
"""


@pytest.mark.parametrize(("schema", "revision"), [(FIRST, ""), (SECOND, "0,")])
def test_files_of_earlier_versions_are_taken_over(tmp_path: Path, schema: str, revision: str) -> None:
    read = payload(2)
    id_ = str(decode_read(read).id)
    with closing(sqlite3.connect(tmp_path / "store.db")) as old, old:
        old.executescript(schema)
        insert = (
            f"INSERT INTO reads VALUES (?, {revision} 'hpd', 'car-1', ?, 'front', 't', 'AB12CD3', 0.9, ?, 's', 3)"  # noqa: S608
        )
        old.executemany(insert, [(id_, 2, read.decode()), ("x", 3, "{}")])
    file = SqliteFile(tmp_path / "store.db")
    for _ in range(2):
        with closing(file.open()) as database:
            assert database.held() == [Span("hpd", "car-1", 2, 3)]
            assert list(keep(database, read).records)
    assert file.rows("SELECT id, revision, seq, deliveries FROM latest_reads ORDER BY seq") == [
        (id_, 0, 2, 5),
        ("x", 0, 3, 3),
    ]

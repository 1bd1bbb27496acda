"""What is too old goes, counts alone stay, and nothing of it is missing."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from edge_agent import host
from examples.central_store import sqlite
from examples.central_store.commands import main
from examples.central_store.database import Database, Purge, Span, StoreError
from examples.central_store.sqlite import SqliteDatabase
from tests.central_store.messages import CAR, JPEG, OTHER, id_of, keep, payload, picture
from tests.central_store.places import Place, PostgresPlace, SqliteFile

NOW = host.now().utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def test_what_is_too_old_is_deleted_and_not_missing(database: Database, place: Place) -> None:
    keep(database, payload(2, OTHER, at=NOW), *(payload(seq, at=days_ago(100 - 10 * seq)) for seq in range(1, 10)))
    assert database.purge(before=days_ago(55)) == Purge(4, 0, 0)
    assert place.rows("SELECT seq FROM reads WHERE vehicle = 'car-1' ORDER BY seq") == [
        (5,),
        (6,),
        (7,),
        (8,),
        (9,),
    ]
    assert database.purge(before=days_ago(25)) == Purge(3, 0, 0)
    assert database.held() == [Span("hpd", "car-1", 1, 9), Span("hpd", "car-2", 2, 2)]
    assert place.rows("SELECT vehicle, first, last FROM purged") == [("car-1", 1, 7)]
    assert place.rows("SELECT reads, rejected FROM purges ORDER BY purged_at") == [(4, 0), (3, 0)]


def test_a_read_that_comes_again_after_its_time_is_stored_and_deleted_again(database: Database) -> None:
    old, older = payload(2, at=days_ago(40)), payload(1, at=days_ago(50))
    keep(database, old, older)
    for _ in range(2):
        assert database.purge(before=days_ago(30)).reads == 2
        assert len(keep(database, old, older).records) == 2
        assert database.held() == [Span("hpd", "car-1", 1, 2)]


@pytest.mark.parametrize("captured", [EPOCH, days_ago(-3000)])
def test_a_read_with_a_clock_out_of_order_ages_from_its_arrival(database: Database, captured: datetime) -> None:
    keep(database, payload(1, at=captured, synchronized=False))
    assert database.purge(before=days_ago(1)).reads == 0
    assert database.purge(before=days_ago(-1)).reads == 1


def test_pictures_go_with_the_last_revision_of_their_read(database: Database, place: Place) -> None:
    old, young = payload(1, at=days_ago(50), jpeg=JPEG), payload(2, at=NOW, jpeg=JPEG)
    corrected = payload(3, at=days_ago(50), jpeg=JPEG)
    correction = payload(4, id_text=id_of(corrected), revision=1, at=days_ago(40))
    keep(database, old, young, corrected, correction, *map(picture, (old, young, corrected)))
    assert len(place.rows("SELECT id FROM images")) == 3
    assert database.purge(before=days_ago(45)) == Purge(2, 1, 0)
    assert {str(id_) for (id_,) in place.rows("SELECT id FROM images")} == {id_of(young), id_of(corrected)}
    assert database.purge(before=days_ago(35)) == Purge(1, 1, 0)
    assert [str(id_) for (id_,) in place.rows("SELECT id FROM images")] == [id_of(young)]


def test_a_picture_whose_read_was_deleted_is_rejected(database: Database, place: Place) -> None:
    read = payload(1, at=days_ago(50), jpeg=JPEG)
    keep(database, read)
    database.purge(before=days_ago(30))
    assert not keep(database, picture(read)).records
    assert place.rows("SELECT id FROM images") == []
    assert place.rows("SELECT reason FROM rejected") == [(f"image of read {id_of(read)}: no read here names it",)]


FAIL = "CREATE TRIGGER fail BEFORE INSERT ON purges BEGIN SELECT RAISE(ABORT, 'purges cannot be written'); END"


def test_pictures_go_with_their_reads_or_not_at_all(database: Database, place: Place) -> None:
    read = payload(1, at=days_ago(50), jpeg=JPEG)
    keep(database, read, picture(read))
    if isinstance(database, SqliteDatabase):
        database._connection.execute(FAIL)
    else:
        place.rows("ALTER TABLE purges ADD CHECK (reads < 0)")
    with pytest.raises(StoreError, match="purges"):
        database.purge(before=days_ago(30))
    assert len(place.rows("SELECT id FROM images")) == len(place.rows("SELECT id FROM reads")) == 1


def test_rejected_messages_go_too(database: Database, place: Place) -> None:
    keep(database, b"not json", topic=CAR.reads)
    assert database.purge(before=days_ago(1)) == Purge(0, 0, 0)
    assert database.purge(before=days_ago(-1)) == Purge(0, 0, 1)
    assert place.rows("SELECT reason FROM rejected") == []


def test_the_job_says_how_much_it_deleted(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(place.open()) as database:
        read = payload(1, at=days_ago(22), jpeg=JPEG)
        keep(database, read, picture(read, JPEG), payload(2, at=days_ago(20)))
    assert main(["retain", "--database", place.name, "--keep", "21"]) == 0
    assert capsys.readouterr().out == "1 read, 1 picture and 0 rejected messages deleted\n"


def test_deleted_plates_are_in_no_file(sqlite_file: SqliteFile) -> None:
    secret = JPEG[:3] + b"ZZ98XX7" * 3000
    with closing(sqlite_file.open()) as database:
        reads = [payload(seq, text="ZZ98XX7", at=days_ago(9), jpeg=secret) for seq in range(1, 50)]
        keep(database, *reads, *(picture(read, secret) for read in reads))
        keep(database, payload(50, text="YY11YY1", at=NOW))
        database.purge(before=days_ago(5))
        contents = b"".join(path.read_bytes() for path in sqlite_file.path.parent.iterdir())
    assert b"YY11YY1" in contents
    assert b"ZZ98XX7" not in contents


def partitions(postgres: PostgresPlace) -> dict[str, int]:
    rows = postgres.rows("SELECT tableoid::regclass::text, count(*) FROM reads GROUP BY 1")
    made = postgres.rows("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'lpr.reads'::regclass")
    return {name: 0 for (name,) in made} | dict(rows)


def test_whole_months_are_dropped_where_nothing_in_them_is_younger(postgres: PostgresPlace) -> None:
    # The 15th of the months before this one.
    months = [NOW.replace(day=15, hour=12)]
    for _ in range(4):
        months.append((months[-1].replace(day=1) - timedelta(days=1)).replace(day=15))
    names = [f"reads_{month:%Y_%m}" for month in months]
    with closing(postgres.open()) as database:
        keep(database, *(payload(seq, at=month) for seq, month in enumerate(months, 1)))
        keep(database, payload(9, at=months[4], synchronized=False), payload(10, at=EPOCH))
        assert partitions(postgres) == dict.fromkeys(names[:4], 1) | {names[4]: 2, "reads_other": 1}
        assert database.purge(before=months[1].replace(day=10)).reads == 4
        # The read of a clock out of order is young: its month stays, with it alone.
        assert partitions(postgres) == {names[0]: 1, names[1]: 1, names[4]: 1, "reads_other": 0}
        assert postgres.rows("SELECT count(*) FROM read_keys") == [(3,)]
        # A worker that thinks the month is still there loses nothing.
        keep(database, payload(3, at=months[2]))
        assert partitions(postgres)["reads_other"] == 1
    with closing(postgres.open()) as database:
        keep(database, payload(12, at=months[2]))
        assert partitions(postgres)[names[2]] == 2
        assert partitions(postgres)["reads_other"] == 0


def test_what_is_deleted_beside_a_reader_is_said_to_stand_there_still(
    sqlite_file: SqliteFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE_S", 0.1)
    with closing(sqlite_file.open()) as database, closing(sqlite3.connect(sqlite_file.path)) as reader:
        keep(database, payload(1))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM reads").fetchone()
        assert database.purge(before=datetime(2027, 1, 1, tzinfo=UTC)).reads == 1
        assert "another program is reading it: what was deleted stands there until the next retain" in caplog.text

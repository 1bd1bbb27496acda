"""What only a server can do: start several workers at once, go away, be set up otherwise."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest

from edge_agent import resources
from examples.central_store import postgres as central_store_postgres
from examples.central_store.database import DatabaseAway, Question, Span, StoreError
from examples.central_store.postgres import PostgresDatabase
from tests.central_store.messages import JPEG, keep, key_of, payload, picture
from tests.central_store.places import PostgresPlace
from tests.central_store.server import PostgresServer

FOLDER = resources.path("examples/central_store")
QUESTION = Question(
    who="me",
    login="me",
    purpose="a good purpose",
    plate="AB*",
    vehicle=None,
    since=None,
    until=None,
    limit=10,
)
MIGRATIONS = [
    "0001_reads",
    "0002_gaps_and_rejected",
    "0003_retention",
    "0004_access",
    "0005_reader",
    "0006_images",
    "0007_images_reader",
    "0008_printable",
    "0009_purpose",
]


def test_workers_that_start_at_once_make_the_schema_once(postgres: PostgresPlace) -> None:
    start = threading.Barrier(6)

    def worker(seq: int) -> None:
        start.wait()
        with closing(postgres.open()) as database:
            keep(database, payload(seq))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(worker, range(1, 7)))
    assert postgres.rows("SELECT name FROM migrations ORDER BY number") == [(name,) for name in MIGRATIONS]
    with closing(postgres.open()) as database:
        assert database.held() == [Span("hpd", "car-1", 1, 6)]


def test_workers_with_the_same_reads_in_other_orders_do_not_block_each_other(postgres: PostgresPlace) -> None:
    reads = [payload(seq) for seq in range(1, 101)]
    start = threading.Barrier(2)

    def worker(order: list[bytes]) -> None:
        with closing(postgres.open()) as database:
            start.wait()
            for first in range(0, 100, 20):
                assert len(keep(database, *order[first : first + 60]).records) > 0

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(worker, [reads, reads[::-1]]))
    assert postgres.rows("SELECT count(*), count(DISTINCT id) FROM reads") == [(100, 100)]


def test_a_connection_that_was_cut_is_made_again(postgres: PostgresPlace) -> None:
    with closing(postgres.open()) as database:
        keep(database, payload(1))
        postgres.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        read = payload(2)
        with pytest.raises(StoreError, match=r"^database postgresql://.*: terminating connection"):
            keep(database, read)
        keep(database, read)
    assert postgres.rows("SELECT seq FROM reads ORDER BY seq") == [(1,), (2,)]


def test_reads_lie_in_the_month_of_their_capture(postgres: PostgresPlace) -> None:
    times = {
        datetime(2026, 7, 1, tzinfo=UTC): "reads_2026_07",
        datetime(2026, 7, 31, 23, 59, 59, 999000, tzinfo=UTC): "reads_2026_07",
        datetime(2026, 8, 1, tzinfo=UTC): "reads_2026_08",
        datetime(1970, 1, 1, tzinfo=UTC): "reads_other",
        datetime(9999, 12, 31, tzinfo=UTC): "reads_other",
    }
    with closing(postgres.open()) as database:
        keep(database, *(payload(seq, at=time) for seq, time in enumerate(times, 1)))
    rows = postgres.rows("SELECT tableoid::regclass::text FROM reads ORDER BY seq")
    assert [name for (name,) in rows] == list(times.values())


def test_who_leaves_a_transaction_open_does_not_stop_the_others(
    postgres: PostgresPlace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    july, august = datetime(2026, 7, 9, tzinfo=UTC), datetime(2026, 8, 9, tzinfo=UTC)
    with closing(postgres.open()) as database:
        keep(database, payload(1, at=july))
        with psycopg.connect(postgres.name) as reader:
            reader.execute("SELECT count(*) FROM lpr.reads")
            keep(database, payload(2, at=august))
            with pytest.raises(DatabaseAway, match="lock timeout"):
                database.purge(before=datetime(2026, 12, 1, tzinfo=UTC))
            keep(database, payload(3, at=july))
            keep(database, payload(5, at=august))
            assert caplog.text.count("no table for the month of 2026-08-01 yet") == 1  # a try keeps all waiting
            where = "SELECT seq, tableoid::regclass::text FROM lpr.reads ORDER BY seq"
            assert reader.execute(where).fetchall()[1] == (2, "lpr.reads_other")
            monkeypatch.setattr(database, "_make_from_s", 0.0)
        keep(database, payload(4, at=august))
    rows = postgres.rows("SELECT seq, tableoid::regclass::text FROM reads ORDER BY seq")
    assert rows == [(seq, f"reads_2026_0{month}") for seq, month in ((1, 7), (2, 8), (3, 7), (4, 8), (5, 8))]


def test_who_holds_the_writers_lock_does_not_stop_them_without_a_word(
    postgres: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(central_store_postgres, "_PREPARE", central_store_postgres._PREPARE.replace("30s", "200ms"))
    question = Question("a test", "root", "a test of waiting", "AB12", None, None, None, 9)
    with closing(postgres.open()) as database, psycopg.connect(postgres.name) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (central_store_postgres._WRITING,))
        other.execute("LOCK TABLE lpr.access_log")
        for refused in (
            lambda: keep(database, payload(1)),
            lambda: database.purge(before=datetime.now(UTC)),
            lambda: database.ask(question),
        ):
            with pytest.raises(DatabaseAway, match="lock timeout"):
                refused()
    assert postgres.rows("SELECT seq FROM reads") == []


def test_plates_and_vehicles_are_found_by_an_index(postgres: PostgresPlace) -> None:
    with closing(postgres.open()) as database:
        keep(database, payload(1))
    plate = (
        "EXPLAIN SELECT seq FROM lpr.reads"
        " WHERE plate BETWEEN 'AB12' AND 'AB12~' OR strpos(plate, '?') > 0 AND plate ~ '^[A?][B?]'"
    )
    place = "EXPLAIN SELECT seq FROM lpr.reads WHERE agency = 'hpd' AND vehicle = 'car-1' AND seq > 5"
    with psycopg.connect(postgres.name, options="-c enable_seqscan=off") as connection:
        for query, index in (
            (plate, "plate_captured_at_idx"),
            (plate, "2026_07_captured_at_idx"),
            (place, "agency_vehicle_seq_idx"),
            ("EXPLAIN SELECT seq FROM lpr.reads WHERE aged_from < now()", "aged_from_idx"),
        ):
            plan = "\n".join(line for (line,) in connection.execute(query.encode()))
            assert index in plan
            assert "Seq Scan" not in plan


@pytest.mark.parametrize(("configured", "used"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_is_on_disk_whatever_the_server_is_set_to(
    postgres: PostgresPlace, configured: str, used: str
) -> None:
    postgres.rows(f"ALTER DATABASE {postgres.database} SET synchronous_commit = {configured}")
    with closing(PostgresDatabase(postgres.name)) as database:
        assert database._rows("SELECT current_setting('synchronous_commit')") == [(used,)]


def test_a_schema_of_a_newer_store_is_left_alone(postgres: PostgresPlace) -> None:
    postgres.open().close()
    postgres.rows("INSERT INTO migrations (number, name) VALUES (99, '0099_later')")
    with pytest.raises(StoreError, match="made by a newer store, whose migration 99 is unknown here"):
        postgres.open()


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresPlace) -> None:
    name = f"{postgres.database}_ascii"
    postgres.rows(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    with pytest.raises(StoreError, match="has the encoding SQL_ASCII: make one with ENCODING 'UTF8'"):
        PostgresDatabase(postgres.server.url(name))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://127.0.0.1:1/lpr", "127.0.0.1:1/lpr"),
        ("postgresql://127.0.0.1:1,[::1]:2/lpr", "127.0.0.1:1,[::1]:2/lpr"),
        ("postgresql://127.0.0.1,localhost/lpr?port=1", "127.0.0.1:1,localhost:1/lpr"),
        ("postgresql:///lpr?host=/nowhere", "/nowhere/lpr"),
    ],
)
def test_a_server_that_is_not_there_is_named_with_its_port(url: str, name: str) -> None:
    with pytest.raises(DatabaseAway) as raised:
        PostgresDatabase(url)
    assert str(raised.value).startswith(f"database postgresql://{name}: connection ")


def test_what_time_may_mend_is_told_from_what_it_does_not(postgres: PostgresPlace) -> None:
    with closing(PostgresDatabase(postgres.name)) as database:
        with pytest.raises(DatabaseAway):
            database._rows("SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(StoreError) as raised:
            database._rows("SELECT nothing FROM nowhere")
        assert not isinstance(raised.value, DatabaseAway)


def test_where_the_store_may_make_no_role_an_administrator_does() -> None:
    server = PostgresServer()
    server.start()
    try:
        server.ask("postgres", "CREATE ROLE plain LOGIN; CREATE ROLE sergeant LOGIN")
        server.ask("postgres", "CREATE DATABASE site OWNER plain")
        with closing(PostgresDatabase(server.url("site", user="plain"))) as database:
            keep(database, read := payload(1, jpeg=JPEG), picture(read))
            assert database.held() == [Span("hpd", "car-1", 1, 1)]
        assert server.ask("site", "SELECT rolname FROM pg_roles WHERE rolname = 'lpr_reader'") == []
        server.ask("site", "CREATE ROLE lpr_reader NOLOGIN; GRANT lpr_reader TO sergeant")
        for name in ("0005_reader.sql", "0007_images_reader.sql"):
            server.ask("site", (FOLDER / "migrations" / name).read_text())
        with closing(PostgresDatabase(server.url("site", user="sergeant"))) as database:
            assert database.ask(QUESTION)[0].plate == "AB12CD3"
            assert database.ask_images(QUESTION, [key_of(read)]) == {key_of(read): JPEG}
            with pytest.raises(StoreError, match="permission denied"):
                database.held()
    finally:
        server.remove()

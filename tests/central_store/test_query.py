"""Nobody sees a read without a purpose on record."""

import json
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest

from examples.central_store.commands import main
from tests.central_store.messages import OTHER, keep, payload
from tests.central_store.places import Place, PostgresPlace, SqliteFile
from tests.contract.reads import NOON

PURPOSE = "case 2026-0815, stolen vehicle"
PLATES = ("AB12CD3", "AB12C", "A?12CD3", "AB12???", "AB1", "XB12CD3", "ZZ99", "????", "AB12CD34")


@pytest.fixture
def filled(place: Place) -> Place:
    with closing(place.open()) as database:
        reads = [payload(n, text=text, at=NOON + timedelta(minutes=n)) for n, text in enumerate(PLATES, 1)]
        first = payload(20, OTHER, text="AB12CD8", at=NOON + timedelta(hours=2))
        corrected = payload(
            21, OTHER, text="QQ11", at=NOON + timedelta(hours=2), id_text=json.loads(first)["id"], revision=1
        )
        keep(database, *reads, first, corrected)
    return place


def ask(place: Place, *options: str) -> int:
    return main(["query", "--database", place.name, "--purpose", PURPOSE, "--user", "Sgt. Example", *options])


def plates(lines: str) -> list[str]:
    return [line.split()[1] for line in lines.splitlines()]


@pytest.mark.parametrize(
    ("plate", "found"),
    [
        ("AB12CD3", ["AB12???", "A?12CD3", "AB12CD3"]),
        ("ab-12 cd3", ["AB12???", "A?12CD3", "AB12CD3"]),
        ("AB12*", ["AB12CD34", "????", "AB12???", "A?12CD3", "AB12C", "AB12CD3"]),
        ("ZZ99", ["????", "ZZ99"]),
        ("AB12CD8", ["AB12???"]),  # not the read that was corrected
        ("QQ11", ["QQ11", "????"]),
        ("W*", ["????"]),
        ("NONE1", []),
    ],
)
def test_plates_are_found_whole_or_by_their_beginning_and_in_spite_of_what_was_unreadable(
    filled: Place, capsys: pytest.CaptureFixture[str], plate: str, found: list[str]
) -> None:
    assert ask(filled, "--plate", plate) == 0
    seen = capsys.readouterr()
    assert plates(seen.out) == found
    assert seen.err == ("" if found else "central store: no read matches\n")


def test_a_vehicle_and_times_and_a_limit(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(filled, "--vehicle", "hpd/car-2", "--jsonl") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["plate"]["text"] == "QQ11"
    times = ["--from", "2026-07-04T12:02", "--to", "2026-07-04T14:05:00+02:00"]
    assert ask(filled, "--vehicle", "hpd/car-1", *times) == 0
    assert plates(capsys.readouterr().out) == ["AB12???", "A?12CD3", "AB12C"]
    assert ask(filled, "--vehicle", "hpd/car-1", *times, "--limit", "2") == 0
    seen = capsys.readouterr()
    assert plates(seen.out) == ["AB12???", "A?12CD3"]
    assert seen.err == "central store: these are the newest 2; there may be more\n"


def test_the_table_says_when_what_how_sure_and_where(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    ask(filled, "--plate", "XB12CD3")
    assert (
        capsys.readouterr().out
        == "2026-07-04T12:06:00.123Z  XB12CD3       0.932  hpd/car-1  front  41.763712,-72.685099\n"
    )


def test_a_record_of_several_lines_is_printed_on_one(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    read = json.dumps(json.loads(payload(1)), indent=2).encode()
    with closing(place.open()) as database:
        keep(database, read)
    ask(place, "--plate", "AB12CD3", "--jsonl")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads(read)


def test_every_question_is_on_record(filled: Place, capsys: pytest.CaptureFixture[str]) -> None:
    ask(filled, "--plate", "ZZ99", "--from", "2026-07-04")
    ask(filled, "--vehicle", "hpd/car-9")
    main(["query", "--database", filled.name, "--purpose", PURPOSE, "--plate", "ZZ99"])
    capsys.readouterr()
    assert main(["log", "--database", filled.name]) == 0
    newest, second, oldest = capsys.readouterr().out.splitlines()
    assert ": plate ZZ99 limit 100; 2 given; for: case 2026-0815, stolen vehicle" in newest
    assert ": vehicle hpd/car-9 limit 100; 0 given; for: " in second
    assert "  Sgt. Example (as " in oldest
    assert ": plate ZZ99 from 2026-07-04T00:00:00.000Z limit 100; 2 given; for: " in oldest
    assert main(["log", "--database", filled.name, "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [newest]


@pytest.mark.parametrize("options", [[], ["--purpose", "too short"], ["--purpose", "             x"]])
def test_no_question_without_a_purpose(
    filled: Place, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["query", "--database", filled.name, "--plate", "ZZ99", *options])
    assert ended.value.code == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "--purpose" in seen.err
    assert filled.rows("SELECT who FROM access_log") == []


REFUSE = """
CREATE TRIGGER refuse BEFORE INSERT ON access_log BEGIN SELECT RAISE(ABORT, 'the log cannot be written'); END
"""


def test_nothing_is_shown_where_the_log_cannot_be_written(
    filled: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(filled, SqliteFile):
        with closing(filled.open()) as database:
            database._connection.execute(REFUSE)  # type: ignore[attr-defined]
    else:
        filled.rows("DROP TABLE lpr.access_log")
    assert ask(filled, "--plate", "ZZ99") == 1
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    assert "log" in seen.err


# PostgreSQL alone: the role that may ask


@pytest.fixture
def reader(postgres: PostgresPlace) -> str:
    """The name of the database for somebody with the role lpr_reader."""
    with closing(postgres.open()) as database:
        keep(database, payload(1))
    postgres.rows(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sergeant') THEN"
        " CREATE ROLE sergeant LOGIN; END IF; END $$; GRANT lpr_reader TO sergeant"
    )
    return postgres.server.url(postgres.database, user="sergeant")


def test_a_reader_asks_on_record_under_the_name_that_the_server_knows(
    reader: str, postgres: PostgresPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["query", "--database", reader, "--purpose", PURPOSE, "--user", "somebody", "--plate", "AB12*"]
    assert main(arguments) == 0
    assert plates(capsys.readouterr().out) == ["AB12CD3"]
    assert postgres.rows("SELECT who, login, rows FROM access_log") == [("somebody", "sergeant", 1)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM lpr.reads",
        "SELECT * FROM lpr.latest_reads",
        "SELECT * FROM lpr.reads_other",
        "SELECT * FROM lpr.reads_2026_07",
        "SELECT * FROM lpr.read_keys",
        "SELECT * FROM lpr.rejected",
        "SELECT * FROM lpr.access_log",
        "DELETE FROM lpr.access_log",
        "SELECT lpr.purge_reads(now())",
        "SELECT lpr.make_month('2026-01-01')",
    ],
)
def test_a_reader_gets_at_no_table(reader: str, query: str) -> None:
    with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(query.encode())


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "too short"},
        {"purpose": "             "},
        {"purpose": None},
        {"who": " "},
        {"plate": None},
        {"plate": None, "agency": "hpd"},
        {"agency": "hpd", "vehicle": "car-1"},
        {"plate": "*"},
        {"plate": "A.*"},
        {"at_most": None},
    ],
)
def test_the_function_itself_refuses_what_has_no_purpose_or_no_question(
    reader: str, changed: dict[str, str | None]
) -> None:
    asked = {"who": "me", "purpose": "a good purpose", "plate": "AB12CD3", "agency": None, "vehicle": None}
    values = asked | {"at_most": "10"} | changed
    query = (
        "SELECT plate FROM lpr.ask(%(who)s, %(purpose)s, %(plate)s, %(agency)s, %(vehicle)s, NULL, NULL,"
        " %(at_most)s::int)"
    )
    with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.RaiseException):
        connection.execute(query, values)


@pytest.mark.parametrize(
    ("who", "purpose"),
    [
        ("me", "case 12345\n2026-11-01  chief: plate ZZ99"),
        ("me\x1b[2K", "case 12345"),
        ("\n", "case 12345"),
        ("me", "\u00a0" * 12),
        ("me", "\u200b \u3000" * 9),
        ("me", "case 12345 " * 100),
        ("m" * 201, "case 12345"),
    ],
)
def test_nobody_writes_into_the_access_log_what_nobody_can_read(
    reader: str, postgres: PostgresPlace, who: str, purpose: str
) -> None:
    query = "SELECT plate FROM lpr.ask(%s, %s, 'AB12CD3', NULL, NULL, NULL, NULL, 10)"
    with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.Error):
        connection.execute(query, (who, purpose))
    assert postgres.rows("SELECT who FROM access_log") == []


def test_who_rolls_back_is_in_the_servers_own_log(reader: str, postgres: PostgresPlace) -> None:
    with psycopg.connect(reader) as connection:
        query = b"SELECT plate FROM lpr.ask('me', 'to look in secret', 'AB12CD3', NULL, NULL, NULL, NULL, 10)"
        assert connection.execute(query).fetchall() == [("AB12CD3",)]
        connection.rollback()
    assert postgres.rows("SELECT who FROM access_log") == []
    (line,) = (
        line for line in postgres.server.log().splitlines() if "to look in secret" in line and "LOG:" in line
    )
    assert "in the access log, by sergeant, as me, for: to look in secret" in line
    assert "AB12" not in line

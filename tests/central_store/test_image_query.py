"""Nobody sees a picture without a purpose on record."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from examples.central_store.commands import main
from examples.central_store.database import Database, Question
from tests.central_store.messages import JPEG, id_of, keep, key_of, payload, picture
from tests.central_store.places import Place, PostgresPlace, SqliteFile
from tests.contract.reads import NOON

PURPOSE = "case 2026-0815, stolen vehicle"
OTHER_JPEG = JPEG[:3] + b"another plate"
QUESTION = Question(
    who="Sgt. Example",
    login="sergeant",
    purpose=PURPOSE,
    plate="AB12CD3",
    vehicle=None,
    since=None,
    until=None,
    limit=10,
)
CORRECTED = payload(3, text="AB12CD3", jpeg=JPEG)
READS = [
    payload(1, jpeg=JPEG),
    payload(2, at=NOON + timedelta(minutes=1)),
    CORRECTED,
    payload(4, id_text=id_of(CORRECTED), revision=1, jpeg=OTHER_JPEG),
    payload(5, text="ZZ99", jpeg=JPEG),
    payload(6, text="YY11", jpeg=JPEG),
]
PICTURES = [picture(READS[0]), picture(CORRECTED), picture(CORRECTED, OTHER_JPEG), picture(READS[4])]


@pytest.fixture
def filled(place: Place) -> Place:
    with closing(place.open()) as database:
        assert not keep(database, *READS, *PICTURES).rejected
    return place


def ask(place: Place, *options: str) -> int:
    return main(["query", "--database", place.name, "--purpose", PURPOSE, "--user", "Sgt. Example", *options])


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def log(place: Place) -> list[tuple[str, str, str, int]]:
    return place.rows("SELECT who, purpose, question, rows FROM access_log ORDER BY id")


def test_each_answers_picture_is_written_as_its_record_names_it(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory := tmp_path / "pictures").mkdir()
    assert ask(filled, "--plate", "AB12CD3", "--images", str(directory)) == 0
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    seen = capsys.readouterr()
    assert files(directory) == {f"{id_of(READS[0])}.jpg": JPEG, f"{id_of(CORRECTED)}.jpg": OTHER_JPEG}
    assert len(seen.out.splitlines()) == 3
    assert seen.err == "central store: 1 of 3 answers have no picture here\n"
    assert log(filled) == [
        ("Sgt. Example", PURPOSE, "plate AB12CD3 limit 100", 3),
        ("Sgt. Example", PURPOSE, "images of 2 reads", 2),
    ]


def test_a_picture_that_has_not_come_is_said(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(filled, "--plate", "YY11", "--images", str(tmp_path)) == 0
    assert capsys.readouterr().err == "central store: 1 of 1 answers have no picture here\n"
    assert log(filled)[-1] == ("Sgt. Example", PURPOSE, "images of 1 reads", 0)
    assert not list(tmp_path.glob("*.jpg"))


def test_pictures_that_are_all_here_are_given_without_a_word(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory := tmp_path / "pictures").mkdir()
    for _ in range(2):
        assert ask(filled, "--plate", "ZZ99", "--jsonl", "--images", str(directory)) == 0
        seen = capsys.readouterr()
        assert seen.err == ""
        assert json.loads(seen.out)["image"]["sha256"] == key_of(READS[4]).sha256
        assert files(directory) == {f"{id_of(READS[4])}.jpg": JPEG}


def test_where_no_picture_is_named_none_is_asked_for(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(filled, "--plate", "NONE1", "--images", str(tmp_path)) == 0
    assert capsys.readouterr() == ("", "central store: no read matches\n")
    assert [question for _, _, question, _ in log(filled)] == ["plate NONE1 limit 100"]


def test_nobody_is_given_a_picture_who_does_not_ask_for_it(filled: Place) -> None:
    assert ask(filled, "--plate", "AB12CD3") == 0
    assert [question for _, _, question, _ in log(filled)] == ["plate AB12CD3 limit 100"]


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_directory_that_is_not_there_is_said_before_anything_is_asked(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    directory = tmp_path / "pictures"
    if kind == "a file":
        directory.touch()
    assert ask(filled, "--plate", "ZZ99", "--images", str(directory)) == 1
    assert capsys.readouterr() == ("", f"central store: {directory}: there is no such directory\n")
    assert log(filled) == []


def test_a_picture_is_written_whole_or_not_at_all(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    (directory := tmp_path / "pictures").mkdir()
    monkeypatch.setattr("examples.central_store.files.os.fsync", fail)
    assert ask(filled, "--plate", "ZZ99", "--images", str(directory)) == 1
    assert capsys.readouterr().err == (
        f"central store: the pictures could not be written to {directory}: No space left on device\n"
    )
    assert files(directory) == {}


REFUSE = """
CREATE TRIGGER refuse BEFORE INSERT ON access_log WHEN NEW.question LIKE 'images%'
BEGIN SELECT RAISE(ABORT, 'the log cannot be written'); END
"""


def test_no_picture_is_given_where_the_log_cannot_be_written(
    filled: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(filled, SqliteFile):
        with closing(filled.open()) as database:
            database._connection.execute(REFUSE)  # type: ignore[attr-defined]
    else:
        filled.rows("ALTER TABLE access_log ADD CONSTRAINT log_without_images CHECK (question NOT LIKE 'images%')")
    (directory := tmp_path / "pictures").mkdir()
    assert ask(filled, "--plate", "ZZ99", "--images", str(directory)) == 1
    seen = capsys.readouterr()
    assert (seen.out, seen.err.count("\n"), files(directory)) == ("", 1, {})
    assert "log" in seen.err


def test_a_picture_is_found_by_read_and_hash_alone(database: Database) -> None:
    keep(database, *READS, *PICTURES)
    known, other = key_of(READS[0]), key_of(CORRECTED)
    strangers = [known._replace(read=uuid4()), known._replace(sha256="0" * 64)]
    assert database.ask_images(QUESTION, strangers) == {}
    assert database.ask_images(QUESTION, [known, other, *strangers]) == {known: JPEG, other: JPEG}


# PostgreSQL alone: the role that may ask


@pytest.fixture
def reader(postgres: PostgresPlace) -> str:
    """The name of the database for somebody with the role lpr_reader."""
    with closing(postgres.open()) as database:
        keep(database, *READS, *PICTURES)
    postgres.rows(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sergeant') THEN"
        " CREATE ROLE sergeant LOGIN; END IF; END $$; GRANT lpr_reader TO sergeant"
    )
    return postgres.server.url(postgres.database, user="sergeant")


def test_a_reader_is_given_pictures_on_record_under_the_name_that_the_server_knows(
    reader: str, postgres: PostgresPlace, tmp_path: Path
) -> None:
    arguments = ["query", "--database", reader, "--purpose", PURPOSE, "--user", "somebody", "--plate", "ZZ99"]
    assert main([*arguments, "--images", str(tmp_path)]) == 0
    assert files(tmp_path) == {f"{id_of(READS[4])}.jpg": JPEG}
    assert postgres.rows("SELECT who, login, question, rows FROM access_log ORDER BY id") == [
        ("somebody", "sergeant", "plate ZZ99 limit 100", 1),
        ("somebody", "sergeant", "images of 1 reads", 1),
    ]


def test_a_reader_gets_not_at_the_table_of_pictures(reader: str) -> None:
    with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM lpr.images")


def test_who_has_not_the_role_is_given_no_picture(reader: str, postgres: PostgresPlace) -> None:
    postgres.rows(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stranger') THEN"
        " CREATE ROLE stranger LOGIN; END IF; END $$; GRANT USAGE ON SCHEMA lpr TO stranger"
    )
    name = postgres.server.url(postgres.database, user="stranger")
    with psycopg.connect(name) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(CALL, CALLED)


CALL = "SELECT jpeg FROM lpr.ask_images(%(who)s, %(purpose)s, %(ids)s::uuid[], %(sha256s)s::text[])"
CALLED = {
    "who": "me",
    "purpose": "a good purpose",
    "ids": [id_of(READS[4])],
    "sha256s": [key_of(READS[4]).sha256],
}


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "too short"},
        {"purpose": "             "},
        {"purpose": None},
        {"who": " "},
        {"who": None},
        {"ids": None},
        {"sha256s": None},
    ],
)
def test_the_function_itself_refuses_what_has_no_purpose_or_names_nothing(
    reader: str, changed: dict[str, str | None]
) -> None:
    with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.RaiseException):
        connection.execute(CALL, CALLED | changed)


def test_who_rolls_back_is_in_the_servers_own_log(reader: str, postgres: PostgresPlace) -> None:
    with psycopg.connect(reader) as connection:
        values = CALLED | {"purpose": "to see in secret"}
        assert connection.execute(CALL, values).fetchall() == [(JPEG,)]
        connection.rollback()
    assert postgres.rows("SELECT who FROM access_log") == []
    lines = [line for line in postgres.server.log().splitlines() if "to see in secret" in line and "LOG:" in line]
    assert len(lines) == 1
    assert "lpr.ask_images: number 1 in the access log, by sergeant, as me, for: to see in secret" in lines[0]

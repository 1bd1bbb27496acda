"""A store that starts before its database, as after a power cut, and one whose database cannot be used at all."""

import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge_agent import resources
from tests.central_store.places import PostgresPlace, SqliteFile
from tests.central_store.server import PostgresServer
from tests.e2e.broker import Mosquitto, wait_until

PROGRAM = resources.path("examples/central_store") / "store.py"
COMMANDS = {
    "gaps": [],
    "query": ["--purpose", "a good purpose", "--plate", "A*"],
    "log": [],
    "import": [__file__],
    "retain": ["--keep", "21"],
}

NOBODY = "postgresql://127.0.0.1:1/lpr"


class Running:
    """The store as a process, and what it says."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen([sys.executable, PROGRAM, *arguments], stdout=file, stderr=file)

    def said(self) -> str:
        return self._log.read_text()


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[Running]:
    store = Running(tmp_path / "log", *arguments)
    try:
        yield store
    finally:
        store.process.kill()
        store.process.wait(20)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path)
    mosquitto.start()
    yield mosquitto
    mosquitto.kill()


@pytest.fixture
def down() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


def test_a_store_waits_for_a_server_that_starts_after_it(
    tmp_path: Path, broker: Mosquitto, down: PostgresServer
) -> None:
    with running(tmp_path, "--broker", broker.address, "--database", down.url("postgres")) as store:
        wait_until(lambda: "trying again" in store.said(), "the store to say that the server is away")
        assert store.process.poll() is None
        (line,) = store.said().splitlines()
        assert f"WARNING database postgresql://{down.directory}/postgres: connection " in line
        down.start()
        wait_until(lambda: "listening" in store.said(), "the store to listen")
        store.process.send_signal(signal.SIGTERM)
        assert store.process.wait(20) == 0
    assert len(PostgresPlace(down, "postgres").rows("SELECT number FROM migrations")) > 0


def test_that_a_server_is_away_is_said_once_however_often_it_is_tried(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        with running(tmp_path, "--database", f"postgresql://127.0.0.1:{server.getsockname()[1]}/lpr") as store:
            for _ in range(4):  # after the fourth, three have failed
                server.accept()[0].close()
            (line,) = store.said().splitlines()
    assert line.endswith("; trying again")


def test_a_store_that_waits_for_an_answer_ends_before_it_would_give_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        url = f"postgresql://127.0.0.1:{server.getsockname()[1]}/lpr"
        for number in (signal.SIGTERM, signal.SIGINT):
            with running(tmp_path, "--database", url) as store:
                connection, _ = server.accept()  # and says nothing
                with connection:
                    store.process.send_signal(number)
                    assert store.process.wait(5) == 0  # the connection's own patience is 10 s
                assert "Traceback" not in store.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_store_that_waits_for_its_next_try_ends_when_told(tmp_path: Path, number: int) -> None:
    with running(tmp_path, "--database", NOBODY) as store:
        wait_until(lambda: "trying again" in store.said(), "the store to say that the server is away")
        store.process.send_signal(number)
        assert store.process.wait(20) == 0
        assert "Traceback" not in store.said()


@pytest.mark.parametrize(
    ("database", "user", "expected"),
    [
        ("missing", "postgres", 'database "missing" does not exist'),
        ("postgres", "missing", 'role "missing" does not exist'),
        ("postgres", "guarded", "no password supplied"),
        ("postgres", "guarded:wrong", 'password authentication failed for user "guarded"'),
        ("postgres", "locked_out", 'role "locked_out" is not permitted to log in'),
        ("closed", "plain", 'permission denied for database "closed"'),
        ("postgres", "plain", "permission denied for database postgres"),
        ("ascii", "postgres", "has the encoding SQL_ASCII"),
        ("newer", "postgres", "was made by a newer store"),
        ("asked", "reader", "its role may not write reads"),
    ],
)
def test_what_no_waiting_mends_ends_the_store(
    tmp_path: Path, guarded: PostgresServer, database: str, user: str, expected: str
) -> None:
    name, _, password = user.partition(":")
    url = guarded.url(database, user=name) + (f"&password={password}" if password else "")
    with running(tmp_path, "--database", url) as store:
        assert store.process.wait(20) == 1
        (line,) = store.said().splitlines()
        assert line.startswith("central store: database postgresql://")
        assert expected in line


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresServer]:
    """A server on which not everybody may do everything."""
    server = PostgresServer()
    rules = server.directory / "data" / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\nlocal all all trust\n")
    server.start()
    server.ask("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'right'; CREATE ROLE locked_out")
    server.ask("postgres", "CREATE ROLE plain LOGIN")
    server.ask("postgres", "CREATE DATABASE closed")
    server.ask("postgres", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    server.ask("postgres", "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    server.ask("postgres", "CREATE DATABASE asked")
    PostgresPlace(server, "asked").open().close()
    server.ask("asked", "CREATE ROLE reader LOGIN; GRANT lpr_reader TO reader")
    server.ask("postgres", "CREATE DATABASE newer")
    PostgresPlace(server, "newer").open().close()
    server.ask("newer", "INSERT INTO lpr.migrations (number, name) VALUES (99, '0099_later')")
    yield server
    server.remove()


@pytest.mark.parametrize("command", COMMANDS)
def test_other_commands_do_not_wait(tmp_path: Path, command: str) -> None:
    with running(tmp_path, command, "--database", NOBODY, *COMMANDS[command]) as store:
        assert store.process.wait(20) == 1
        (line,) = store.said().splitlines()
        assert line.startswith("central store: database postgresql://127.0.0.1:1/lpr: connection failed: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_another_programs_file_stays_as_it_is(tmp_path: Path, command: str) -> None:
    path = tmp_path / "outbox.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE reads (seq INTEGER PRIMARY KEY, payload BLOB)")
    before = path.read_bytes()
    with running(tmp_path, command, "--database", str(path), *COMMANDS[command]) as store:
        assert store.process.wait(20) == 1
        assert store.said() == f"central store: database {path}: is of another program: name the store's file\n"
    assert path.read_bytes() == before


def test_a_store_waits_for_a_file_that_another_program_writes(
    tmp_path: Path, broker: Mosquitto, sqlite_file: SqliteFile
) -> None:
    sqlite_file.open().close()
    with closing(sqlite3.connect(sqlite_file.path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with running(tmp_path, "--broker", broker.address, "--database", sqlite_file.name) as store:
            wait_until(lambda: "database is locked; trying again" in store.said(), "the store to wait")
            other.execute("COMMIT")
            wait_until(lambda: "listening" in store.said(), "the store to listen")

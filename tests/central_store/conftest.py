from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from examples.central_store.database import Database
from tests.central_store.messages import FakeLink
from tests.central_store.places import Place, PostgresPlace, SqliteFile
from tests.central_store.server import PostgresServer

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> PostgresPlace:
    """An empty database."""
    name = f"lpr_{next(_numbers)}"
    postgres_server.ask("postgres", f"CREATE DATABASE {name}")
    return PostgresPlace(postgres_server, name)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> SqliteFile:
    return SqliteFile(tmp_path / "store.db")


@pytest.fixture(params=["sqlite_file", "postgres"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of database in turn."""
    made: Place = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def database(place: Place) -> Iterator[Database]:
    with closing(place.open()) as opened:
        yield opened


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()

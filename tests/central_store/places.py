"""Where a store keeps its reads: the same tests look into both databases."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from examples.central_store.database import Database
from examples.central_store.postgres import PostgresDatabase
from examples.central_store.sqlite import SqliteDatabase
from tests.central_store.server import PostgresServer


class Place(Protocol):
    """A database by its name on the command line; rows looks into its tables."""

    name: str

    def open(self) -> Database: ...
    def rows(self, query: str) -> list[tuple[Any, ...]]: ...


class SqliteFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def open(self) -> Database:
        return SqliteDatabase(self.path)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


class PostgresPlace:
    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.database = name
        self.name = server.url(name)

    def open(self) -> Database:
        return PostgresDatabase(self.name)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.server.ask(self.database, query)

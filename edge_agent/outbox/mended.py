"""A copy of a damaged outbox through which each of its pages can be read, whatever happened to the others.

SQLite reaches a table's rows from its first page down. In the copy every page is called a table of its own, by a
new first page: so rows come also from pages to which no way leads any more.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.outbox.file import PAGE_BYTES, SALT_BYTES, Connection, connect, free_bytes, is_damage, log_of
from edge_agent.outbox.log import read_log
from edge_agent.outbox.pairing import follows, name_of
from edge_agent.outbox.schema import is_ours, prepare

_COLUMNS = "place, a, b, c, d, e, f"
_PAGES_AT_ONCE = 500
"""That are called tables, for the memory's sake."""

_MOST_ROWS = 500
"""More do not fit on a page; one further up in a tree would give all of those below."""

UNREADABLE = "\ufffd"
"""In place of a character that is none."""

_ROOM_BYTES = 64 * 1024 * 1024
"""In one row."""


class Mended:
    """The copy; it goes when it is left. Raises OSError and sqlite.Error where the disk refuses.

    An encrypted file begins with the salt that all of its pages need: where that is lost, and no other is known,
    nothing can be read.
    """

    def __init__(self, path: Path, key: bytes | None, *, salt: bytes | None) -> None:
        self._source = path
        self.path = path.with_name(f"{path.name}.mending")
        self._key = key
        self.begins_anew = False
        """Whether its first page could not be read, and another one stands there."""
        if key is not None and self._begins(path):
            with path.open("rb") as file:
                salt = file.read(SALT_BYTES)
        if key is not None and salt is not None:
            self._key = key + salt

    def __enter__(self) -> Self:
        self._delete()
        try:
            self._make()
        except BaseException:
            self._delete()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._delete()

    def connect(self) -> Connection:
        """A connection that may write to the copy; one that met a damaged page may give no other page either."""
        connection = connect(self.path, self._key)
        connection.execute("PRAGMA writable_schema = ON")  # else a file that was cut short is refused as a whole
        connection.execute("PRAGMA synchronous = OFF")
        connection.text_factory = lambda text: text.decode(errors="replace")  # what it says, another judges
        return connection

    def rows(self) -> Iterator[Sequence[Any]]:
        """Rows of all pages with up to seven columns, in no order; those of other tables are among them."""
        with self.path.open("rb+") as file:
            file.write(self._first)
        pages = self.path.stat().st_size // PAGE_BYTES
        for first in range(2, pages + 1, _PAGES_AT_ONCE):
            chosen = range(first, min(first + _PAGES_AT_ONCE, pages + 1))
            with closing(self.connect()) as connection:
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("DELETE FROM sqlite_master WHERE name LIKE 'page%'")
                connection.executemany(
                    "INSERT INTO sqlite_master VALUES ('table', ?1, ?1, ?2, ?3)",
                    [
                        (f"page{n}", n, f"CREATE TABLE page{n} (place INTEGER PRIMARY KEY, a, b, c, d, e, f)")
                        for n in chosen
                    ],
                )
            yield from self._of(chosen)

    def _of(self, pages: Sequence[int]) -> Iterator[Sequence[Any]]:
        connection = self.connect()
        try:
            for number in pages:
                try:
                    yield from connection.execute(
                        f"SELECT {_COLUMNS} FROM page{number} LIMIT {_MOST_ROWS}"
                    ).fetchall()
                except sqlite.Error:
                    connection.close()
                    connection = self.connect()
                    yield from self._one_by_one(number)
        finally:
            connection.close()

    def _one_by_one(self, number: int) -> Iterator[Sequence[Any]]:
        """The rows of a page of which one continues on a page that is damaged."""
        with suppress(sqlite.Error):
            with closing(self.connect()) as connection:
                places = connection.execute(f"SELECT place FROM page{number} LIMIT {_MOST_ROWS}").fetchall()
            for place in places:
                with suppress(sqlite.Error), closing(self.connect()) as connection:
                    yield from connection.execute(
                        f"SELECT {_COLUMNS} FROM page{number} WHERE place = ?", place
                    ).fetchall()

    def _make(self) -> None:
        log = read_log(log_of(self._source))
        size = max(self._source.stat().st_size, PAGE_BYTES * max(log.pages, default=0))
        if free_bytes(self.path.parent) < size:  # else it would take from everyone what there is, and then fail
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(self.connect()) as new:
            new.execute("PRAGMA journal_mode = OFF")
            prepare(new)
            _grow(new, size)
        with self.path.open("rb") as file:
            self._first = file.read(PAGE_BYTES)
        self._lay(log.pages, size)
        if not follows(self._name_of(self.path), self._name_of(self._source)):
            self._lay({}, self._source.stat().st_size)  # it is another outbox's log
        self.begins_anew = not self._begins(self.path)
        if self.begins_anew:
            with self.path.open("rb+") as file:
                file.write(self._first)

    def _lay(self, pages: Mapping[int, bytes], size: int) -> None:
        """Copy the file, so many bytes of it, with pages of its log laid over it."""
        with self._source.open("rb") as old, self.path.open("rb+") as file:
            shutil.copyfileobj(old, file)
            for number, page in pages.items():
                file.seek((number - 1) * PAGE_BYTES)
                file.write(page)
            file.truncate(size // PAGE_BYTES * PAGE_BYTES)

    def _name_of(self, path: Path) -> int | None:
        try:
            with closing(connect(path, self._key, unshared=True)) as connection:
                return name_of(connection)
        except (sqlite.Error, UnicodeDecodeError):
            return None

    def _begins(self, path: Path) -> bool:
        """Whether a file's first page can be read, and names tables of ours."""
        try:
            with closing(connect(path, self._key, unshared=True)) as connection:
                connection.execute("PRAGMA writable_schema = ON")
                return is_ours(connection)
        except sqlite.Error as error:
            return not is_damage(error)
        except UnicodeDecodeError:
            return False

    def _delete(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def _grow(new: Connection, size: int) -> None:
    """Fill a file up to a size (bytes): its first page says how many pages there are."""
    new.execute("CREATE TABLE room (bytes BLOB)")
    for start in range(0, size, _ROOM_BYTES):
        new.execute("INSERT INTO room VALUES (ZEROBLOB(?))", (min(_ROOM_BYTES, size - start),))

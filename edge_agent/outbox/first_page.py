"""A file whose first page is lost, read by that of a new outbox: the tables begin on the same pages in each."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.outbox.file import Connection, connect, is_damage
from edge_agent.outbox.schema import prepare

_ROOM_BYTES = 64 * 1024 * 1024
"""In one row."""


@contextmanager
def with_first_page(path: Path, key: bytes | None, *, salt: bytes | None) -> Iterator[Path]:
    """A file to read the tables of: the damaged one itself, or a copy that begins with a new first page.

    An encrypted file begins with the salt that all of its pages need; without it nothing helps. Raises OSError and
    sqlite.Error where the disk refuses.
    """
    if _has_one(path, key) or (key is not None and salt is None):
        yield path
        return
    mended = path.with_name(f"{path.name}.mending")
    try:
        _mend(path, mended, None if key is None or salt is None else key + salt)
        yield mended
    finally:
        for suffix in ("", "-wal", "-shm"):
            mended.with_name(mended.name + suffix).unlink(missing_ok=True)


def _has_one(path: Path, key: bytes | None) -> bool:
    try:
        with closing(connect(path, key, read_only=True)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite.Error as error:
        return not is_damage(error)
    return True


def _mend(path: Path, mended: Path, key: bytes | None) -> None:
    """Make a new outbox of at least as many pages, and put the damaged one's in the place of all but the first."""
    size = path.stat().st_size
    for suffix in ("", "-wal", "-shm"):  # that a power cut left
        mended.with_name(mended.name + suffix).unlink(missing_ok=True)
    os.close(os.open(mended, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(connect(mended, key)) as new:
        new.execute("PRAGMA synchronous = OFF")
        new.execute("PRAGMA journal_mode = OFF")
        prepare(new)
        first = _grow(new, size)
        new.execute("PRAGMA journal_mode = WAL")
    with path.open("rb") as old, mended.open("rb+") as file:
        old.seek(first)
        file.seek(first)
        shutil.copyfileobj(old, file)
        file.truncate(size)
    log = path.with_name(f"{path.name}-wal")
    with suppress(FileNotFoundError):
        shutil.copy2(log, mended.with_name(f"{mended.name}-wal"))


def _grow(new: Connection, size: int) -> int:
    """Fill a file up to a size (bytes): its first page says how many there are. Returns the bytes of a page."""
    new.execute("CREATE TABLE room (bytes BLOB)")
    for start in range(0, size, _ROOM_BYTES):
        new.execute("INSERT INTO room VALUES (ZEROBLOB(?))", (min(_ROOM_BYTES, size - start),))
    (page_bytes,) = new.execute("PRAGMA page_size").fetchone()
    return int(page_bytes)

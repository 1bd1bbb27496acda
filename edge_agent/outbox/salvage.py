"""What can still be read of a damaged outbox goes into a new one; the damaged file is kept."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.domain import GapReason, Missing, Stamp
from edge_agent.errors import OutboxError
from edge_agent.outbox.bounds import insert_gap, remove_images
from edge_agent.outbox.file import Connection, connect, explained, overwrite, sync
from edge_agent.outbox.first_page import with_first_page
from edge_agent.outbox.schema import prepare

HIGHEST_SEQ = 2**40
MOST_FAILURES = 5_000
"""Of looking for rows: where everything fails, the tree has no root left."""

SKIPPED = 10_000
"""Places left out where the count itself is lost: none may be given to two reads."""

UUID_BYTES = 16

ROWS_AT_ONCE = 500
"""Of a table, in memory."""

_TABLES = {
    "reads": ("seq", "seq, id, revision, priority, appended_ms, appended_age_s, payload"),
    "gaps": ("number", "number, id, reason, ranges, reads, acknowledged, at_ms, sent_at_s, what"),
    "purges": ("number", "number, at_ms, reason, reads, oldest_ms, newest_ms, what"),
    "quarantined": ("seq", "seq, why"),
    "images": ("seq", "seq, read_id, sha256, appended_ms, appended_age_s, jpeg"),
    "images_due": ("seq", "seq, NULL, 0"),
}


@dataclass(frozen=True, slots=True)
class Salvaged:
    """How many reads and pictures were saved, how many pictures left, and where the damaged file lies now.

    A picture leaves whose read was lost: no store takes it, and it would be sent until it is too old.
    """

    reads: int
    images: int
    images_left: int
    kept: Path


def salvage(path: Path, key: bytes | None, *, salt: bytes | None, owner: str, now: Stamp) -> Salvaged:
    """Build a new outbox from a damaged one and put it in its place. Raises OutboxError where the disk refuses.

    Salt is what an encrypted file began with when it was opened last. A power cut leaves the damaged file where it
    was, or a new one that is complete.
    """
    kept = path.with_name(f"{path.name}.damaged-{now.utc:%Y%m%dT%H%M%SZ}")
    building = path.with_name(f"{path.name}.salvaging")
    try:
        for old in path.parent.glob(f"{building.name}*"):
            old.unlink()
        os.close(os.open(building, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with (
            explained(building),
            with_first_page(path, key, salt=salt) as source,
            closing(connect(building, key)) as new,
        ):
            prepare(new)
            new.execute("BEGIN")
            reads, images, images_left = _copy(source, key, new, owner=owner, now=now)
            new.execute("COMMIT")
        with building.open("rb") as file:
            os.fsync(file.fileno())
        if not (kept.exists() and kept.samefile(path)):  # from an attempt that a power cut ended
            kept.hardlink_to(path)
        log = _log(path)
        if log.exists():
            shutil.copy2(log, _log(kept))
        building.rename(_done(path))
        sync(path.parent)
    except OSError as error:
        raise OutboxError(f"outbox {path}: is damaged, and could not be salvaged: {error.strerror}") from None
    finish(path)
    return Salvaged(reads, images, images_left, kept)


def outlived(connection: Connection, path: Path, *, age_s: float, older_than_s: float) -> list[Path]:
    """Give the damaged files that lie beside an outbox, now of such an age, for so long (s); inside a transaction.

    By the outbox's age as its reads: a clock that is ahead for a moment must not cost what can still be looked at.
    """
    found = {one.name: one for one in path.parent.glob(f"{path.name}.damaged-*")}
    known = connection.execute("SELECT name, since_age_s FROM kept").fetchall()
    connection.executemany("DELETE FROM kept WHERE name = ?", [(name,) for name, _ in known if name not in found])
    connection.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", [(name, age_s) for name in found])
    since = dict.fromkeys(found, age_s) | dict(known)
    return [one for name, one in found.items() if since[name] <= age_s - older_than_s]


def erase(files: Sequence[Path]) -> None:
    """Overwrite and delete damaged files."""
    for one in files:
        with suppress(OSError):  # the next time
            overwrite(one)
            one.unlink()


def finish(path: Path) -> None:
    """Put a complete new file in the damaged one's place; its log would damage the new one, so that goes first."""
    if _done(path).exists():
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync(path.parent)
        _done(path).replace(path)
        sync(path.parent)


def _done(path: Path) -> Path:
    return path.with_name(f"{path.name}.salvaged")


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _copy(path: Path, key: bytes | None, new: Connection, *, owner: str, now: Stamp) -> tuple[int, int, int]:
    """Copy every row that can be read, and write down what may be missing.

    Returns how many reads and pictures there are, and how many pictures left.
    """
    old = _Damaged(path, key)
    for table in _TABLES:
        for row in _rows(old, table):
            if not _makes_sense(table, row):
                old.broken.add(table)
                continue
            try:
                new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
            except sqlite.IntegrityError:  # a value of a kind that its column cannot hold
                old.broken.add(table)
    now_ms = int(now.utc.timestamp() * 1000)
    images_left = _settle_images(new, old, now_ms=now_ms)
    age = old.one("SELECT aged_s, utc_s FROM age")
    reads, highest = new.execute("SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM reads").fetchone()
    *others, (last, whose) = _counts(old) or [(highest + SKIPPED, owner)]
    last = max(last, highest)
    new.execute("DELETE FROM counter")
    new.executemany("INSERT INTO counter VALUES (?, ?)", [*others, (last, whose)])
    if age is not None and all(isinstance(one, float) for one in age):
        new.execute("UPDATE age SET aged_s = ?, utc_s = ?", age)
    else:  # else no read would grow old until the new file is as old as the lost one was
        new.execute("UPDATE age SET aged_s = (SELECT COALESCE(MAX(appended_age_s), 0.0) FROM reads)")
    behind = old.one("SELECT behind_from FROM age WHERE TYPEOF(behind_from) = 'integer'")  # not in earlier formats
    if behind is not None:
        new.execute("UPDATE age SET behind_from = ?", behind)
    if last:
        # Pictures can be missing of reads that are not: the store has those by now, or they lie on other pages.
        missing = [Missing.READS, *([Missing.IMAGES] if "images" in old.broken else [])]
        for what in missing:
            insert_gap(new, [(1, last)], GapReason.DAMAGED, what=what, reads=0, acknowledged=0, now_ms=now_ms)
    (images,) = new.execute("SELECT COUNT(*) FROM images").fetchone()
    return int(reads), int(images), images_left


def _settle_images(new: Connection, old: "_Damaged", *, now_ms: int) -> int:
    """Make the pictures due whose reads the store has; those whose reads were lost leave, and are counted."""
    alone = "seq IN (SELECT seq FROM images) AND seq NOT IN (SELECT seq FROM reads)"
    new.execute(f"DELETE FROM images_due WHERE NOT ({alone})")
    if "images_due" in old.broken and "reads" not in old.broken:  # no read was lost: the store has the others
        new.execute(f"INSERT OR IGNORE INTO images_due (seq) SELECT seq FROM images WHERE {alone}")
    lost = new.execute(f"SELECT seq FROM images WHERE {alone} AND seq NOT IN (SELECT seq FROM images_due)")
    return remove_images(new, [seq for (seq,) in lost], GapReason.DAMAGED, now_ms=now_ms)


def _counts(old: "_Damaged") -> list[tuple[int, str]]:
    """Give the count of every owner, the current one last; none where one of them makes no sense."""
    try:
        rows = old.ask("SELECT last_seq, owner FROM counter ORDER BY rowid")
    except sqlite.Error:
        return []
    sane = [
        (last, whose)
        for last, whose in rows
        if isinstance(last, int) and 0 <= last <= HIGHEST_SEQ and isinstance(whose, str)
    ]
    return sane if len(sane) == len(rows) else []


def _makes_sense(table: str, row: Sequence[Any]) -> bool:
    """Tell whether a row can be understood again: SQLite looks at pages and types, not at what they say."""
    if table == "reads":
        return isinstance(row[1], bytes) and len(row[1]) == UUID_BYTES
    if table == "images":
        _seq, read, digest, *_ = row
        return isinstance(digest, bytes) and isinstance(read, bytes) and len(read) == UUID_BYTES
    if table != "gaps":
        return True
    _number, id_, reason, places, *_ = row
    try:
        GapReason(reason)
        return len(id_) == UUID_BYTES and all(first <= last for first, last in json.loads(places))
    except (TypeError, ValueError):
        return False


class _Damaged:
    """A file that is opened for each question: after a wrong page SQLCipher gives a connection no other either."""

    def __init__(self, path: Path, key: bytes | None) -> None:
        self._path = path
        self._key = key
        self.broken: set[str] = set()
        """Tables of which something could not be read."""

    def ask(self, query: str, parameters: Sequence[int] = ()) -> list[tuple[Any, ...]]:
        """Give all rows. Raises sqlite.Error where one of their pages is damaged."""
        with closing(connect(self._path, self._key, read_only=True)) as connection:
            connection.execute(
                "PRAGMA writable_schema = ON"
            )  # else a file that was cut short is refused as a whole
            rows: list[tuple[Any, ...]] = connection.execute(query, parameters).fetchall()
            return rows

    def one(self, query: str) -> tuple[Any, ...] | None:
        try:
            return next(iter(self.ask(query)), None)
        except sqlite.Error:
            return None


def _rows(old: _Damaged, table: str) -> Iterator[Sequence[Any]]:
    """Every row that can be reached: a range of keys that fails is halved until the damaged page stands alone."""
    key, columns = _TABLES[table]
    query = f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key} LIMIT {ROWS_AT_ONCE}"
    spans, failures = [(0, HIGHEST_SEQ)], 0
    while spans and failures < MOST_FAILURES:
        first, last = spans.pop()
        try:
            rows = old.ask(query, (first, last))
        except sqlite.Error as error:
            if error.sqlite_errorcode == sqlite.SQLITE_ERROR:  # no such table: a file of an earlier format
                return
            failures += 1
            old.broken.add(table)
            if first < last:
                middle = (first + last) // 2
                spans += [(middle + 1, last), (first, middle)]
            continue
        yield from rows
        if len(rows) == ROWS_AT_ONCE:
            spans.append((rows[-1][0] + 1, last))

"""What can still be read of a damaged outbox goes into a new one; the damaged file is kept."""

import errno
import itertools
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
from edge_agent.outbox.away import Away
from edge_agent.outbox.bounds import insert_gap, remove_damaged
from edge_agent.outbox.file import (
    HALF_MADE,
    Connection,
    connect,
    erase,
    index_of,
    is_full,
    log_of,
    salvaged,
    sync,
)
from edge_agent.outbox.log import is_unused
from edge_agent.outbox.mended import UNREADABLE, Mended
from edge_agent.outbox.rows import AGE, HIGHEST_SEQ, SUMMED, Gap, ImageRow, Purge, Row, is_age, seal, unsealed
from edge_agent.outbox.schema import TOLD_IN_12, prepare

MOST_FAILURES = 1_000
"""Of looking for rows of a small table: where everything fails, the tree has no root left."""

SKIPPED = 10_000
"""Places left out where the count itself is lost: none may be given to two reads."""

ROWS_AT_ONCE = 500
"""Of a table, in memory."""

_LARGE = {
    "reads": ("seq", "seq, id, revision, priority, appended_ms, appended_age_s, sealed"),
    "images": ("seq", "seq, read_id, sha256, appended_ms, appended_age_s, sealed"),
}
"""Tables of many pages: where one is damaged, all are looked at."""

_UNSEALED = {"reads": "payload", "images": "jpeg"}
"""The last column in earlier formats, without a checksum."""

_SMALL = {
    "gaps": ("number", f"number, sent_at_s, {Gap.COLUMNS}"),
    "purges": ("number", f"number, {Purge.COLUMNS}"),
    "quarantined": ("seq", "seq, why"),
    "images_due": ("seq", "seq"),
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
    # The same as before where a power cut ended an attempt.
    kept = next(one for one in _names(path, now) if not one.exists() or one.samefile(path))
    building = path.with_name(f"{path.name}.salvaging")
    try:
        os.close(os.open(building, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with (
            Mended(path, key, salt=salt) as mended,
            closing(connect(building, key)) as new,
        ):
            prepare(new)
            new.execute("BEGIN")
            reads, images, images_left = _copy(mended, new, owner=owner, now=now)
            # It goes when the oldest of what could be saved of it is too old.
            rows = "SELECT appended_age_s FROM reads UNION ALL SELECT appended_age_s FROM images"
            oldest = f"SELECT COALESCE(MIN(appended_age_s), (SELECT aged_s FROM age)) FROM ({rows})"
            for one in (kept, log_of(kept)):
                new.execute(f"INSERT OR IGNORE INTO kept VALUES (?, ({oldest}))", (one.name,))
            new.execute("COMMIT")
        with building.open("rb") as file:
            os.fsync(file.fileno())
        if not kept.exists():
            kept.hardlink_to(path)
        if not is_unused(log := log_of(path)):
            shutil.copy2(log, log_of(kept))
        building.rename(salvaged(path))
        sync(path.parent)
    except (OSError, sqlite.Error) as error:
        raise OutboxError(f"outbox {path}: is damaged, and {_why_not(path, error)}") from None
    finally:
        _sweep(path)
    finish(path)
    return Salvaged(reads, images, images_left, kept)


def put_aside(log: Path, path: Path, *, now: Stamp) -> Path:
    """Keep a log that is not the outbox's as that of a damaged one, and return where. Raises OutboxError."""
    kept = next(one for one in map(log_of, _names(path, now)) if not one.exists())
    try:
        index_of(path).unlink(missing_ok=True)
        log.rename(kept)
        sync(path.parent)
    except OSError as error:
        raise OutboxError(f"outbox {log}: cannot be put aside: {error.strerror}") from None
    return kept


def _names(path: Path, now: Stamp) -> Iterator[Path]:
    """What a damaged file may be called from now on."""
    first = path.with_name(f"{path.name}.damaged-{now.utc:%Y%m%dT%H%M%SZ}")
    yield first
    yield from (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))


def kept_beside(path: Path) -> list[Path]:
    """The damaged files that lie beside an outbox, with their logs; links and pipes are none of ours."""
    return [one for one in path.parent.glob(f"{path.name}.damaged-*") if one.is_file() and not one.is_symlink()]


def outlived(connection: Connection, path: Path, *, age_s: float, older_than_s: float) -> list[Path]:
    """Give the damaged files that lie beside an outbox, now of such an age, for so long (s); inside a transaction.

    By the outbox's age as its reads: a clock that is ahead for a moment must not cost what can still be looked at.
    """
    found = {one.name: one for one in kept_beside(path)}
    known = connection.execute("SELECT name, since_age_s FROM kept").fetchall()
    connection.executemany("DELETE FROM kept WHERE name = ?", [(name,) for name, _ in known if name not in found])
    connection.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", [(name, age_s) for name in found])
    since, away = dict.fromkeys(found, age_s) | dict(known), Away(connection)
    ages_s = {name: age_s - since[name] + away.since_age(since[name]) for name in found}
    return [one for name, one in found.items() if ages_s[name] >= older_than_s or older_than_s <= 0]


def erase_kept(files: Sequence[Path]) -> None:
    """Overwrite and delete damaged files."""
    for one in files:
        with suppress(OSError):  # the next time
            erase(one)


def _why_not(path: Path, error: OSError | sqlite.Error) -> str:
    full = getattr(error, "errno", 0) in {errno.ENOSPC, errno.EDQUOT} or str(error).endswith("is full")
    if not full and not is_full(path.parent):
        return f"could not be salvaged: {getattr(error, 'strerror', None) or error}"
    need_mb = 2 * path.stat().st_size // 1_000_000 + 1
    may_go = f"; {path.name}.damaged-*, from earlier, may go" if kept_beside(path) else ""
    return f"what can be saved of it needs {need_mb} MB free on its disk for a while: make room{may_go}"


def _sweep(path: Path) -> None:
    """Delete what was not finished."""
    for what in HALF_MADE:
        for half in path.parent.glob(f"{path.name}{what}*"):
            half.unlink()


def finish(path: Path) -> None:
    """Put a complete new file in the damaged one's place; its log would damage the new one, so that goes first.

    What an earlier start did not finish goes.
    """
    _sweep(path)
    if salvaged(path).exists():
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync(path.parent)
        salvaged(path).replace(path)
        sync(path.parent)


def _copy(mended: Mended, new: Connection, *, owner: str, now: Stamp) -> tuple[int, int, int]:
    """Copy every row that can be read, and write down what may be missing.

    Returns how many reads and pictures there are, and how many pictures left.
    """
    old = _Damaged(mended)
    for table in (*_SMALL, *_LARGE):
        for row in _by_halves(old, table) if table in _SMALL else _in_order(old, table):
            if not _insert(new, table, old.as_now(table, row)):
                old.broken.add(table)
    age, counts = _copy_age(new, old), _counts(old)
    if old.broken & set(_LARGE):
        _copy_pages(mended, old, new)  # the last that is read: afterwards the copy is no outbox any more
    now_ms = now.utc_ms
    images_left = _settle_images(new, old, now_ms=now_ms)
    reads, highest = new.execute("SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM reads").fetchone()
    if age is None:  # else no read would grow old until the new file is as old as the lost one was
        new.execute("UPDATE age SET aged_s = (SELECT COALESCE(MAX(appended_age_s), 0.0) FROM reads)")
    *others, (last, whose) = counts or [(highest + SKIPPED, owner)]
    last = max(last, highest)
    new.execute("DELETE FROM counter")
    new.executemany("INSERT INTO counter VALUES (?, ?)", [*others, (last, whose)])
    if last:
        # Pictures can be missing of reads that are not: the store has those by now, or they lie on other pages.
        missing = [Missing.READS, *([Missing.IMAGES] if old.broken & {"images", "images_due"} else [])]
        for what in missing:
            insert_gap(new, [(1, last)], GapReason.DAMAGED, what=what, reads=0, acknowledged=0, now_ms=now_ms)
    (images,) = new.execute("SELECT COUNT(*) FROM images").fetchone()
    return int(reads), int(images), images_left


def _copy_pages(mended: Mended, old: "_Damaged", new: Connection) -> None:
    """Copy the rows of large tables that lie on any page."""
    if mended.begins_anew:  # what its first page said of its format is lost
        old.is_unsealed = not any(_makes_sense(table, old.as_now(table, row)) for table, row in _on_pages(mended))
    for table, row in _on_pages(mended):
        _insert(new, table, old.as_now(table, row))


def _on_pages(mended: Mended) -> Iterator[tuple[str, Sequence[Any]]]:
    """Rows of large tables on any page; how many columns one has tells whose it is."""
    by_columns = {columns.count(","): table for table, (_, columns) in _LARGE.items()}
    for place, *values in mended.rows():
        columns = [one for one in values if one is not None]
        if table := by_columns.get(len(columns)):
            yield table, (place, *columns)


def _insert(new: Connection, table: str, row: Sequence[Any]) -> bool:
    """Copy a row, unless it is there; False for one that makes no sense."""
    if not _makes_sense(table, row):
        return False
    try:
        _, columns = (_LARGE | _SMALL)[table]
        new.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({', '.join('?' * len(row))})", row)
    except sqlite.IntegrityError:  # a value of a kind that its column cannot hold
        return False
    return True


def _copy_age(new: Connection, old: "_Damaged") -> float | None:
    """Copy how old the outbox is, and since when damaged files lie beside it; None where the age is lost."""
    for name, since_age_s in old.some("SELECT name, since_age_s FROM kept"):  # not in earlier formats
        with suppress(sqlite.IntegrityError):
            new.execute("INSERT OR IGNORE INTO kept VALUES (?, ?)", (name, since_age_s))
    is_sound = old.is_sound("age")
    for table in ("synchronized", "away"):  # nor these
        columns = SUMMED[table]
        for row in old.some(f"SELECT {columns} FROM {table} WHERE {old.is_sound(table)}"):
            with suppress(sqlite.IntegrityError):
                new.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES (?, ?, ?, ?)", row)
    # Of a file of format 13 it was in each read's age.
    new.execute("UPDATE synchronized SET added_s = MIN(added_s, (SELECT TOTAL(unsure_s) FROM away))")
    behind = f"SELECT behind_from FROM age WHERE TYPEOF(behind_from) = 'integer' AND {is_sound}"
    for (behind_from,) in old.some(behind):
        new.execute("UPDATE age SET behind_from = ?", (behind_from,))
    for aged_s, utc_s in old.some(f"{AGE} WHERE {is_sound}"):
        if is_age(aged_s, utc_s):
            new.execute("UPDATE age SET aged_s = ?, utc_s = ?", (aged_s, utc_s))
            for statement in TOLD_IN_12:
                new.execute(statement)
            return float(aged_s)
    return None


def _settle_images(new: Connection, old: "_Damaged", *, now_ms: int) -> int:
    """Make the pictures due whose reads the store has; those whose reads were lost leave, and are counted."""
    alone = "seq IN (SELECT seq FROM images) AND seq NOT IN (SELECT seq FROM reads)"
    new.execute(f"DELETE FROM images_due WHERE NOT ({alone})")
    if "images_due" in old.broken:  # the store may have their reads: they are sent until they are too old
        new.execute(f"INSERT OR IGNORE INTO images_due (seq) SELECT seq FROM images WHERE {alone}")
    lost = new.execute(f"SELECT seq FROM images WHERE {alone} AND seq NOT IN (SELECT seq FROM images_due)")
    return remove_damaged(new, Missing.IMAGES, [seq for (seq,) in lost], now_ms=now_ms)


def _counts(old: "_Damaged") -> list[tuple[int, str]]:
    """Give the count of every owner, the current one last; none where one of them makes no sense."""
    rows = old.some(f"SELECT last_seq, owner, {old.is_sound('counter')} FROM counter ORDER BY rowid")
    sane = [
        (last, whose)
        for last, whose, is_sound in rows
        if is_sound and isinstance(last, int) and 0 <= last <= HIGHEST_SEQ
        and isinstance(whose, str) and UNREADABLE not in whose
    ]  # fmt: skip
    return sane if len(sane) == len(rows) else []


def _makes_sense(table: str, row: Sequence[Any]) -> bool:
    """Tell whether a row can be understood again: SQLite looks at pages and types, not at what they say."""
    try:
        match table:
            case "reads":
                return Row.of((*row[:3], row[-1])) is not None
            case "images":
                return ImageRow.of((*row[:3], row[-1])) is not None
            case "gaps":
                Gap.of(row[2:])
            case "purges":
                Purge.of(row[1:])
    except (TypeError, ValueError, OverflowError):
        return False
    return True


class _Damaged:
    """A file that is opened for each question: after a wrong page SQLCipher gives a connection no other either."""

    def __init__(self, mended: Mended) -> None:
        self._mended = mended
        self.broken: set[str] = set()
        """Tables of which something could not be read."""
        self.is_unsealed = False
        """Whether it is of a format without checksums and does not say so."""
        self._columns = self.some(
            "SELECT of.name, c.name FROM sqlite_master AS of, pragma_table_xinfo(of.name) AS c"
        )

    def ask(self, query: str, parameters: Sequence[int] = ()) -> list[tuple[Any, ...]]:
        """Give all rows. Raises sqlite.Error where one of their pages is damaged."""
        with closing(self._mended.connect()) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(query, parameters).fetchall()
            return rows

    def is_sound(self, table: str) -> str:
        """What tells SQLite whether a row says what was written; of an earlier format, nothing does."""
        return f"crc32 = checksum({SUMMED[table]})" if self._has(table, "crc32") else "TRUE"

    def content(self, table: str) -> str:
        """The last column of a large table."""
        return _UNSEALED[table] if self._has(table, _UNSEALED[table]) else "sealed"

    def as_now(self, table: str, row: Sequence[Any]) -> Sequence[Any]:
        """A row as this format has it; one that makes no sense stays so."""
        if table not in _UNSEALED:
            return row
        seq, id_, *others, content = row
        if not (isinstance(content, bytes) and isinstance(id_, bytes)):
            return row
        if self.content(table) != "sealed" or self.is_unsealed:
            record = content
        elif table == "reads" and seal(unsealed(content), id_, others[0]) == content:  # as format 8 did
            record = unsealed(content)
        else:
            return row
        return (seq, id_, *others, seal(record, id_, f"{others[0]} {seq}" if table == "reads" else seq))

    def _has(self, table: str, column: str) -> bool:
        return (table, column) in self._columns

    def some(self, query: str) -> list[tuple[Any, ...]]:
        """Give all rows, or none."""
        try:
            return self.ask(query)
        except sqlite.Error:
            return []


def _in_order(old: _Damaged, table: str) -> Iterator[Sequence[Any]]:
    """Rows up to the first damaged page."""
    key, columns = _LARGE[table]
    columns = columns.replace("sealed", old.content(table))
    query = f"SELECT {columns} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {ROWS_AT_ONCE}"
    rows: Sequence[Sequence[Any]] = [(-1,)]
    while rows:
        try:
            rows = old.ask(query, (rows[-1][0],))
        except sqlite.Error as error:
            if error.sqlite_errorcode != sqlite.SQLITE_ERROR:  # no such table: a file of an earlier format
                old.broken.add(table)
            return
        yield from rows


def _by_halves(old: _Damaged, table: str) -> Iterator[Sequence[Any]]:
    """Every row that can be reached: a range of keys that fails is halved until the damaged page stands alone."""
    key, columns = _SMALL[table]
    is_sound = old.is_sound(table) if table in SUMMED else "TRUE"
    query = (
        f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? AND {is_sound} ORDER BY {key}"
        f" LIMIT {ROWS_AT_ONCE}"
    )
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

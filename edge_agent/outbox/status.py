"""What is in an outbox, for who runs it and for who looks at it from outside."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.domain import GapReason, Missing, counted
from edge_agent.errors import OutboxDamaged, OutboxError
from edge_agent.outbox.encryption import key_of
from edge_agent.outbox.file import (
    Connection,
    check_regular,
    connect,
    explained,
    is_full,
    is_in_use,
    log_of,
    why_unreadable,
)
from edge_agent.outbox.log import is_unused, read_log
from edge_agent.outbox.pairing import belongs
from edge_agent.outbox.rows import AGE, HIGHEST_SEQ, SUMMED, Gap, ImageRow, Purge, Row, is_age, time
from edge_agent.outbox.schema import check_current, check_header, check_integrity, check_ours, is_new

_PORTION = 200
"""Reads or pictures in memory at once."""


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How many reads wait to be sent, how many for a receipt, and since when (UTC) the oldest is here.

    Owner is whose reads they are, empty for an outbox that nobody has opened yet. Quarantined reads are kept but
    not sent; images and gaps are pictures and gap records without a receipt.
    """

    owner: str
    pending: int
    sent: int
    quarantined: int
    images: int
    gaps: int
    last_seq: int
    oldest: datetime | None
    size_bytes: int

    @property
    def waiting(self) -> int:
        """Everything that the store has not confirmed yet and that can still be sent."""
        return self.pending + self.sent + self.images + self.gaps


NOTHING = OutboxStatus(
    owner="", pending=0, sent=0, quarantined=0, images=0, gaps=0, last_seq=0, oldest=None, size_bytes=0
)


def status(connection: Connection) -> OutboxStatus:
    """Count; one statement sees one state, also from a second connection."""
    kept, sent, quarantined, images, gaps, last_seq, owner, oldest_ms, size_bytes = connection.execute(
        "SELECT (SELECT COUNT(*) FROM reads), (SELECT COUNT(*) FROM sent), (SELECT COUNT(*) FROM quarantined),"
        " (SELECT COUNT(*) FROM images), (SELECT COUNT(*) FROM gaps), last_seq, owner,"
        " (SELECT appended_ms FROM reads ORDER BY seq LIMIT 1),"
        " (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)"
        " FROM counter ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    return OutboxStatus(
        owner=owner,
        pending=kept - sent - quarantined,
        sent=sent,
        quarantined=quarantined,
        images=images,
        gaps=gaps,
        last_seq=last_seq,
        oldest=None if oldest_ms is None else time(oldest_ms),
        size_bytes=size_bytes,
    )


def read_status(path: Path, *, key: bytes | None = None) -> OutboxStatus:
    """Count what is in an outbox that an agent may be using at the same time. Raises OutboxError.

    A second connection is safe here: the rare damage that write-ahead logs could take from two connections was
    mended in SQLite 3.51.3, sqlcipher3 brings its own 3.53, and this one only reads.
    """
    with _looking(path, key) as connection:
        return status(connection) if connection else NOTHING


def read_purges(path: Path, *, key: bytes | None = None) -> list[Purge]:
    """The purge log, oldest first, as read_status reads. Raises OutboxError."""
    with _looking(path, key) as connection:
        return purges(connection) if connection else []


def check_pages(path: Path, *, key: bytes | None = None) -> None:
    """Look at every page, as the service does when it opens it. Raises OutboxDamaged and as read_status does."""
    with _looking(path, key) as connection:
        if connection:
            check_integrity(connection, path)
            check_sense(connection, path)


def contents(path: Path, *, key: bytes | None = None) -> Iterator[Row | Gap | ImageRow]:
    """Every read, sent or not, every gap record and every picture, as read_status reads. Raises OutboxError.

    In place of a read or a picture that a damage changed comes a gap record.
    """
    with _looking(path, key) as connection:
        if connection:
            (last,) = connection.execute("SELECT last_seq FROM counter ORDER BY rowid DESC LIMIT 1").fetchone()
            lost = set()
            for columns in _in_portions(connection, f"SELECT {Row.COLUMNS} FROM reads"):
                if (row := Row.of(columns)) is None:
                    lost.add(columns[0])
                    yield _lost(Missing.READS, columns[0])
                else:
                    yield row
            for columns in _in_portions(connection, f"SELECT {ImageRow.COLUMNS} FROM images"):
                if columns[0] > last:  # it came meanwhile, perhaps after the last look for reads
                    break
                if columns[0] not in lost:  # no store takes a picture without its read
                    yield ImageRow.of(columns) or _lost(Missing.IMAGES, columns[0])
            yield from gaps(connection, only_unsent=False, limit=-1)  # last: also what left meanwhile is in them


def _lost(what: Missing, seq: int) -> Gap:
    return Gap(uuid4(), what, GapReason.DAMAGED, ((seq, seq),), reads=1, acknowledged=0, at=datetime.now(UTC))


def _in_portions(connection: Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows by their place in the count. Between portions nothing holds the log, which else grows without bound.

    Whoever writes them to a stick may wait for it as long as it takes.
    """
    last = -1
    while rows := connection.execute(f"{query} WHERE seq > ? ORDER BY seq LIMIT {_PORTION}", (last,)).fetchall():
        yield from rows
        last = rows[-1][0]


@contextmanager
def _looking(path: Path, key: bytes | None) -> Iterator[Connection | None]:
    """A connection that only reads; none where nothing was ever written."""
    check_regular(path)
    if (wrong := why_unreadable(path)) is not None:
        raise OutboxError(f"outbox {path}: {wrong}")
    key = key_of(path, key)  # a plain one is encrypted when the service starts with a key, not before
    # SQLite would leave out what lies behind a damage; of one that is being written, this cannot be told.
    log = log_of(path)
    if not is_in_use(path):
        if read_log(log).is_damaged:
            raise OutboxDamaged(f"outbox {path}: is damaged; the service saves what it can when it starts")
        if not belongs(log, path, key):
            raise OutboxDamaged(
                f"outbox {path}: the log beside it is older than the file, or another outbox's; the service puts it"
                " aside when it starts"
            )
    check_header(path)
    with explained(path, key), closing(_reading(path, key)) as connection:
        if is_new(connection):
            yield None
            return
        check_ours(connection, path)
        check_current(connection, path)
        try:
            yield connection
        except (TypeError, ValueError, OverflowError):  # of a value that its column cannot hold
            raise OutboxDamaged(
                f"outbox {path}: is damaged; the service saves what it can when it starts"
            ) from None


def _reading(path: Path, key: bytes | None) -> Connection:
    """A connection that only reads, also on a full disk: of the file alone, where nothing is in the log."""
    connection = connect(path, key, read_only=True)
    try:
        is_new(connection)
    except sqlite.Error:
        connection.close()
        if path.with_name(f"{path.name}-journal").exists():  # of the first start alone: later there is the log
            raise OutboxError(f"outbox {path}: is not made yet: its service was cut off when it began it") from None
        if not is_full(path.parent) or not is_unused(log_of(path)):
            raise
        return connect(path, key, unshared=True)
    return connection


def gaps(connection: Connection, *, only_unsent: bool, limit: int) -> list[Gap]:
    """Gap records, oldest first."""
    rows = connection.execute(
        f"SELECT {Gap.COLUMNS} FROM gaps WHERE sent_at_s IS NULL OR ? ORDER BY number LIMIT ?",
        (not only_unsent, limit),
    )
    return [Gap.of(row) for row in rows]


def purges(connection: Connection) -> list[Purge]:
    """The purge log, oldest first."""
    return [Purge.of(row) for row in connection.execute(f"SELECT {Purge.COLUMNS} FROM purges ORDER BY number")]


def check_sense(connection: Connection, path: Path) -> None:
    """Look at what small tables say, which no page's form tells. Raises OutboxDamaged."""
    try:
        found = status(connection)
        gaps(connection, only_unsent=False, limit=-1)
        purges(connection)
        connection.execute("SELECT name FROM kept UNION ALL SELECT why FROM quarantined").fetchall()
        changed = [
            connection.execute(f"SELECT COUNT(*) FROM {table} WHERE crc32 != checksum({columns})").fetchone()[0]
            for table, columns in SUMMED.items()
        ]
        is_sane = found.last_seq <= HIGHEST_SEQ and is_age(*connection.execute(AGE).fetchone())
        makes_sense = is_sane and not any(changed)
    except (TypeError, ValueError, OverflowError):
        makes_sense = False
    if not makes_sense:
        raise OutboxDamaged(f"outbox {path}: is damaged")


def why_not_ours(found: OutboxStatus, owner: str) -> str | None:
    """Say why an owner cannot take an outbox over: it holds reads of another."""
    waiting = found.pending + found.sent + found.quarantined
    if not (waiting or found.images or found.gaps) or found.owner in ("", owner):
        return None
    held = f"{counted(waiting, 'read')}, {counted(found.images, 'picture')} and {counted(found.gaps, 'gap record')}"
    return (
        f"holds {held} of {found.owner}, which {owner} must not deliver: run it under that name until it is empty,"
        " or move outbox.db* away and keep them"
    )

"""What is in an outbox, for who runs it and for who looks at it from outside."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.errors import OutboxError
from edge_agent.outbox.file import Connection, connect, explained, why_unreadable
from edge_agent.outbox.schema import check_version, is_new


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How many reads wait to be sent, how many for a receipt, and since when (UTC) the oldest is here.

    Owner is whose reads they are, empty for an outbox that nobody has opened yet. Quarantined reads are kept but
    not sent; gaps are gap records without a receipt.
    """

    owner: str
    pending: int
    sent: int
    quarantined: int
    gaps: int
    last_seq: int
    oldest: datetime | None
    size_bytes: int

    @property
    def waiting(self) -> int:
        """Everything that the store has not confirmed yet and that can still be sent."""
        return self.pending + self.sent + self.gaps


NOTHING = OutboxStatus(owner="", pending=0, sent=0, quarantined=0, gaps=0, last_seq=0, oldest=None, size_bytes=0)


def status(connection: Connection) -> OutboxStatus:
    """Count; one statement sees one state, also from a second connection."""
    kept, sent, quarantined, gaps, last_seq, owner, oldest_ms, size_bytes = connection.execute(
        "SELECT (SELECT COUNT(*) FROM reads), (SELECT COUNT(*) FROM sent), (SELECT COUNT(*) FROM quarantined),"
        " (SELECT COUNT(*) FROM gaps), last_seq, owner, (SELECT appended_ms FROM reads ORDER BY seq LIMIT 1),"
        " (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)"
        " FROM counter ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    return OutboxStatus(
        owner=owner,
        pending=kept - sent - quarantined,
        sent=sent,
        quarantined=quarantined,
        gaps=gaps,
        last_seq=last_seq,
        oldest=None if oldest_ms is None else datetime.fromtimestamp(oldest_ms / 1000, UTC),
        size_bytes=size_bytes,
    )


def read_status(path: Path, *, key: bytes | None = None) -> OutboxStatus:
    """Count what is in an outbox that an agent may be using at the same time. Raises OutboxError.

    A second connection is safe here: the rare damage that write-ahead logs could take from two connections was
    mended in SQLite 3.51.3, sqlcipher3 brings its own 3.53, and this one only reads.
    """
    if (wrong := why_unreadable(path)) is not None:
        raise OutboxError(f"outbox {path}: {wrong}")
    with explained(path), closing(connect(path, key, read_only=True)) as connection:
        if is_new(connection):
            return NOTHING
        check_version(connection, path)
        return status(connection)


def why_not_ours(found: OutboxStatus, owner: str) -> str | None:
    """Say why an owner cannot take an outbox over: it holds reads of another."""
    waiting = found.pending + found.sent + found.quarantined
    if not (waiting or found.gaps) or found.owner in ("", owner):
        return None
    return (
        f"holds {waiting} reads and {found.gaps} gap records of {found.owner}, which {owner} must not deliver: run"
        " it under that name until it is empty, or move the file away and keep it"
    )

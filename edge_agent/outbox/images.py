"""Pictures in the outbox: each goes when its read is with the store, and leaves with a receipt of its own."""

import hashlib
from collections.abc import Iterable, Sequence
from uuid import UUID

from edge_agent.domain import GapReason, ImageKey, Missing
from edge_agent.outbox.bounds import note_gap
from edge_agent.outbox.file import Connection
from edge_agent.outbox.rows import ImageRow, seal

_DUE = (
    f"SELECT {ImageRow.COLUMNS} FROM images_due JOIN images USING (seq)"
    " WHERE seq > ? AND sent_at_s IS NULL AND NOT held ORDER BY seq LIMIT ?"
)


def insert(connection: Connection, seq: int, read: UUID, jpeg: bytes, *, now_ms: int, age_s: float) -> None:
    row = (seq, read.bytes, hashlib.sha256(jpeg).digest(), now_ms, age_s, seal(jpeg, read.bytes, seq))
    connection.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)", row)


def settle(connection: Connection) -> None:
    """Make just the pictures due whose reads are gone: a damage may have changed a mark; and try all again."""
    connection.execute(
        "DELETE FROM images_due WHERE seq NOT IN (SELECT seq FROM images) OR seq IN (SELECT seq FROM reads)"
    )
    alone = "SELECT seq, 0 FROM images WHERE seq NOT IN (SELECT seq FROM reads)"
    connection.execute(f"INSERT OR IGNORE INTO images_due (seq, held) {alone}")
    connection.execute("UPDATE images_due SET held = 0")


def let_go(connection: Connection, seqs: Iterable[tuple[int]]) -> None:
    """Make the pictures of reads that the store has ready to be sent."""
    connection.executemany("INSERT INTO images_due (seq) SELECT seq FROM images WHERE seq = ?", seqs)


def due(connection: Connection, *, limit: int, after_seq: int) -> dict[int, ImageRow | None]:
    """The oldest pictures to be sent after a place in the count, by it; None for one that a damage changed."""
    return {row[0]: ImageRow.of(row) for row in connection.execute(_DUE, (after_seq, limit))}


def mark_sent(connection: Connection, seqs: Sequence[int], *, at_s: float) -> None:
    connection.executemany("UPDATE images_due SET sent_at_s = ? WHERE seq = ?", [(at_s, seq) for seq in seqs])


def receipted(connection: Connection, keys: Sequence[ImageKey]) -> int:
    """Delete pictures that the store has, and return how many of the keys were here."""
    known = 0
    for key in keys:
        gone = connection.execute(
            "DELETE FROM images WHERE (read_id, sha256) = (?, ?) RETURNING seq",
            (key.read.bytes, bytes.fromhex(key.sha256)),
        ).fetchall()
        connection.executemany("DELETE FROM images_due WHERE seq = ?", gone)
        known += bool(gone)
    return known


def hold(connection: Connection, seq: int, *, now_ms: int) -> None:
    """Send a picture no more, but keep it; a gap record says so. One that is gone stays gone."""
    held = connection.execute(
        "UPDATE images_due SET held = 1 WHERE seq = ? AND NOT held RETURNING sent_at_s", (seq,)
    ).fetchall()
    for (sent_at_s,) in held:
        acknowledged = () if sent_at_s is None else (seq,)
        note_gap(
            connection, [seq], GapReason.QUARANTINED,
            what=Missing.IMAGES, acknowledged=acknowledged, now_ms=now_ms,
        )  # fmt: skip

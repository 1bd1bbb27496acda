"""The outbox itself: a read is on disk before anyone is told of it, and leaves with a receipt or a gap record."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from edge_agent.domain import GapReason, ImageKey, Missing, Now, ReadKey, counted
from edge_agent.outbox import images, salvage
from edge_agent.outbox.bounds import (
    RECEIPTS_AT_ONCE,
    ROW_OVERHEAD_BYTES,
    Bounds,
    Gone,
    insert_gap,
    make_room,
    note_gap,
    remove_damaged,
    remove_older,
)
from edge_agent.outbox.count import CURRENT
from edge_agent.outbox.left import Left
from edge_agent.outbox.rows import Entry, Gap, ImageRow, Purge, Row, place_of, seal
from edge_agent.outbox.session import Session
from edge_agent.outbox.status import OutboxStatus, gaps, purges, status

_log = logging.getLogger(__name__)

_PENDING = (
    f"SELECT {Row.COLUMNS} FROM reads WHERE seq > ?"
    " AND NOT EXISTS (SELECT 1 FROM sent WHERE sent.seq = reads.seq)"
    " AND NOT EXISTS (SELECT 1 FROM quarantined WHERE quarantined.seq = reads.seq) ORDER BY seq LIMIT ?"
)
EXPIRE_WITHIN_S = 5.0


class Outbox:
    """Keeps reads until they are receipted; any thread may call it. Every method can raise OutboxError.

    The owner, agency and vehicle, has a count of its own: reads of one are never delivered as another's.
    """

    def __init__(
        self, *, path: Path, now: Now, owner: str, key: bytes | None = None, bounds: Bounds | None = None
    ) -> None:
        self._path = path
        self._now = now
        self._left = Left(path)
        self._session = Session(
            path=path, now=now, owner=owner, key=key, bounds=bounds or Bounds(), left=self._left
        )

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Take the outbox for this process, and salvage a damaged one.

        Raises StateDirectoryError, OutboxBusy or OutboxError.
        """
        self._session.open()

    def close(self) -> None:
        self._left.tell()
        self._session.close()

    # Reads.

    def append(self, entries: Sequence[Entry]) -> tuple[int, ...]:
        """Commit entries to disk, synced, and give their places in the count; after an error none is there.

        Where they would not fit into the quota, others leave for them.
        """
        with self._session.transaction() as (connection, now):
            last, owner = connection.execute(CURRENT).fetchone()
            seqs = tuple(range(last + 1, last + 1 + len(entries)))
            age_s = self._session.age_s(now)
            rows = [
                (
                    seq,
                    *key,
                    int(entry.priority),
                    now.utc_ms,
                    age_s,
                    seal(entry.encode(seq), key[0], place_of(entry.key, seq)),
                )
                for seq, entry in zip(seqs, entries, strict=True)
                for key in [_columns(entry.key)]
            ]
            pictures = [
                (seq, entry.key.id, entry.image)
                for seq, entry in zip(seqs, entries, strict=True)
                if entry.image is not None
            ]
            contents = [row[-1] for row in rows] + [jpeg for *_, jpeg in pictures]
            needed = sum(len(one) + ROW_OVERHEAD_BYTES for one in contents)
            left = make_room(connection, self._session.bounds, needed_bytes=needed, now_ms=now.utc_ms)
            self._session.room.grow(needed)
            connection.executemany("INSERT INTO reads VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            for picture in pictures:
                images.insert(connection, *picture, now_ms=now.utc_ms, age_s=age_s)
            connection.execute("UPDATE counter SET last_seq = ? WHERE owner = ?", (last + len(entries), owner))
        self._session.note_count(last + len(entries))
        self._left.note(GapReason.QUOTA, left, now)
        return seqs

    def take(self, *, limit: int, after_seq: int = 0) -> list[Row]:
        """Give the oldest pending reads after a place in the count; they stay in the outbox.

        One that a damage changed leaves with a gap record: nobody can tell what it said.
        """
        while True:
            with self._session.use() as connection:
                found = connection.execute(_PENDING, (after_seq, limit)).fetchall()
            rows = {row[0]: Row.of(row) for row in found}
            damaged = [seq for seq, row in rows.items() if row is None]
            if not damaged:
                return [row for row in rows.values() if row is not None]
            self._remove_damaged(Missing.READS, damaged)

    def mark_sent(self, seqs: Sequence[int]) -> None:
        """Note that the broker acknowledged these reads; one that is gone or set aside stays so."""
        with self._session.transaction() as (connection, now):
            connection.executemany(
                "INSERT OR REPLACE INTO sent SELECT seq, ? FROM reads WHERE seq = ?"
                " AND NOT EXISTS (SELECT 1 FROM quarantined WHERE quarantined.seq = reads.seq)",
                [(now.monotonic_s, seq) for seq in seqs],
            )

    def resend(self, *, older_than_s: float | None = None) -> int:
        """Make what was sent pending again: all, or what was sent at least so long (s) ago.

        Returns how many reads and pictures that are.
        """
        with self._session.transaction() as (connection, now):
            # Marks of an earlier boot have times of another monotonic clock, so all means all.
            before_s = math.inf if older_than_s is None else now.monotonic_s - older_than_s
            connection.execute("UPDATE gaps SET sent_at_s = NULL WHERE sent_at_s <= ?", (before_s,))
            marks = (
                "DELETE FROM sent WHERE at_s <= ?",
                "UPDATE images_due SET sent_at_s = NULL WHERE sent_at_s <= ?",
            )
            return sum(connection.execute(one, (before_s,)).rowcount for one in marks)

    def receipted(self, keys: Sequence[ReadKey]) -> int:
        """Delete reads that the central store has, and return how many of the keys were here."""
        columns = [_columns(key) for key in keys]
        with self._session.transaction() as (connection, _):
            for marks in ("sent", "quarantined"):
                connection.executemany(
                    f"DELETE FROM {marks} WHERE seq = (SELECT seq FROM reads WHERE (id, revision) = (?, ?))",
                    columns,
                )
            gone = [
                one
                for key in columns
                for one in connection.execute("DELETE FROM reads WHERE (id, revision) = (?, ?) RETURNING seq", key)
            ]
            images.let_go(connection, gone)
            return len(gone)

    def receipted_through(self, seq: int) -> int | None:
        """Delete the sent reads up to a place in the count, and return how many.

        A pending read stays. A place that was never given out deletes nothing and returns None: such a receipt
        means the count of another outbox.
        """
        gone, portion = 0, None
        while portion is None or portion:
            with self._session.transaction() as (connection, _):
                last, _owner = connection.execute(CURRENT).fetchone()
                if seq > last:
                    return None
                sent = connection.execute("SELECT seq FROM sent WHERE seq <= ? LIMIT ?", (seq, RECEIPTS_AT_ONCE))
                portion = sent.fetchall()
                connection.executemany("DELETE FROM reads WHERE seq = ?", portion)
                connection.executemany("DELETE FROM sent WHERE seq = ?", portion)
                images.let_go(connection, portion)
                gone += len(portion)
        return gone

    @contextmanager
    def together(self) -> Iterator[None]:
        """What the thread writes inside is one commit: all of it is on the disk then, or none."""
        with self._session.transaction():
            yield

    # Pictures.

    def take_images(self, *, limit: int, after_seq: int = 0) -> list[ImageRow]:
        """Give the oldest pictures, after a place in the count, whose reads are with the store; they stay here.

        One that a damage changed leaves with a gap record: no store would take it.
        """
        while True:
            with self._session.use() as connection:
                rows = images.due(connection, limit=limit, after_seq=after_seq)
            damaged = [seq for seq, row in rows.items() if row is None]
            if not damaged:
                return [row for row in rows.values() if row is not None]
            self._remove_damaged(Missing.IMAGES, damaged)

    def mark_images_sent(self, seqs: Sequence[int]) -> None:
        """Note that the broker acknowledged the pictures of these places in the count."""
        with self._session.transaction() as (connection, now):
            images.mark_sent(connection, seqs, at_s=now.monotonic_s)

    def images_receipted(self, keys: Sequence[ImageKey]) -> int:
        """Delete pictures that the central store has, and return how many of the keys were here."""
        with self._session.transaction() as (connection, _):
            return images.receipted(connection, keys)

    def hold_image(self, seq: int) -> None:
        """Send a picture no more, but keep it; a gap record says so. One that is gone stays gone."""
        with self._session.transaction() as (connection, now):
            images.hold(connection, seq, now_ms=now.utc_ms)

    # What cannot be sent, or kept.

    def quarantine(self, seq: int, *, why: str) -> None:
        """Send a read no more, but keep it; a gap record says so. One that is gone stays gone."""
        with self._session.transaction() as (connection, now):
            new = connection.execute(
                "INSERT OR IGNORE INTO quarantined SELECT seq, ? FROM reads WHERE seq = ?", (why, seq)
            )
            if new.rowcount:
                was_sent = connection.execute("DELETE FROM sent WHERE seq = ?", (seq,)).rowcount
                note_gap(
                    connection, [seq], GapReason.QUARANTINED,
                    acknowledged=[seq] if was_sent else (), now_ms=now.utc_ms,
                )  # fmt: skip

    def expire(self) -> Gone:
        """Delete what the car may keep no longer, sent or not, with gap records; overwrite what is deleted.

        It takes no longer than EXPIRE_WITHIN_S: what is left is for the next time.
        """
        gone, _ = self._remove(
            GapReason.EXPIRED, older_than_s=self._session.bounds.keep_s, within_s=EXPIRE_WITHIN_S
        )
        self._left.note(GapReason.EXPIRED, gone, self._now())
        return gone

    def purge(self, *, older_than_s: float = 0.0) -> Gone:
        """Delete at a person's word all or what is at least so old (s), with gap records, and overwrite it."""
        gone, is_overwritten = self._remove(GapReason.PURGED, older_than_s=older_than_s)
        if not is_overwritten:
            _log.warning(
                "outbox %s: another program is reading it: what was deleted is overwritten when that has ended and"
                " the service runs", self._path,
            )  # fmt: skip
        return gone

    def _remove(self, reason: GapReason, *, older_than_s: float, within_s: float = math.inf) -> tuple[Gone, bool]:
        """Delete and overwrite what is at least so old (s), a portion at a time: what is written takes room first.

        Tells what is gone, and whether it is overwritten: not yet where another program reads.
        """
        gone, until_s = Gone(), self._now().monotonic_s + within_s
        while True:
            with self._session.transaction() as (connection, now):
                self._session.save_age(connection, now)
                age_s = self._session.age_s(now)
                portion = remove_older(
                    connection, reason, age_s=age_s, older_than_s=older_than_s, now_ms=now.utc_ms
                )
                outlived = salvage.outlived(connection, self._path, age_s=age_s, older_than_s=older_than_s)
            salvage.erase_kept(outlived)
            with self._session.use():
                is_overwritten = self._session.room.overwrite()  # also what receipts deleted
            gone = Gone(gone.reads + portion.reads, gone.images + portion.images)
            if not portion.may_be_more or now.monotonic_s >= until_s:
                return gone, is_overwritten

    def _remove_damaged(self, what: Missing, seqs: Sequence[int]) -> None:
        with self._session.transaction() as (connection, now):
            remove_damaged(connection, what, seqs, now_ms=now.utc_ms)
        _log.error(
            "outbox %s: %s damaged on the disk: not sent, the store is told which", self._path,
            counted(len(seqs), "read" if what is Missing.READS else "picture"),
        )  # fmt: skip

    def not_written(self, reads: int) -> None:
        """Write down that so many reads were lost before the disk took them: they never had a place."""
        with self._session.transaction() as (connection, now):
            insert_gap(connection, (), GapReason.NOT_WRITTEN, reads=reads, acknowledged=0, now_ms=now.utc_ms)

    def take_gaps(self, *, limit: int) -> list[Gap]:
        """Give the oldest gap records that were not sent; they stay in the outbox."""
        with self._session.use() as connection:
            return gaps(connection, only_unsent=True, limit=limit)

    def mark_gaps_sent(self, ids: Sequence[UUID]) -> None:
        """Note that the broker acknowledged these gap records."""
        with self._session.transaction() as (connection, now):
            connection.executemany(
                "UPDATE gaps SET sent_at_s = ? WHERE id = ?", [(now.monotonic_s, one.bytes) for one in ids]
            )

    def gaps_receipted(self, ids: Sequence[UUID]) -> int:
        """Delete gap records that the central store has, and return how many of them were here."""
        with self._session.transaction() as (connection, _):
            gone = connection.executemany("DELETE FROM gaps WHERE id = ?", [(one.bytes,) for one in ids])
            return int(gone.rowcount)

    # For those who watch.

    def status(self) -> OutboxStatus:
        """Count what is here."""
        with self._session.use() as connection:
            return status(connection)

    def purges(self) -> list[Purge]:
        """The purge log, oldest first."""
        with self._session.use() as connection:
            return purges(connection)


def _columns(key: ReadKey) -> tuple[bytes, int]:
    return key.id.bytes, key.revision

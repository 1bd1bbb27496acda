"""How much and how long the car may keep; what must leave leaves with a durable gap record."""

import itertools
import json
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from edge_agent.domain import MOST_RANGES, GapReason
from edge_agent.outbox.file import Connection

LEAVE_FREE = 0.05
"""Of the quota: made free at once, so that a full outbox does not write a gap record for each read."""

ROW_OVERHEAD_BYTES = 160
"""What a read takes beside its payload: its columns, its place in the index, its share of a page."""

_ROOM_FOR_DELETES = 1.25
"""Of the quota: pages that SQLite may use, so that deletes and gap records still fit when the reads fill it."""

_PURGES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes that the reads may take on the disk, and seconds that one may be kept, sent or not."""

    quota_bytes: int = 1_000_000_000
    keep_s: float = math.inf

    def most_pages(self, page_bytes: int) -> int:
        """SQLite's own limit, above the quota and, as the settings bound it, well below the disk."""
        return max(256, int(self.quota_bytes * _ROOM_FOR_DELETES) // page_bytes)


_IN_ORDER_OF_LEAVING = (
    "SELECT reads.seq, LENGTH(payload) FROM reads LEFT JOIN sent USING (seq)"
    " ORDER BY sent.seq IS NULL, reads.priority, reads.seq"
)
"""What the broker has, then what nobody waits for, then the rest; the oldest first."""


def make_room(connection: Connection, bounds: Bounds, *, needed_bytes: int, now_ms: int) -> int:
    """Delete what must leave for so many bytes to fit, inside a transaction; returns how many reads left."""
    if _used_bytes(connection) + needed_bytes <= bounds.quota_bytes:
        return 0
    target = max(0, int(bounds.quota_bytes * (1 - LEAVE_FREE)) - needed_bytes)
    leaving = _Leaving(connection)
    while (excess := _used_bytes(connection) - target) > 0:
        seqs = []
        for seq, size in connection.execute(_IN_ORDER_OF_LEAVING):
            seqs.append(seq)
            excess -= size + ROW_OVERHEAD_BYTES
            if excess <= 0:
                break
        if not leaving.delete(seqs):  # pages come free as a whole: it may take more than one turn
            break
    return leaving.account(GapReason.QUOTA, now_ms=now_ms)


def remove(connection: Connection, seqs: Sequence[int], reason: GapReason, *, now_ms: int) -> int:
    """Delete reads and write down that they left, inside a transaction; returns how many there were."""
    leaving = _Leaving(connection)
    leaving.delete(seqs)
    return leaving.account(reason, now_ms=now_ms)


class _Leaving:
    """Reads that leave together, and what has to be written down of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seqs: list[int] = []
        self._acknowledged: set[int] = set()
        self._times_ms: list[int] = []

    def delete(self, seqs: Sequence[int]) -> int:
        """Delete reads, with their marks; returns how many there were."""
        before = len(self._seqs)
        for seq in seqs:
            gone = self._connection.execute("DELETE FROM reads WHERE seq = ? RETURNING appended_ms", (seq,))
            for (appended_ms,) in gone.fetchall():
                self._seqs.append(seq)
                self._times_ms.append(appended_ms)
                self._connection.execute("DELETE FROM quarantined WHERE seq = ?", (seq,))
                if self._connection.execute("DELETE FROM sent WHERE seq = ?", (seq,)).rowcount:
                    self._acknowledged.add(seq)
        return len(self._seqs) - before

    def account(self, reason: GapReason, *, now_ms: int) -> int:
        """Write gap records and the purge log; returns how many reads left."""
        if self._seqs:
            note_gap(self._connection, self._seqs, reason, acknowledged=self._acknowledged, now_ms=now_ms)
            self._connection.execute(
                "INSERT INTO purges (at_ms, reason, reads, oldest_ms, newest_ms) VALUES (?, ?, ?, ?, ?)",
                (now_ms, reason, len(self._seqs), min(self._times_ms), max(self._times_ms)),
            )
            self._connection.execute(
                "DELETE FROM purges WHERE number <= (SELECT MAX(number) FROM purges) - ?", (_PURGES_KEPT,)
            )
        return len(self._seqs)


def note_gap(
    connection: Connection, seqs: Sequence[int], reason: GapReason, *, acknowledged: Collection[int], now_ms: int
) -> None:
    """Write gap records for places of the count, each of at most MOST_RANGES ranges."""
    found = list(ranges(seqs))
    for start in range(0, len(found), MOST_RANGES):
        part = found[start : start + MOST_RANGES]
        places = [seq for first, last in part for seq in range(first, last + 1)]
        known = sum(seq in acknowledged for seq in places)
        insert_gap(connection, part, reason, reads=len(places), acknowledged=known, now_ms=now_ms)


def insert_gap(
    connection: Connection,
    places: Sequence[tuple[int, int]],
    reason: GapReason,
    *,
    reads: int,
    acknowledged: int,
    now_ms: int,
) -> None:
    """Write one gap record."""
    connection.execute(
        "INSERT INTO gaps (id, reason, ranges, reads, acknowledged, at_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (uuid4().bytes, reason, json.dumps(places), reads, acknowledged, now_ms),
    )


def ranges(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Places of the count as first and last of each run without a hole, in order."""
    for _, run in itertools.groupby(enumerate(sorted(seqs)), key=lambda pair: pair[1] - pair[0]):
        places = [seq for _, seq in run]
        yield places[0], places[-1]


def _used_bytes(connection: Connection) -> int:
    """What the reads take of the file: pages that a delete gave back are free for the next ones."""
    (used,) = connection.execute(
        "SELECT (page_count - freelist_count) * page_size"
        " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(used)

"""How much and how long the car may keep; what must leave leaves with a durable gap record."""

import itertools
import json
import math
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from edge_agent.domain import GapReason, Missing
from edge_agent.outbox.away import Away
from edge_agent.outbox.file import Connection, used_bytes

MOST_OF_DISK = 0.5
"""That the outbox may fill: on a full disk even deletes fail."""

PORTION, PORTION_BYTES = 1000, 500_000
"""Reads, or pictures, that leave in one transaction, and their bytes: the log always has room for twice as much."""

RECEIPTS_AT_ONCE, IMAGES_AT_ONCE = 100, 10
"""Reads and pictures of about that size, which nobody looks at before a receipt lets them go."""

_LEAVE_FREE, _LEAVE_FREE_BYTES = 0.05, 1_000_000
"""Of the quota, and at most: made free at once, so that a full outbox does not stop to delete for each read."""

ROW_OVERHEAD_BYTES = 160
"""What a read or a picture takes beside its content: its columns, its place in the index, its share of a page."""

_ROOM_FOR_DELETES = 1.25
"""Of the quota: pages that SQLite may use, so that deletes and gap records still fit when the reads fill it."""

_PURGES_KEPT, _A_LINE_MS = 10_000, 3_600_000
"""Lines of the purge log, and of how long (ms) one tells what left by itself."""

RANGES_A_RECORD = 30
"""So that a gap record is no larger than a read: what a broker takes of the one it takes of the other."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes that reads and pictures may take on the disk, and seconds that one may be kept, sent or not."""

    quota_bytes: int = 1_000_000_000
    keep_s: float = math.inf

    def most_pages(self, page_bytes: int) -> int:
        """SQLite's own limit, above the quota and, as the settings bound it, well below the disk."""
        return max(256, int(self.quota_bytes * _ROOM_FOR_DELETES) // page_bytes)

    def on_the_disk_of(self, directory: Path) -> "Bounds":
        """The same, with no more than MOST_OF_DISK."""
        most_bytes = int(MOST_OF_DISK * shutil.disk_usage(directory).total)
        return replace(self, quota_bytes=min(self.quota_bytes, most_bytes))


_SENT = (
    "SELECT seq, LENGTH(reads.sealed) + COALESCE(LENGTH(images.sealed), 0)"
    " FROM sent CROSS JOIN reads USING (seq) LEFT JOIN images USING (seq) ORDER BY seq"
)
_UNSENT = (
    "SELECT seq, LENGTH(sealed) FROM reads"
    " WHERE priority = {} AND NOT EXISTS (SELECT 1 FROM sent WHERE sent.seq = reads.seq) ORDER BY seq"
)
_BYTES = {
    "reads": "LENGTH(sealed) + COALESCE((SELECT LENGTH(sealed) FROM images WHERE images.seq = reads.seq), 0)",
    "images": "LENGTH(sealed)",
}
_IN_ORDER_OF_LEAVING = (
    (Missing.READS, _SENT),
    (Missing.IMAGES, "SELECT seq, LENGTH(sealed) FROM images ORDER BY seq"),
    (Missing.READS, _UNSENT.format(0)),
    (Missing.READS, _UNSENT.format(1)),
)
"""What the broker has, then pictures, then what nobody waits for, then the rest; the oldest first."""


class Gone(NamedTuple):
    """How many reads left, with their pictures, and of how many more only the pictures."""

    reads: int = 0
    images: int = 0

    @property
    def may_be_more(self) -> bool:
        """Whether it was a portion of what leaves."""
        return any(self)


def make_room(
    connection: Connection, bounds: Bounds, *, needed_bytes: int, now_ms: int, most_bytes: float = math.inf
) -> Gone:
    """Delete what must leave for so many bytes to fit, inside a transaction; about so many bytes at most."""
    if used_bytes(connection) + needed_bytes <= bounds.quota_bytes:
        return Gone()
    leave_free = min(_LEAVE_FREE * bounds.quota_bytes, _LEAVE_FREE_BYTES)
    target = max(0, int(bounds.quota_bytes - leave_free) - needed_bytes)
    leaving = _Leaving(connection)
    while (excess := min(used_bytes(connection) - target, most_bytes)) > 0:
        places: dict[Missing, list[int]] = {Missing.READS: [], Missing.IMAGES: []}
        for what, seq, size in _in_order_of_leaving(connection):
            places[what].append(seq)
            excess -= size + ROW_OVERHEAD_BYTES
            if excess <= 0:
                break
        # Pages come free as a whole: it may take more than one turn.
        gone = leaving.delete_reads(places[Missing.READS]) + leaving.delete_images(places[Missing.IMAGES])
        if not gone or most_bytes < math.inf:
            break
    return leaving.account(GapReason.QUOTA, now_ms=now_ms)


def remove_older(
    connection: Connection, reason: GapReason, *, age_s: float, older_than_s: float, now_ms: int
) -> Gone:
    """Delete what is so old (s) in an outbox of such an age (s), and write down that it left, inside a transaction.

    At most a portion; reads take their pictures along, so pictures alone come after them.
    """
    leaving = _Leaving(connection)
    reads, bytes_left = _older(connection, "reads", age_s, older_than_s, PORTION_BYTES)
    leaving.delete_reads(reads)
    leaving.delete_images(_older(connection, "images", age_s, older_than_s, bytes_left)[0])
    return leaving.account(reason, now_ms=now_ms)


def remove_damaged(connection: Connection, what: Missing, seqs: Sequence[int], *, now_ms: int) -> int:
    """Delete reads, or pictures, and write down that they left, inside a transaction; returns how many."""
    leaving = _Leaving(connection)
    (leaving.delete_reads if what is Missing.READS else leaving.delete_images)(seqs)
    return sum(leaving.account(GapReason.DAMAGED, now_ms=now_ms))


def _older(
    connection: Connection, table: str, age_s: float, older_than_s: float, most_bytes: int
) -> tuple[list[int], int]:
    """Give what is so old, and how many of so many bytes it leaves: none where there may be more.

    Nothing is older than what stands before it, so the search ends at the first that is younger. What came, by a
    damage, in the future is as old as what stands behind it; where all are asked for, it is one.
    """
    away = Away(connection)
    found: list[int] = []
    of_the_future: list[int] = []
    rows = connection.execute(
        f"SELECT seq, appended_age_s, {_BYTES[table]} FROM {table} ORDER BY seq LIMIT {PORTION}"
    ).fetchall()
    for seq, appended_age_s, size in rows:
        if most_bytes <= 0:
            break
        most_bytes -= size
        if appended_age_s <= age_s + away.since_seq(seq) - older_than_s:
            found += [*of_the_future, seq]
            of_the_future = []
        elif appended_age_s <= age_s:
            return found, max(0, most_bytes)
        else:
            of_the_future.append(seq)
    bytes_left = max(0, most_bytes) if len(rows) < PORTION else 0
    return (found if older_than_s > 0 else found + of_the_future), bytes_left


def _in_order_of_leaving(connection: Connection) -> Iterator[tuple[Missing, int, int]]:
    """What there is, its place in the count and its bytes; a picture may come once more with its read."""
    for what, query in _IN_ORDER_OF_LEAVING:
        for seq, size in connection.execute(query):
            yield what, seq, size


class _Leaving:
    """Reads and pictures that leave together, and what has to be written down of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._left = {what: _Left() for what in Missing}

    def delete_reads(self, seqs: Sequence[int]) -> int:
        """Delete reads, with their marks and pictures; returns how many there were."""
        gone = 0
        for seq in seqs:
            self._connection.execute("DELETE FROM quarantined WHERE seq = ?", (seq,))
            acknowledged = self._connection.execute("DELETE FROM sent WHERE seq = ?", (seq,)).rowcount > 0
            self._connection.execute("DELETE FROM images WHERE seq = ?", (seq,))
            gone += self._delete(Missing.READS, seq, acknowledged=acknowledged)
        return gone

    def delete_images(self, seqs: Sequence[int]) -> int:
        """Delete pictures, with their marks; returns how many there were."""
        gone = 0
        for seq in seqs:
            due = self._connection.execute("DELETE FROM images_due WHERE seq = ? RETURNING sent_at_s", (seq,))
            acknowledged = any(sent_at_s is not None for (sent_at_s,) in due.fetchall())
            gone += self._delete(Missing.IMAGES, seq, acknowledged=acknowledged)
        return gone

    def _delete(self, what: Missing, seq: int, *, acknowledged: bool) -> int:
        rows = self._connection.execute(
            f"DELETE FROM {what} WHERE seq = ? RETURNING appended_ms", (seq,)
        ).fetchall()
        for (appended_ms,) in rows:
            self._left[what].times_ms[seq] = appended_ms
            if acknowledged:
                self._left[what].acknowledged.add(seq)
        return len(rows)

    def account(self, reason: GapReason, *, now_ms: int) -> Gone:
        """Write gap records and the purge log."""
        for seq in self._left[Missing.READS].times_ms:  # a read takes the account of its picture along
            self._left[Missing.IMAGES].times_ms.pop(seq, None)
        for what, left in self._left.items():
            if left.times_ms:
                self._account(what, left, reason, now_ms=now_ms)
        self._connection.execute(
            "DELETE FROM purges WHERE number <= (SELECT MAX(number) FROM purges) - ?", (_PURGES_KEPT,)
        )
        return Gone(*(len(self._left[what].times_ms) for what in (Missing.READS, Missing.IMAGES)))

    def _account(self, what: Missing, left: "_Left", reason: GapReason, *, now_ms: int) -> None:
        note_gap(
            self._connection, [*left.times_ms], reason, what=what, acknowledged=left.acknowledged, now_ms=now_ms
        )
        reads, oldest_ms, newest_ms = len(left.times_ms), min(left.times_ms.values()), max(left.times_ms.values())
        if reason is not GapReason.PURGED:  # each time that a person says so has a line of its own
            goes_on = self._connection.execute(
                "UPDATE purges SET reads = reads + ?, oldest_ms = MIN(oldest_ms, ?), newest_ms = MAX(newest_ms, ?)"
                " WHERE at_ms BETWEEN ? AND ? AND number ="
                " (SELECT MAX(number) FROM purges WHERE what = ? AND reason = ?)",
                (reads, oldest_ms, newest_ms, now_ms - _A_LINE_MS, now_ms, what, reason),
            )
            if goes_on.rowcount:
                return
        self._connection.execute(
            "INSERT INTO purges (at_ms, what, reason, reads, oldest_ms, newest_ms) VALUES (?, ?, ?, ?, ?, ?)",
            (now_ms, what, reason, reads, oldest_ms, newest_ms),
        )


@dataclass(slots=True)
class _Left:
    """What left of one kind: when it had come (ms) by its place in the count."""

    times_ms: dict[int, int] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)


def note_gap(
    connection: Connection,
    seqs: Sequence[int],
    reason: GapReason,
    *,
    acknowledged: Collection[int],
    now_ms: int,
    what: Missing = Missing.READS,
) -> None:
    """Write gap records for places of the count, each of at most RANGES_A_RECORD ranges.

    The last one goes on where it can: what leaves read by read for weeks without network would fill the outbox with
    gap records. It has a new id then, as it may be on its way; the store may have places twice.
    """
    found = list(ranges(seqs))
    last = connection.execute(
        "SELECT number, ranges, reads, acknowledged FROM gaps"
        " WHERE number = (SELECT MAX(number) FROM gaps WHERE what = ? AND reason = ?)", (what, reason),
    ).fetchone()  # fmt: skip
    number, told, reads, known = last or (0, "[]", 0, 0)
    before = _told(told)
    both = joined([*before, *found])
    if before and len(both) <= RANGES_A_RECORD:
        connection.execute("DELETE FROM gaps WHERE number = ?", (number,))
        insert_gap(
            connection, both, reason, what=what, reads=reads + len(seqs),
            acknowledged=known + sum(seq in acknowledged for seq in seqs), now_ms=now_ms,
        )  # fmt: skip
        return
    for start in range(0, len(found), RANGES_A_RECORD):
        part = found[start : start + RANGES_A_RECORD]
        places = [seq for first, last in part for seq in range(first, last + 1)]
        known = sum(seq in acknowledged for seq in places)
        insert_gap(connection, part, reason, what=what, reads=len(places), acknowledged=known, now_ms=now_ms)


def insert_gap(
    connection: Connection,
    places: Sequence[tuple[int, int]],
    reason: GapReason,
    *,
    reads: int,
    acknowledged: int,
    now_ms: int,
    what: Missing = Missing.READS,
) -> None:
    """Write one gap record."""
    connection.execute(
        "INSERT INTO gaps (id, what, reason, ranges, reads, acknowledged, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (uuid4().bytes, what, reason, json.dumps(places), reads, acknowledged, now_ms),
    )


def ranges(seqs: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Places of the count as first and last of each run without a hole, in order."""
    for _, run in itertools.groupby(enumerate(sorted(seqs)), key=lambda pair: pair[1] - pair[0]):
        places = [seq for _, seq in run]
        yield places[0], places[-1]


def _told(places: str) -> list[tuple[int, int]]:
    """The ranges that a gap record names; none where a damage made something else of them."""
    try:
        return [(int(first), int(last)) for first, last in json.loads(places)]
    except (ValueError, TypeError):
        return []


def joined(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same places in as few ranges as can be, in order."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return out

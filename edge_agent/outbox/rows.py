"""What lies in the outbox: reads, their pictures, and the account of what left it unsent."""

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, Self
from uuid import UUID

from edge_agent.domain import GapReason, ImageKey, Missing, ReadKey


class Entry(Protocol):
    """What can be put into the outbox: it is written down once its place in the count is known."""

    @property
    def key(self) -> ReadKey: ...

    @property
    def priority(self) -> bool:
        """Whether it is kept longer than the others when there is no room for all."""

    @property
    def image(self) -> bytes | None:
        """The picture that goes with it, a JPEG."""

    def encode(self, seq: int) -> bytes: ...


HIGHEST_SEQ = 2**40
"""Of a count that makes sense."""

AGE = "SELECT aged_s, utc_s FROM age"
SUMMED = {
    "age": "aged_s, utc_s, behind_from",
    "counter": "last_seq, owner",
    "gaps": "id, what, reason, ranges, reads, acknowledged, at_ms",
    "synchronized": "began_s, until_seq, until_age_s, added_s",
    "away": "until_seq, until_age_s, by_s, unsure_s",
}
"""Columns of small tables that a checksum of their row goes over: a wrong bit in one would cost many reads."""

LONGEST_S = 2.6e11
"""Until the last year of four digits."""


def time(ms: int) -> datetime:
    """Raises OverflowError or ValueError for what is no time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def is_age(aged_s: object, utc_s: object) -> bool:
    """Whether an outbox can be so old, at such a time: one bit can make any number of either."""
    return all(isinstance(one, float) and abs(one) <= LONGEST_S for one in (aged_s, utc_s))


def blob(value: object) -> bytes:
    """What a column of bytes holds. Raises TypeError where a damage put something else there."""
    if not isinstance(value, bytes):
        raise TypeError
    return value


def seal(content: bytes, id_: bytes, place: object) -> bytes:
    """Content with a checksum of it and its names: SQLite looks at the form of its pages, not at what they say."""
    return content + zlib.crc32(content + id_ + str(place).encode()).to_bytes(_SEAL_BYTES)


def place_of(key: ReadKey, seq: int) -> str:
    """What a read's checksum goes over beside its id: another row's place would be as good as its own."""
    return f"{key.revision} {seq}"


def checksum(*columns: object) -> int:
    """Of what a row says, for SQLite to call: in which pieces it is told apart too."""
    return zlib.crc32(repr(columns).encode())


_SEAL_BYTES = 4


def unsealed(sealed: object) -> bytes:
    """Content without its checksum. Raises TypeError where a damage put something else there."""
    return blob(sealed)[:-_SEAL_BYTES]


@dataclass(frozen=True, slots=True)
class Row:
    """One read as it will be sent."""

    seq: int
    key: ReadKey
    payload: bytes

    COLUMNS: ClassVar = "seq, id, revision, sealed"

    @classmethod
    def of(cls, columns: Sequence[Any]) -> Self | None:
        """From its COLUMNS; None where a damage changed what they say.

        Raises TypeError or ValueError where it put something else there.
        """
        seq, id_, revision, sealed = columns
        record = unsealed(sealed)
        key = ReadKey(UUID(bytes=blob(id_)), revision)
        return cls(seq, key, record) if seal(record, id_, place_of(key, seq)) == sealed else None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One picture as it will be sent, with its read's place in the count."""

    seq: int
    key: ImageKey
    jpeg: bytes

    COLUMNS: ClassVar = "seq, read_id, sha256, sealed"

    @classmethod
    def of(cls, columns: Sequence[Any]) -> Self | None:
        """From its COLUMNS; None where it is not the picture that its read names: a damage changed it.

        Raises TypeError or ValueError where that put something else there.
        """
        seq, read, digest, sealed = columns
        jpeg = unsealed(sealed)
        key = ImageKey(UUID(bytes=blob(read)), blob(digest).hex())
        is_sound = seal(jpeg, read, seq) == sealed and hashlib.sha256(jpeg).digest() == digest
        return cls(seq, key, jpeg) if is_sound else None


@dataclass(frozen=True, slots=True)
class Gap:
    """Places of the count of which something will not come; as durable as a read until the store has it.

    acknowledged of it was at the broker, without a receipt.
    """

    id: UUID
    what: Missing
    reason: GapReason
    ranges: tuple[tuple[int, int], ...]
    reads: int
    acknowledged: int
    at: datetime

    COLUMNS: ClassVar = "id, what, reason, ranges, reads, acknowledged, at_ms"

    @classmethod
    def of(cls, columns: Sequence[Any]) -> Self:
        """From its COLUMNS. Raises TypeError, ValueError or OverflowError where a damage made no sense of them."""
        id_, what, reason, places, reads, acknowledged, at_ms = columns
        ranges = tuple((first, last) for first, last in json.loads(places))
        numbers = (*(one for both in ranges for one in both), reads, acknowledged)
        if not all(0 <= one <= HIGHEST_SEQ for one in numbers) or any(first > last for first, last in ranges):
            raise ValueError
        return cls(
            UUID(bytes=blob(id_)), Missing(what), GapReason(reason), ranges, reads, acknowledged, time(at_ms)
        )


@dataclass(frozen=True, slots=True)
class Purge:
    """One line of the purge log: counts and times, never a plate; oldest and newest are times of the reads.

    what tells whether so many reads left with their pictures, or only the pictures of so many.
    """

    at: datetime
    what: Missing
    reason: GapReason
    reads: int
    oldest: datetime
    newest: datetime

    COLUMNS: ClassVar = "at_ms, what, reason, reads, oldest_ms, newest_ms"

    @classmethod
    def of(cls, columns: Sequence[Any]) -> Self:
        """From its COLUMNS. Raises TypeError, ValueError or OverflowError where a damage made no sense of them."""
        at_ms, what, reason, reads, oldest_ms, newest_ms = columns
        return cls(time(at_ms), Missing(what), GapReason(reason), reads, time(oldest_ms), time(newest_ms))

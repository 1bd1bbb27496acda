"""What lies in the outbox: reads, their pictures, and the account of what left it unsent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
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


def blob(value: object) -> bytes:
    """What a column of bytes holds. Raises TypeError where a damage put something else there."""
    if not isinstance(value, bytes):
        raise TypeError
    return value


@dataclass(frozen=True, slots=True)
class Row:
    """One read as it will be sent."""

    seq: int
    key: ReadKey
    payload: bytes


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One picture as it will be sent, with its read's place in the count."""

    seq: int
    key: ImageKey
    jpeg: bytes


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

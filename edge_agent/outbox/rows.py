"""What lies in the outbox: reads, and the account of those that left it unsent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from edge_agent.domain import GapReason, ReadKey


class Entry(Protocol):
    """What can be put into the outbox: it is written down once its place in the count is known."""

    @property
    def key(self) -> ReadKey: ...

    @property
    def priority(self) -> bool:
        """Whether it is kept longer than the others when there is no room for all."""

    def encode(self, seq: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One read as it will be sent."""

    seq: int
    key: ReadKey
    payload: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Places of the count whose reads will not come; as durable as a read until the store has it.

    acknowledged of its reads were at the broker, without a receipt.
    """

    id: UUID
    reason: GapReason
    ranges: tuple[tuple[int, int], ...]
    reads: int
    acknowledged: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Purge:
    """One line of the purge log: counts and times, never a plate; oldest and newest are times of the reads."""

    at: datetime
    reason: GapReason
    reads: int
    oldest: datetime
    newest: datetime

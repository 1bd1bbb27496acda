"""What the publisher needs from its neighbours, and what it tells of itself."""

from dataclasses import dataclass, fields
from typing import Protocol

from edge_agent.mqtt import Event, Message
from edge_agent.outbox import Gap, ImageRow, Row
from edge_agent.publisher.ledger import Settles


class Keeps(Settles, Protocol):
    """What the publisher needs from the outbox."""

    def take(self, *, limit: int, after_seq: int) -> list[Row]: ...
    def take_gaps(self, *, limit: int) -> list[Gap]: ...
    def resend(self, *, older_than_s: float | None = None) -> int: ...
    def quarantine(self, seq: int, *, why: str) -> None: ...
    def take_images(self, *, limit: int, after_seq: int) -> list[ImageRow]: ...
    def hold_image(self, seq: int) -> None: ...


class Link(Protocol):
    """What the publisher needs from the connection."""

    def connect(self) -> None: ...
    def next_event(self, timeout_s: float) -> Event | None: ...
    def wake(self) -> None: ...
    def publish(self, message: Message) -> int | None: ...
    def subscribe(self, topic: str) -> None: ...
    def drop(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Counters:
    """What the publisher did since its start; problem is one line on what keeps reads from being delivered now."""

    connected: bool = False
    in_flight: int = 0
    published: int = 0
    sent: int = 0
    receipted: int = 0
    resent: int = 0
    refused: int = 0
    quarantined: int = 0
    bad_receipts: int = 0
    unknown_receipts: int = 0
    connections_lost: int = 0
    problem: str | None = None


COUNTED = tuple(one.name for one in fields(Counters) if one.name not in ("connected", "in_flight", "problem"))
"""What is counted from the start on."""

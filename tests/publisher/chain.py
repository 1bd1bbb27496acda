"""A publisher between a real outbox and a connection whose other end is the test."""

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from edge_agent.contract.topics import Topics
from edge_agent.domain import ReadKey, Stamp
from edge_agent.mqtt import (
    Acknowledged,
    Connected,
    Disconnected,
    Event,
    Message,
    Received,
    Woken,
)
from edge_agent.outbox import Outbox
from edge_agent.publisher import Counters, Publisher

TOPICS = Topics("lpr", "hpd", "car-12")


OPEN_DOOR = Connected(receive_maximum=65535, maximum_packet_size=None)


class Note:
    def __init__(self, size: int = 0, *, image: bytes | None = None) -> None:
        self.key = ReadKey(uuid4())
        self.priority = False
        self.image = image
        self._size = size

    def encode(self, seq: int) -> bytes:
        return f"note {seq}".encode().ljust(self._size, b".")


class Time:
    """A clock that moves when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> Stamp:
        return Stamp(self.seconds, datetime(2026, 7, 4, tzinfo=UTC))


class FakeLink:
    """A connection whose other end is the test."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.events: deque[Event] = deque()
        self.calls: list[str] = []
        self.connects: list[float] = []
        self.topics: list[str] = []
        self.up = False
        self.mid = 0
        self.unacknowledged: dict[int, Message] = {}
        self.published: list[Message] = []
        self.published_s = 0.0

    def connect(self) -> None:
        self.calls.append("connect")
        self.connects.append(self.time.seconds)

    def next_event(self, timeout_s: float) -> Event | None:
        if self.events:
            return self.events.popleft()
        self.time.seconds += timeout_s
        return None

    def wake(self) -> None:
        self.events.append(Woken())

    def publish(self, message: Message) -> int | None:
        if not self.up:
            return None
        self.mid += 1
        self.unacknowledged[self.mid] = message
        self.published.append(message)
        self.published_s = self.time.seconds
        return self.mid

    def subscribe(self, topic: str) -> None:
        self.topics.append(topic)

    def drop(self) -> None:
        self.calls.append("drop")
        self.lose()

    def close(self) -> None:
        self.calls.append("close")

    # What the test does on the other end.

    def accept(self, limits: Connected = OPEN_DOOR) -> None:
        self.up = True
        self.events.append(limits)

    def lose(self, reason: str = "connection lost") -> None:
        self.up = False
        self.unacknowledged.clear()
        self.events.append(Disconnected(reason))

    def answer(self, code: int = 0, count: int = 10_000) -> None:
        for mid in list(self.unacknowledged)[:count]:
            del self.unacknowledged[mid]
            self.events.append(Acknowledged(mid, code, f"code {code}"))

    def receipt(self, message: object, topic: str = TOPICS.receipts) -> None:
        self.events.append(Received(topic, json.dumps(message).encode()))

    @property
    def waiting(self) -> list[str]:
        return [message.payload.decode() for message in self.unacknowledged.values()]


class Chain:
    """A publisher between a real outbox and a test."""

    def __init__(self, path: Path, **options: Any) -> None:  # noqa: ANN401 - the publisher's own
        self.time = Time()
        self.link = FakeLink(self.time)
        self.outbox = Outbox(path=path, now=self.time.now, owner="hpd/car-12")
        self.outbox.open()
        self.ids: list[UUID] = []
        self.publisher = Publisher(
            outbox=self.outbox,
            link=self.link,
            topics=TOPICS,
            monotonic=self.time,
            **({"uniform": lambda _low, high: high} | options),
        )

    def append(self, count: int = 1, size: int = 0, *, picture: bool = False, picture_size: int = 0) -> None:
        first = len(self.ids) + 1
        pictures = [f"picture {number} ".encode().ljust(picture_size) for number in range(first, first + count)]
        notes = [Note(size, image=one if picture else None) for one in pictures]
        self.outbox.append(notes)
        self.ids.extend(note.key.id for note in notes)
        self.publisher.notify()

    def run(self, seconds: float = 0.5) -> None:
        """Step until all events are taken and the time has passed."""
        until = self.time.seconds + seconds
        while self.link.events or self.time.seconds < until:
            self.publisher.step()

    def step_until_something_waits(self) -> None:
        while self.link.events or not self.link.waiting:
            self.publisher.step()

    def connect(self, limits: Connected = OPEN_DOOR) -> None:
        self.run()
        self.link.accept(limits)
        self.run()
        self.link.answer(count=1)  # the state
        self.run()

    def kept(self) -> list[int]:
        status = self.outbox.status()
        return [status.pending, status.sent]

    @property
    def counters(self) -> Counters:
        return self.publisher.counters

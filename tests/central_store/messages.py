"""Messages of cars, made up, and a connection that hands them over."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from edge_agent.contract.gap import GapRecord
from edge_agent.contract.record import draft, time_text
from edge_agent.contract.topics import Topics
from edge_agent.domain import GapReason, ImageKey, Jpeg, Missing
from edge_agent.mqtt import Connected, Event, Message, Received
from examples.central_store.database import Batch, Keeps
from examples.central_store.intake import from_broker
from tests.contract.reads import CLOCK, NOON, POSITION, SOURCE, make_read

CAR = Topics("lpr", "hpd", "car-1")
OTHER = Topics("lpr", "hpd", "car-2")
JPEG = b"\xff\xd8\xff" + b"a plate" * 300


def payload(
    seq: int,
    topics: Topics = CAR,
    text: str = "AB12CD3",
    *,
    id_text: str | None = None,
    revision: int = 0,
    at: datetime = NOON,
    synchronized: bool = True,
    jpeg: bytes | None = None,
) -> bytes:
    entry = draft(
        replace(make_read(text), revision=revision),
        agency=topics.agency,
        vehicle=topics.vehicle,
        source=SOURCE,
        clock=replace(CLOCK, synchronized=synchronized),
        position=POSITION,
        image=Jpeg(jpeg, 120, 60) if jpeg else None,
    )
    message = json.loads(entry.encode(seq)) | {"captured_at": time_text(at)}
    return json.dumps(message | ({"id": id_text} if id_text else {})).encode()


def gap(
    *ranges: tuple[int, int],
    topics: Topics = CAR,
    reason: GapReason = GapReason.QUOTA,
    reads: int | None = None,
    what: Missing = Missing.READS,
) -> bytes:
    return GapRecord(
        schema="lpr.gap/1",
        id=uuid4(),
        agency=topics.agency,
        vehicle=topics.vehicle,
        what=what,
        reason=reason,
        ranges=ranges,
        reads=sum(last - first + 1 for first, last in ranges) if reads is None else reads,
        acknowledged=0,
        at=datetime(2026, 7, 4, 12, 30, tzinfo=UTC),
    ).encode()


def id_of(message: bytes) -> str:
    return str(json.loads(message)["id"])


def picture(read: bytes, jpeg: bytes = JPEG, *, topics: Topics = CAR) -> Received:
    """The picture of a read, on its topic."""
    return Received(topics.image(UUID(id_of(read))), jpeg)


def key_of(read: bytes, jpeg: bytes = JPEG) -> ImageKey:
    return ImageKey(UUID(id_of(read)), hashlib.sha256(jpeg).hexdigest())


def keep(database: Keeps, *came: bytes | Received, topic: str | None = None) -> Batch:
    """Store what the cars sent, each on the topic that fits it."""
    messages = [one if isinstance(one, Received) else Received(topic or topic_of(one), one) for one in came]
    return database.keep(Batch.of(from_broker(one.topic, one.payload, "lpr") for one in messages))


def topic_of(message: bytes) -> str:
    fields = json.loads(message)
    topics = Topics("lpr", fields["agency"], fields["vehicle"])
    return topics.gaps if fields["schema"] == "lpr.gap/1" else topics.reads


class FakeLink:
    """Hands over the events it was given, and keeps what is published and subscribed to."""

    def __init__(self) -> None:
        self.events: list[Event] = [Connected(receive_maximum=2, maximum_packet_size=None)]
        self.published: list[Message] = []
        self.filters: list[str] = []

    def connect(self) -> None:
        pass

    def next_event(self, timeout_s: float) -> Event | None:
        return self.events.pop(0) if self.events else None

    def publish(self, message: Message) -> int | None:
        self.published.append(message)
        return len(self.published)

    def subscribe(self, topic: str) -> None:
        self.filters.append(topic)

    def close(self) -> None:
        pass

    def receipts(self) -> Sequence[tuple[str, dict[str, object]]]:
        return [(message.topic, json.loads(message.payload)) for message in self.published]

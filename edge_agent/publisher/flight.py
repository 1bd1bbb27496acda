"""The messages on their way to the broker, without its acknowledgement yet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from edge_agent.mqtt import Connected, Message
from edge_agent.outbox import Gap, ImageRow, Row
from edge_agent.publisher.ports import Link

_PACKET_OVERHEAD_BYTES = 10  # fixed header, topic length, packet identifier, no properties

Carried = Row | Gap | ImageRow | str
"""What a message carries; a text is the topic of one that is not kept, and gone with the connection."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on its way."""

    what: Carried
    since_s: float


class Flight:
    """Hands messages to the connection, no more than fit, and knows what each number it gave out stands for."""

    def __init__(self, *, link: Link, window: int, monotonic: Callable[[], float]) -> None:
        self._link = link
        self._window = window
        self._monotonic = monotonic
        self._limits: Connected | None = None  # the connection's; None without one
        self._sent: dict[int, Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, mid: int) -> bool:
        return mid in self._sent

    # The connection.

    @property
    def is_open(self) -> bool:
        return self._limits is not None

    def open(self, limits: Connected) -> None:
        self._limits = limits

    def close(self) -> None:
        """Forget what was on its way: without its connection nothing of it is acknowledged."""
        self._limits = None
        self._sent.clear()

    @property
    def room(self) -> int:
        """How many messages may go now: never more than the window and the broker allow."""
        return min(self._window, self._limits.receive_maximum) - len(self._sent) if self._limits else 0

    def fits(self, message: Message) -> bool:
        """Whether the broker takes packets as large as this message's."""
        limit = self._limits and self._limits.maximum_packet_size
        return not limit or len(message.topic) + len(message.payload) + _PACKET_OVERHEAD_BYTES <= limit

    # The messages.

    def depart(self, message: Message, what: Carried) -> int | None:
        """Give a message to the connection, and its number back; None when there is none any more."""
        if (mid := self._link.publish(message)) is not None:
            self._sent[mid] = Sent(what, self._monotonic())
        return mid

    def land(self, mid: int) -> Sent | None:
        """Take out what was acknowledged; None for a number that is not known, or not any more."""
        return self._sent.pop(mid, None)

    @property
    def oldest(self) -> Sent | None:
        return next(iter(self._sent.values()), None)

    @property
    def first(self) -> Row | ImageRow | None:
        """The first in line: the read of the lowest place, where there is none the picture."""
        rows = (what for what in self._what() if isinstance(what, Row | ImageRow))
        return min(rows, key=lambda row: (isinstance(row, ImageRow), row.seq), default=None)

    @property
    def seqs(self) -> set[int]:
        """Places in the count of the reads on their way."""
        return {what.seq for what in self._what() if isinstance(what, Row)}

    @property
    def image_seqs(self) -> set[int]:
        """Places in the count of the pictures on their way."""
        return {what.seq for what in self._what() if isinstance(what, ImageRow)}

    @property
    def gaps(self) -> set[UUID]:
        """Ids of the gap records on their way."""
        return {what.id for what in self._what() if isinstance(what, Gap)}

    def _what(self) -> Iterator[Carried]:
        return (one.what for one in self._sent.values())

"""The messages on their way to the broker, without its acknowledgement yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from edge_agent.outbox import Gap, ImageRow, Row

Carried = Row | Gap | ImageRow | str
"""What a message carries; a text is the topic of one that is not kept, and gone with the connection."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on its way."""

    what: Carried
    since_s: float


class Flight:
    """Knows what each number that the connection gave out stands for."""

    def __init__(self) -> None:
        self._sent: dict[int, Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, mid: int) -> bool:
        return mid in self._sent

    def add(self, mid: int, what: Carried, *, since_s: float) -> None:
        self._sent[mid] = Sent(what, since_s)

    def land(self, mid: int) -> Sent | None:
        """Take out what was acknowledged; None for a number that is not known, or not any more."""
        return self._sent.pop(mid, None)

    def clear(self) -> None:
        self._sent.clear()

    @property
    def oldest(self) -> Sent | None:
        return next(iter(self._sent.values()), None)

    @property
    def seqs(self) -> set[int]:
        """Places in the count of the reads on their way."""
        return {what.seq for what in self._what() if isinstance(what, Row)}

    @property
    def gaps(self) -> set[UUID]:
        """Ids of the gap records on their way."""
        return {what.id for what in self._what() if isinstance(what, Gap)}

    @property
    def image_seqs(self) -> set[int]:
        """Places in the count of the pictures on their way."""
        return {what.seq for what in self._what() if isinstance(what, ImageRow)}

    def _what(self) -> Iterator[Carried]:
        return (one.what for one in self._sent.values())

"""Links what several cameras of one car read of the same vehicle."""

import threading
from collections import deque
from dataclasses import dataclass
from uuid import UUID

from edge_agent.domain import UNREADABLE, Read, folded


@dataclass(frozen=True, slots=True)
class _Seen:
    id: UUID
    pass_id: UUID
    camera: str
    text: str
    first_s: float
    last_s: float


class Passes:
    """The reads of the last seconds, of every camera; any thread may ask.

    within_s: how long after one camera lost a plate another may first see it, monotonic. Not merged: each camera's
    read is kept and sent, and says which pass it belongs to.
    """

    def __init__(self, *, within_s: float) -> None:
        self._within_s = within_s
        self._lock = threading.Lock()
        self._seen: deque[_Seen] = deque(maxlen=1000)

    def of(self, read: Read) -> UUID | None:
        """The id of the read that began the pass; None for one that no other camera has begun."""
        text, first_s, last_s = folded(read.text), read.first.monotonic_s, read.last.monotonic_s
        with self._lock:
            pass_id = next(
                (
                    one.pass_id
                    for one in reversed(self._seen)
                    if one.id == read.id
                    or (
                        one.camera != read.camera
                        and max(first_s - one.last_s, one.first_s - last_s) <= self._within_s
                        and _same(one.text, text)
                    )
                ),
                read.id,
            )
            self._seen.append(_Seen(read.id, pass_id, read.camera, text, first_s, last_s))
        return None if pass_id == read.id else pass_id


def _same(one: str, other: str) -> bool:
    """Whether two folded texts may be of one plate; what one camera could not tell, the other may."""
    return len(one) == len(other) and all(a == b or UNREADABLE in (a, b) for a, b in zip(one, other, strict=True))

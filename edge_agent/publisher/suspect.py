"""A message that makes the broker, or something on the way, cut the connection would stop all behind it."""

from edge_agent.outbox import ImageRow, Row

LOSSES = 3
"""So many connections in a row, lost with the same read first in line, and it is taken for the cause."""

ALONE_AFTER = 2
"""After so many it goes alone, so that the next loss clears the others or it."""


class Suspect:
    """Remembers what was first in line when connections were lost; what is suspected goes alone."""

    def __init__(self) -> None:
        self._first: Row | ImageRow | None = None
        self._losses = 0

    @property
    def is_there(self) -> bool:
        return self._losses >= ALONE_AFTER

    def lost(self, first: Row | ImageRow) -> bool:
        """Take note of a lost connection and what was first in line; true when it is to be set aside."""
        self._losses = self._losses + 1 if first == self._first else 1
        self._first = first
        if self._losses < LOSSES:
            return False
        self._forget()
        return True

    def came_through(self, one: Row | ImageRow) -> None:
        if one == self._first:
            self._forget()

    def _forget(self) -> None:
        self._first, self._losses = None, 0

"""A message that makes the broker, or something on the way, cut the connection would stop all behind it."""

LOSSES = 3
"""So many connections in a row, lost with the same read first in line, and it is taken for the cause."""

ALONE_AFTER = 2
"""After so many it goes alone, so that the next loss clears the others or it."""


class Suspect:
    """Remembers the read that was first in line when connections were lost; one that is suspected goes alone."""

    def __init__(self) -> None:
        self._seq = 0
        self._losses = 0

    @property
    def is_there(self) -> bool:
        return self._losses >= ALONE_AFTER

    def lost(self, seq: int) -> bool:
        """Take note of a lost connection and the read first in line; true when it is to be set aside."""
        self._losses = self._losses + 1 if seq == self._seq else 1
        self._seq = seq
        if self._losses < LOSSES:
            return False
        self._seq = self._losses = 0
        return True

    def came_through(self, seq: int) -> None:
        if seq == self._seq:
            self._seq = self._losses = 0

"""How far the broker may be ahead of the store: brokers queue a thousand messages, and drop what comes then."""

import math

MOST = 500
"""Reads that the broker has acknowledged and the store has not confirmed since."""

PATIENCE_S = 2.0
"""Without a receipt, and as many may follow: a store that refuses some must not stop the others."""


class Ahead:
    """Counts them; where no store confirms anything there is no limit."""

    def __init__(self, *, has_limit: bool) -> None:
        self._most: float = MOST if has_limit else math.inf
        self._reads = 0.0

    @property
    def room(self) -> float:
        return self._most - self._reads

    def sent(self) -> None:
        self._reads += 1

    def confirmed(self, reads: float) -> None:
        self._reads = max(0.0, self._reads - reads)

    def forget(self) -> None:
        self._reads = 0.0

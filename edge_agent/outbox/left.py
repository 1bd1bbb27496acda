"""What the log says of reads and pictures that left without a receipt; the store is told of each by gap records."""

import logging
import math
from collections import Counter
from pathlib import Path

from edge_agent.domain import GapReason, Stamp, counted
from edge_agent.outbox.bounds import Gone

_log = logging.getLogger(__name__)

TELL_EVERY_S = 600.0
WHY = {GapReason.EXPIRED: "older than they may be kept", GapReason.QUOTA: "there was no room for all"}


class Left:
    """Says it at once, then at most each TELL_EVERY_S, all that left meanwhile in one line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts: Counter[tuple[str, GapReason]] = Counter()
        self._tell_at_s = -math.inf

    def note(self, reason: GapReason, gone: Gone, now: Stamp) -> None:
        """Count what left, and say so where it is time."""
        for what, count in (("read", gone.reads), ("picture", gone.images)):
            if count:
                self._counts[what, reason] += count
        if self._counts and now.monotonic_s >= self._tell_at_s:
            self._tell_at_s = now.monotonic_s + TELL_EVERY_S
            self.tell()

    def tell(self) -> None:
        """Say what was not said yet."""
        left = ", ".join(f"{counted(count, what)} ({WHY[one]})" for (what, one), count in self._counts.items())
        if left:
            _log.warning("outbox %s: left it unconfirmed, the store is told which: %s", self._path, left)
        self._counts.clear()

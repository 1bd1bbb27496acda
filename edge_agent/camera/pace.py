"""When a recorded or simulated frame is due: at its recorded time, or at once."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from edge_agent.domain import Now, Stamp

Pace = Literal["recorded", "fast"]
"""`recorded` waits as the recording did; `fast` gives frame after frame, stamped as if it had waited."""


LONGEST_WAIT_S = 30.0
"""A longer gap in a recording is not waited for: by then every pass is over, and who waits on is taken for hung."""


class Pacer:
    """Stamps frames by their time from the start of a recording."""

    def __init__(self, *, pace: Pace, now: Now, sleep: Callable[[float], None] = time.sleep) -> None:
        self._pace = pace
        self._now = now
        self._sleep = sleep
        self._start = now()
        self._last_s = 0.0

    def stamp(self, offset_s: float) -> Stamp:
        """Wait until the frame is due, where the pace says so, and stamp it; offset in seconds, never going back.

        No wait is longer than LONGEST_WAIT_S. A reader that is late is not hurried: the rest of the recording moves
        back, and no frame is left out.
        """
        if self._pace == "fast":
            after = timedelta(seconds=offset_s)
            return Stamp(self._start.monotonic_s + offset_s, self._start.utc + after)
        late_s = self._now().monotonic_s - (self._start.monotonic_s + offset_s)
        if late_s < -LONGEST_WAIT_S:
            self._start = Stamp(self._start.monotonic_s + late_s + LONGEST_WAIT_S, self._start.utc)
            self._sleep(LONGEST_WAIT_S)
        elif late_s < 0:
            self._sleep(-late_s)
        elif late_s > offset_s - self._last_s:
            self._start = Stamp(self._start.monotonic_s + late_s, self._start.utc)
        self._last_s = offset_s
        return self._now()

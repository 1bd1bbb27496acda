"""Tells a camera that works from one that only seems to: frozen and black pictures."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edge_agent.domain import Frame

FROZEN_AFTER_S = 10.0
"""Longer than most encoders go without a key frame: until then they may repeat a street that stands still."""
BLACK_AFTER_S = 3.0
BLACK_MEAN = 12.0
BLACK_SPREAD = 4.0
SAMPLES = 48
"""Pixels looked at along each side: enough for a sensor's noise to show."""


class Condition(Enum):
    """What the pictures of a camera are worth."""

    OK = "ok"
    FROZEN = "frozen"
    BLACK = "black"
    STALLED = "stalled"


class PictureHealth:
    """Judges a camera by its frames, one after the other.

    Frozen: not one sampled pixel has changed for seconds, which a sensor's noise rules out even in a parked car.
    Black: dark and without structure for seconds: a cap, a dead sensor, a shutter that stays closed.
    """

    def __init__(self) -> None:
        self._sample: NDArray[np.uint8] | None = None
        self._changed_s = 0.0
        self._bright_s = 0.0

    def judge(self, frame: Frame) -> Condition:
        """Give the condition as of this frame."""
        at_s = frame.stamp.monotonic_s
        height, width = frame.image.shape[:2]
        sample = frame.image[:: max(1, height // SAMPLES), :: max(1, width // SAMPLES)].copy()
        first = self._sample is None
        if self._sample is None or not np.array_equal(sample, self._sample):
            self._changed_s = at_s
        if first or sample.mean() > BLACK_MEAN or sample.std() > BLACK_SPREAD:
            self._bright_s = at_s
        self._sample = sample
        if at_s - self._bright_s >= BLACK_AFTER_S:
            return Condition.BLACK
        if at_s - self._changed_s >= FROZEN_AFTER_S:
            return Condition.FROZEN
        return Condition.OK

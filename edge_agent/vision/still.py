"""Tells a picture that shows what the last one showed: a parked car's camera sees an empty street for hours."""

import numpy as np
from numpy.typing import NDArray

from edge_agent.domain import Image
from edge_agent.vision.shrink import shrunk

CELLS = (64, 36)
CHANGED_GRAY = 2.5
"""Gray levels by which the mean of one cell must differ: a sensor's noise moves a cell's mean of hundreds of pixels
by less than one, a car that comes nearer moves the cells along its outline by more than ten."""

LONGEST = 8
"""Pictures in a row that may be taken for the one before them, so that nothing that creeps is missed."""


class Still:
    """Compares each picture with the last one that was looked at."""

    def __init__(self) -> None:
        self._known: NDArray[np.int16] | None = None
        self._row = 0

    def same(self, image: Image) -> bool:
        """Whether a picture needs no new look."""
        small = shrunk(image, *CELLS).astype(np.int16)
        if (
            self._known is not None
            and self._known.shape == small.shape
            and self._row < LONGEST
            and float(np.abs(small - self._known).max()) <= CHANGED_GRAY
        ):
            self._row += 1
            return True
        self._known, self._row = small, 0
        return False

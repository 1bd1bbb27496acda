"""Whether what is in a plate's place still looks as it did in the frame before."""

import cv2
import numpy as np

from edge_agent.domain import Box, Image

WIDTH_PX = 48
"""What every plate is brought to."""

INSIDE, AROUND = 0.8, 1.35
"""Of the box's width and height: what is known of it, and where that is looked for, as boxes shake."""

SAME_FROM = 0.8
"""Correlation: of two plates 0.3 as a rule, of one plate in two frames 0.9 (training/LOG.md, 06:40)."""


class Appearance:
    """The inside of a plate as one frame showed it."""

    def __init__(self, image: Image, box: Box) -> None:
        self._scale = WIDTH_PX / box.width
        self._inside = _cut(image, box, INSIDE, self._scale)

    def is_at(self, image: Image, box: Box) -> bool:
        """Whether the same is to be seen there in another frame, somewhat moved."""
        around = _cut(image, box, AROUND, self._scale)
        if around.shape[0] < self._inside.shape[0] or around.shape[1] < self._inside.shape[1]:
            return False
        return float(cv2.matchTemplate(around, self._inside, cv2.TM_CCOEFF_NORMED).max()) >= SAME_FROM


def _cut(image: Image, box: Box, share: float, scale: float) -> Image:
    """The box, so many times as large, in gray and at a scale; as far as the picture goes, one pixel at least."""
    height, width = image.shape[:2]
    (x, y), across, down = box.center, share * box.width / 2, share * box.height / 2
    x1, y1 = (min(max(0, int(low)), size - 1) for low, size in ((x - across, width), (y - down, height)))
    part = image[y1 : max(y1 + 1, round(y + down)), x1 : max(x1 + 1, round(x + across))]
    if part.ndim == 3:
        part = np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), np.uint8)
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)

"""Missouri's plate of 2008 to 2018: the state's border runs through the third and the fourth character.

No picture of a design has it, few photographs do, and an 8 that the border crosses looks like a B from afar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.grounds import PLATE_HEIGHT, line

if TYPE_CHECKING:
    from training.glyphs import Canvas

REGION = "us-mo"
PATTERNS = ("LLNLNL",)
GAPS = (0.0, 0.0, 0.0, 0.75, 0.0, 0.0, 0.0)
"""Free space before each character and behind the last, in widths of one: the sticker's."""

LEFT, TOP, WIDTH, HEIGHT = 0.025, 0.225, 0.95, 0.54
"""Where the characters stand, of the plate."""

_BORDER = (
    (0.308, 0.21), (0.545, 0.21), (0.56, 0.25), (0.565, 0.29), (0.585, 0.36), (0.605, 0.45), (0.63, 0.48),
    (0.627, 0.55), (0.65, 0.62), (0.675, 0.67), (0.69, 0.73), (0.697, 0.78), (0.683, 0.83), (0.668, 0.91),
    (0.62, 0.915), (0.637, 0.87), (0.63, 0.84), (0.372, 0.835), (0.372, 0.46), (0.36, 0.41), (0.348, 0.4),
    (0.352, 0.36), (0.335, 0.32), (0.325, 0.27), (0.308, 0.21),
)  # fmt: skip
_RIVER = ((0.27, 0.0), (0.285, 0.2), (0.27, 0.4), (0.29, 0.6), (0.27, 0.8), (0.285, 1.0))
_BIRD = (0.49, 0.85)


def bluebird(width: int, rng: np.random.Generator) -> Canvas:
    """Its ground, gray [128,width], without name, stickers and characters."""
    ends = rng.uniform(150, 250, 3)
    columns = np.interp(np.arange(width), (0, width / 2, width - 1), ends).astype(np.float32)
    canvas = np.repeat(columns[None, :], PLATE_HEIGHT, axis=0)
    line(canvas, _RIVER, float(canvas.mean() - rng.uniform(5, 30)), 1)
    line(canvas, _BORDER, float(rng.uniform(10, 110)), int(rng.choice([1, 1, 2])))
    at = (int(width * _BIRD[0]), int(PLATE_HEIGHT * _BIRD[1]))
    cv2.ellipse(canvas, at, (10, 5), -50, 0, 360, float(rng.uniform(60, 140)), -1)
    return canvas

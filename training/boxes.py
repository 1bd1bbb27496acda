"""Boxes out of the detector's map: letterbox, peaks, overlap. Used to validate, not to ship."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.shapes import STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data import Gray

THRESHOLD, THRESHOLD_IF_READ = 0.5, 0.2  # chosen by `evaluate validation-photographs`
SAME = 0.35  # overlap from which two peaks are one plate


@dataclass(frozen=True, slots=True)
class Found:
    """A box by its corners, in pixels, and how sure the detector was."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float

    def scaled(self, factor: float) -> Found:
        """The same box in a picture of another size."""
        return Found(self.x0 * factor, self.y0 * factor, self.x1 * factor, self.y1 * factor, self.score)


def overlap(a: Found, b: Found) -> float:
    """Intersection over union."""
    w = min(a.x1, b.x1) - max(a.x0, b.x0)
    h = min(a.y1, b.y1) - max(a.y0, b.y0)
    if w <= 0 or h <= 0:
        return 0.0
    both = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0)
    return w * h / (both - w * h)


def letterbox(image: Gray, size: tuple[int, int]) -> tuple[Gray, float]:
    """Fit gray [h,w] into the top left of (height, width); the scale that did it."""
    height, width = image.shape
    scale = min(size[0] / height, size[1] / width)
    fitted = (min(size[1], round(width * scale)), min(size[0], round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out = np.zeros(size, np.uint8)
    out[: fitted[1], : fitted[0]] = cv2.resize(image, fitted, interpolation=how)
    return out, scale


def decode(output: NDArray[np.float32], threshold: float = THRESHOLD) -> list[Found]:
    """Boxes in pixels of the network's input from a map [5,h,w], best first, doubles dropped."""
    centre = np.ascontiguousarray(output[0])
    peak = (centre >= cv2.dilate(centre, np.ones((3, 3), np.uint8))) & (
        centre > math.log(threshold / (1 - threshold))
    )
    found: list[Found] = []
    for y, x in zip(*np.nonzero(peak), strict=True):
        dx, dy, wide, high = (float(v) for v in output[1:, y, x])
        cx, cy = (x + 0.5 + dx) * STRIDE, (y + 0.5 + dy) * STRIDE
        w, h = 16 * math.exp(min(6.0, wide)), 8 * math.exp(min(6.0, high))
        score = 1 / (1 + math.exp(-float(centre[y, x])))
        found.append(Found(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score))
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: -f.score):
        if all(overlap(one, other) < SAME for other in kept):
            kept.append(one)
    return kept

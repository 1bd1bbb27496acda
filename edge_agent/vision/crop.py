"""Cuts a plate out of a picture for a reader."""

import math

import cv2
import numpy as np

from edge_agent.domain import Box, Image
from edge_agent.vision.gray import to_gray


def cut(image: Image, box: Box, *, margin: float, size: tuple[int, int]) -> Image:
    """The box, wider and higher by a share of itself on each side, gray, stretched to (height, width)."""
    grow_x, grow_y = box.width * margin, box.height * margin
    height, width = image.shape[:2]
    x1, x2 = _span(box.x1 - grow_x, box.x2 + grow_x, width)
    y1, y2 = _span(box.y1 - grow_y, box.y2 + grow_y, height)
    patch = to_gray(image[y1:y2, x1:x2])
    interpolation = cv2.INTER_AREA if patch.shape[1] > size[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(patch, size[::-1], interpolation=interpolation), np.uint8)


def _span(low: float, high: float, limit: int) -> tuple[int, int]:
    """Round outwards to whole pixels of 0..limit, at least one."""
    first = min(max(0, math.floor(low)), limit - 1)
    return first, min(limit, max(first + 1, math.ceil(high)))

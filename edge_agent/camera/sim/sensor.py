"""What a sensor adds to a picture: noise, and the smear of what moves while the shutter is open."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.domain import Image

_SPARE_PX = 64  # the noise is drawn once, larger than the frame, and laid on at another place each time


class Grain:
    """Noise for colour pictures of a size (height, width), with a standard deviation in gray levels."""

    def __init__(self, *, size: tuple[int, int], gray_levels: float, seed: int) -> None:
        self._seed = seed
        rng = np.random.default_rng([seed, 5])
        noise = rng.normal(0, gray_levels, (size[0] + _SPARE_PX, size[1] + _SPARE_PX, 3))
        noise = np.round(noise.astype(np.float32)).astype(np.int16)
        self._lighter = np.maximum(noise, 0).astype(np.uint8)
        self._darker = np.maximum(-noise, 0).astype(np.uint8)

    def lay(self, picture: Image, frame: int) -> None:
        """Add the noise of a frame to a picture, in place."""
        x, y = np.random.default_rng([self._seed, 13, frame]).integers(0, _SPARE_PX, 2)
        window = np.s_[y : y + picture.shape[0], x : x + picture.shape[1]]
        cv2.add(picture, self._lighter[window], dst=picture)
        cv2.subtract(picture, self._darker[window], dst=picture)


@cache
def smear_kernel(x: int, y: int) -> NDArray[np.float32]:
    """Give the kernel of a smear by x, y quarter pixels."""
    reach = max(abs(x), abs(y)) // 8 + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 4 * reach + 5):
        column, row = reach + share * x / 4, reach + share * y / 4
        left, top = int(column), int(row)
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight = (1 - abs(column - left - dx)) * (1 - abs(row - top - dy))
            if weight > 0:
                kernel[top + dy, left + dx] += weight
    return np.asarray(kernel / kernel.sum(), np.float32)

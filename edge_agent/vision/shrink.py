"""Makes pictures smaller, fast."""

import cv2
import numpy as np

from edge_agent.domain import Image


def shrunk(image: Image, width: int, height: int) -> Image:
    """A picture of another size in pixels: halved by areas, then interpolated.

    At other ratios than 2 OpenCV takes 20 times as long for areas.
    """
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        half_height, half_width = image.shape[0] // 2, image.shape[1] // 2
        even = image[: 2 * half_height, : 2 * half_width]
        image = np.asarray(cv2.resize(even, (half_width, half_height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

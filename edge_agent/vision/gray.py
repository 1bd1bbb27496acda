"""Both networks see gray: patrol cameras are infrared as often as colour."""

import cv2
import numpy as np

from edge_agent.domain import Image


def to_gray(image: Image) -> Image:
    """Give [height, width] of a gray or blue-green-red picture."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)

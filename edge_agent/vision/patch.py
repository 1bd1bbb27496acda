"""What a plate's patch of the picture is like, and as a file."""

import cv2
import numpy as np

from edge_agent.domain import Box, Image, Jpeg
from edge_agent.vision.gray import to_gray

SHARPNESS_SIZE = (96, 32)  # every plate is brought to this size, so that near and far ones compare


def patch(image: Image, box: Box, *, margin: float) -> Image:
    """The box cut out of a picture with a margin (a share of its width), as far as the picture goes."""
    edge = margin * box.width
    x1, y1 = max(0, int(box.x1 - edge)), max(0, int(box.y1 - edge))
    return image[y1 : max(y1 + 1, round(box.y2 + edge)), x1 : max(x1 + 1, round(box.x2 + edge))]


def sharpness(plate: Image) -> float:
    """How sharp a plate is: the standard deviation of its Laplacian beside that of its gray levels; 0 for a blank.

    A share of its own contrast, so that dark and hazy plates compare. After Pech-Pacheco et al., 2000.
    """
    gray = np.asarray(cv2.resize(to_gray(plate), SHARPNESS_SIZE, interpolation=cv2.INTER_AREA), np.float32)
    contrast = float(gray.std())
    return float(cv2.Laplacian(gray, cv2.CV_32F).std()) / contrast if contrast else 0.0


QUALITIES = (90, 75, 60, 45, 30, 10)
"""Of a JPEG, the best that a budget allows; noise of 120x60 pixels fits into 3 KB from 30 down."""


def small_jpeg(image: Image, *, width: int, height: int, most_bytes: int) -> Jpeg:
    """A picture as a JPEG of at most so many pixels, never enlarged, and bytes, if as the last quality allows."""
    scale = min(1.0, width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    tries = (jpeg(small, quality=quality) for quality in QUALITIES)
    best = next((one for one in tries if len(one) <= most_bytes), None) or jpeg(small, quality=QUALITIES[-1])
    return Jpeg(best, *size)


def jpeg(image: Image, *, quality: int = 95) -> bytes:
    """Encode a picture as JPEG, quality 0..100."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def thumbnail(image: Image, *, height: int) -> bytes:
    """A picture as a JPEG of that height in pixels."""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return jpeg(np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8))

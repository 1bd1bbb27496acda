"""What a camera's file or stream leaves of a picture: JPEG and H.264."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.data import Gray

BLOCK_PX = 16  # H.264's macroblock: the plate may lie anywhere on that grid
FRAMES = 3  # one coded whole, then two by their difference from a picture a little smaller and aside


def jpeg(image: Gray, quality: int) -> Gray:
    """The picture after JPEG of this quality (1..100)."""
    file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE), np.uint8)


def h264(image: Gray, crf: float, rng: np.random.Generator) -> Gray:
    """The last frame of a stream in which the picture comes nearer.

    `crf` is x264's constant rate factor: 18 leaves nearly all, 40 little.
    """
    height, width = image.shape
    left, top = (int(k) for k in rng.integers(0, BLOCK_PX, 2))
    size = (_blocks(left + width), _blocks(top + height))
    borders = (top, size[1] - height - top, left, size[0] - width - left)
    last = np.asarray(cv2.copyMakeBorder(image, *borders, cv2.BORDER_REFLECT), np.uint8)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.thread_count = "yuv420p", 1
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"crf": f"{crf:.1f}", "preset": "veryfast", "tune": "zerolatency"}
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    seen = []
    for frame in _nearer(last, rng):
        for packet in encoder.encode(av.VideoFrame.from_ndarray(frame, format="gray")):
            seen += decoder.decode(packet)
    seen += decoder.decode(None)
    out = seen[-1].to_ndarray(format="gray")
    return np.asarray(out[top : top + height, left : left + width], np.uint8)


def _nearer(last: Gray, rng: np.random.Generator) -> Iterator[Gray]:
    height, width = last.shape
    step, aside = rng.uniform(0.005, 0.04), rng.normal(0, 1.5, 2)
    for before in range(FRAMES - 1, 0, -1):
        scale = 1 - before * step
        offset = (1 - scale) * np.array([width, height]) / 2 + before * aside
        matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
        yield np.asarray(cv2.warpAffine(last, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)
    yield last


def _blocks(size_px: int) -> int:
    return -(-size_px // BLOCK_PX) * BLOCK_PX

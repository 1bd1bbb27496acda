"""Finds plates: a network that marks each plate's centre and size on a map of 8-pixel cells.

The map is that of CenterNet (Zhou, Wang, Krähenbühl: Objects as Points, 2019).
"""

import math
from collections.abc import Iterable

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_agent.domain import Box, Detection, Image
from edge_agent.errors import ModelError
from edge_agent.vision.far import in_whole, quarter
from edge_agent.vision.gray import to_gray
from edge_agent.vision.models import DETECTOR_STEP, DetectorModel, Runtime, open_session
from edge_agent.vision.shrink import shrunk

CELL = 8
BLOCK = 4
UNIT_WIDTH, UNIT_HEIGHT = 16.0, 8.0
LARGEST_ENLARGEMENT = 2.0
SAME_PLATE_IOU = 0.35
NARROWEST_LEGIBLE_PX = 32
"""Of 199 doubted boxes narrower than this in validation photographs, the reader made something out of one."""


class CentreMapDetector:
    """Runs the detector network of the manifest."""

    def __init__(
        self,
        *,
        session: ort.InferenceSession,
        input_size: tuple[int, int],
        threshold: float,
        threshold_if_read: float,
    ) -> None:
        self._session = session
        self._area = input_size[0] * input_size[1]
        self._threshold = threshold
        least = min(max(min(threshold, threshold_if_read), 1e-3), 1 - 1e-3)
        self._least_logit = math.log(least / (1 - least))

    @classmethod
    def load(cls, model: DetectorModel, *, runtime: Runtime, threshold: float | None = None) -> "CentreMapDetector":
        """Open the network; threshold (0..1) replaces the manifest's. Raises ModelError."""
        if model.kind != "centre-map":
            raise ModelError(f"{model.path}: a detector of kind {model.kind!r} is not known, only 'centre-map'")
        picture = np.zeros(model.input, np.uint8)
        session = open_session(model, runtime=runtime, example=("blocks", blocks(picture)), outputs=[("map", 4)])
        return cls(
            session=session,
            input_size=model.input,
            threshold=model.threshold if threshold is None else threshold,
            threshold_if_read=model.threshold_if_read,
        )

    def find(self, image: Image, *, quarters: Iterable[int] = ()) -> list[Detection]:
        """Find the plates of a picture, likeliest first; boxes in its pixels.

        Each of the quarters (0..3) named is looked at too, for far plates, and costs as much as the whole.

        The network knows plates of up to a third of the picture's width. A picture in which it is certain of none
        may be a close-up: it is looked at once more at half the scale, which costs a quarter.
        """
        gray = to_gray(image)
        found = self._look(gray, self._area)
        if not any(one.certain for one in found):
            found = _with(found, self._look(gray, self._area / 4))
        for number in quarters:
            part, corner = quarter(gray, number)
            found = _with(found, in_whole(self._look(part, self._area), corner, part, gray))
        return found

    def _look(self, gray: Image, area: float) -> list[Detection]:
        """Find the plates of a gray picture shrunk to about an area in pixels, likeliest first."""
        height, width = gray.shape
        canvas, scale_x, scale_y = _fit(gray, area)
        cells = self._session.run(None, {"blocks": blocks(canvas)})[0][0]
        found: list[Detection] = []
        for cell_box, confidence in _peaks(cells, self._least_logit):
            box = Box(
                max(0.0, cell_box.x1 / scale_x),
                max(0.0, cell_box.y1 / scale_y),
                min(float(width), cell_box.x2 / scale_x),
                min(float(height), cell_box.y2 / scale_y),
            )
            certain = confidence >= self._threshold
            if box.height >= 1 and box.width >= (1 if certain else NARROWEST_LEGIBLE_PX):
                found = _with(found, [Detection(box=box, confidence=confidence, certain=certain)])
        return found


def _with(found: list[Detection], others: list[Detection]) -> list[Detection]:
    """Those found and the others that are not the same plates, likeliest first."""
    new = [one for one in others if all(one.box.iou(known.box) <= SAME_PLATE_IOU for known in found)]
    return sorted((*found, *new), key=lambda one: -one.confidence) if new else found


def _fit(gray: Image, area: float) -> tuple[Image, float, float]:
    """Shrink a picture to about an area, whatever its shape: a canvas, scale across and scale down.

    What is left of the canvas, whose sides are multiples of DETECTOR_STEP, is 0.
    """
    height, width = gray.shape
    canvas_width = max(DETECTOR_STEP, int(math.sqrt(area * width / height)) // DETECTOR_STEP * DETECTOR_STEP)
    scale = min(canvas_width / width, LARGEST_ENLARGEMENT)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    rows, columns = (
        math.ceil(inner_height / DETECTOR_STEP) * DETECTOR_STEP,
        math.ceil(inner_width / DETECTOR_STEP) * DETECTOR_STEP,
    )
    canvas = np.zeros((rows, columns), np.uint8)
    canvas[:inner_height, :inner_width] = shrunk(gray, inner_width, inner_height)
    return canvas, inner_width / width, inner_height / height


def blocks(canvas: Image) -> NDArray[np.uint8]:
    """Turn a canvas [rows, columns] into the network's input [1, rows/4, columns/4, 16]: blocks of 4 x 4.

    Four pixels side by side are moved as one number, ten times as fast as inside the network.
    """
    rows, columns = canvas.shape[0] // BLOCK, canvas.shape[1] // BLOCK
    fours = np.ascontiguousarray(canvas).view(np.uint32).reshape(rows, BLOCK, columns)
    cells = np.ascontiguousarray(fours.transpose(0, 2, 1)).view(np.uint8)
    return cells.reshape(1, rows, columns, BLOCK * BLOCK)


def _peaks(cells: NDArray[np.float32], threshold: float) -> list[tuple[Box, float]]:
    """Read [5, rows, columns] (logit, dx, dy, log width, log height): boxes in canvas pixels, likeliest first."""
    logits = cells[0]
    highest_around = cv2.dilate(logits, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero((logits >= threshold) & (logits >= highest_around))
    boxes = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        logit, dx, dy, log_width, log_height = cells[:, row, column].tolist()
        x, y = (column + 0.5 + dx) * CELL, (row + 0.5 + dy) * CELL
        half_width = UNIT_WIDTH * math.exp(min(6.0, log_width)) / 2
        half_height = UNIT_HEIGHT * math.exp(min(6.0, log_height)) / 2
        box = Box(x - half_width, y - half_height, x + half_width, y + half_height)
        boxes.append((box, 1 / (1 + math.exp(-logit))))
    return sorted(boxes, key=lambda pair: -pair[1])

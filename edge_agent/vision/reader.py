"""Reads plates: a network that gives a row of character probabilities from left to right (CTC).

CTC: Graves et al., Connectionist Temporal Classification, 2006.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_agent.domain import ALPHABET, Box, CharacterProbabilities, Detection, Image, Reading
from edge_agent.errors import ModelError
from edge_agent.vision.gray import to_gray
from edge_agent.vision.models import ReaderModel, Runtime, open_session

WIDEST_OF_TWO_LINES = 2.4
"""Plates of two lines are at most so many times as wide as high, seen from anywhere."""

SURE_OF_ONE_LINE = 0.95
UPPER_LINE, OVERLAP = 0.48, 0.02
"""Of the height. On plates to train with, 54 in 100 of two lines are read so, and none less of one line."""


class CtcReader:
    """Runs the reader network of the manifest."""

    def __init__(
        self, *, session: ort.InferenceSession, input_size: tuple[int, int], charset: str, margin: float
    ) -> None:
        self._session = session
        self._height, self._width = input_size
        self._margin = margin
        self._columns = np.array([0, *(ALPHABET.index(character) + 1 for character in charset)])

    @classmethod
    def load(cls, model: ReaderModel, *, runtime: Runtime) -> "CtcReader":
        """Open the network. Raises ModelError."""
        if model.kind != "ctc":
            raise ModelError(f"{model.path}: a reader of kind {model.kind!r} is not known, only 'ctc'")
        session = open_session(model, runtime=runtime, inputs=("plate", 4), output=("characters", 3))
        classes = session.get_outputs()[0].shape[2]
        if classes != len(model.charset) + 1:
            raise ModelError(
                f"{model.path}: gives {classes} classes, but the charset of the manifest has {len(model.charset)} "
                "and one for the blank"
            )
        return cls(session=session, input_size=model.input, charset=model.charset, margin=model.margin)

    def read(self, image: Image, detections: Sequence[Detection]) -> list[Reading]:
        """Read every plate of a picture in one run of the network, in the order of the detections.

        A second run reads the lines of those that may have two: the network knows plates of one line.
        """
        read = self._characters(image, [detection.box for detection in detections])
        doubtful = [
            k for k, detection in enumerate(detections) if _may_have_two_lines(detection.box, certainty(read[k]))
        ]
        lines = self._characters(image, [line for k in doubtful for line in _lines(detections[k].box)])
        for k, top, bottom in zip(doubtful, lines[::2], lines[1::2], strict=True):
            both = CharacterProbabilities(np.concatenate([top.table, bottom.table]))
            if len(top) and len(bottom) > 1 and certainty(both) > certainty(read[k]):
                read[k] = both
        return [
            Reading(detection=detection, characters=characters)
            for detection, characters in zip(detections, read, strict=True)
        ]

    def _characters(self, image: Image, boxes: Sequence[Box]) -> list[CharacterProbabilities]:
        """Read each box as one line."""
        if not boxes:
            return []
        plates = np.empty((len(boxes), 1, self._height, self._width), np.float32)
        for plate, box in zip(plates, boxes, strict=True):
            np.multiply(self._cut(image, box), np.float32(1 / 255), out=plate[0])
        steps = self._session.run(None, {"plate": plates})[0]
        table = np.zeros((*steps.shape[:2], len(ALPHABET) + 1), np.float32)
        table[:, :, self._columns] = steps
        return [collapse(rows) for rows in table]

    def _cut(self, image: Image, box: Box) -> Image:
        """Cut the box with its margin out of the picture and stretch it to the network's input."""
        grow_x, grow_y = box.width * self._margin, box.height * self._margin
        height, width = image.shape[:2]
        x1, x2 = _span(box.x1 - grow_x, box.x2 + grow_x, width)
        y1, y2 = _span(box.y1 - grow_y, box.y2 + grow_y, height)
        patch = to_gray(image[y1:y2, x1:x2])
        shrinks = patch.shape[1] > self._width
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(patch, (self._width, self._height), interpolation=interpolation), np.uint8)


def certainty(characters: CharacterProbabilities) -> float:
    """The mean share of the characters, by which two ways to read one plate are compared; 0 for none."""
    return float(np.mean(characters.confidences)) if len(characters) else 0.0


def _may_have_two_lines(box: Box, certainty: float) -> bool:
    return certainty < SURE_OF_ONE_LINE and box.width < WIDEST_OF_TWO_LINES * box.height


def _lines(box: Box) -> tuple[Box, Box]:
    """The upper and the lower part of a box, overlapping a little: the upper line is the smaller one as a rule."""
    low, high = box.y1 + (UPPER_LINE + OVERLAP) * box.height, box.y1 + (UPPER_LINE - OVERLAP) * box.height
    return box._replace(y2=low), box._replace(y1=high)


def _span(low: float, high: float, limit: int) -> tuple[int, int]:
    """Round outwards to whole pixels of 0..limit, at least one."""
    first = min(max(0, math.floor(low)), limit - 1)
    return first, min(limit, max(first + 1, math.ceil(high)))


def collapse(steps: NDArray[np.float32]) -> CharacterProbabilities:
    """Turn [steps, 37] of a CTC network into one row a character of its best path.

    Each character owns the steps up to half-way to its neighbours; its row holds the highest share every other
    character reaches there, so that a doubt between two of them survives until the frames are fused.
    """
    best = steps.argmax(axis=1)
    starts = [i for i in range(len(best)) if best[i] and (i == 0 or best[i] != best[i - 1])]
    ends = [next((j for j in range(i, len(best)) if best[j] != best[i]), len(best)) for i in starts]
    rows = np.zeros((len(starts), steps.shape[1]), np.float32)
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        first = (ends[place - 1] + start + 1) // 2 if place else 0
        last = (end + starts[place + 1] + 1) // 2 if place + 1 < len(starts) else len(best)
        own = steps[first:last]
        rows[place] = own.max(axis=0)
        rows[place, 0] = own[:, 0].min()
        rows[place] /= rows[place].sum()
    return CharacterProbabilities(rows)

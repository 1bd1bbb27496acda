"""Reads plates: a network that gives a row of character probabilities (CTC), line after line from left to right.

CTC: Graves et al., Connectionist Temporal Classification, 2006.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_agent.domain import (
    ALPHABET,
    NO_REGIONS,
    Box,
    CharacterProbabilities,
    Detection,
    Image,
    Reading,
    RegionProbabilities,
)
from edge_agent.errors import ModelError
from edge_agent.vision.gray import to_gray
from edge_agent.vision.models import ReaderModel, Runtime, open_session


class CtcReader:
    """Runs the reader network of the manifest."""

    def __init__(self, *, session: ort.InferenceSession, model: ReaderModel) -> None:
        self._session = session
        self._model = model
        self._height, self._width = model.input
        self._columns = np.array([0, *(ALPHABET.index(character) + 1 for character in model.charset)])

    @classmethod
    def load(cls, model: ReaderModel, *, runtime: Runtime) -> "CtcReader":
        """Open the network. Raises ModelError."""
        if model.kind != "ctc":
            raise ModelError(f"{model.path}: a reader of kind {model.kind!r} is not known, only 'ctc'")
        outputs = [("characters", 3), *([("regions", 2)] if model.regions else [])]
        session = open_session(model, runtime=runtime, inputs=("plate", 4), outputs=outputs)
        classes, *regions = (output.shape[-1] for output in session.get_outputs())
        if classes != len(model.charset) + 1:
            raise ModelError(
                f"{model.path}: gives {classes} classes, but the charset of the manifest has {len(model.charset)} "
                "and one for the blank"
            )
        if regions and regions != [len(model.regions)]:
            raise ModelError(
                f"{model.path}: gives {regions[0]} regions, but the manifest names {len(model.regions)}"
            )
        return cls(session=session, model=model)

    def read(self, image: Image, detections: Sequence[Detection]) -> list[Reading]:
        """Read every plate of a picture in one run of the network, in the order of the detections."""
        if not detections:
            return []
        plates = np.empty((len(detections), 1, self._height, self._width), np.float32)
        for plate, detection in zip(plates, detections, strict=True):
            np.multiply(self._cut(image, detection.box), np.float32(1 / 255), out=plate[0])
        steps, *regions = self._session.run(None, {"plate": plates})
        table = np.zeros((*steps.shape[:2], len(ALPHABET) + 1), np.float32)
        table[:, :, self._columns] = steps
        return [
            Reading(
                detection=detection,
                characters=collapse(table[k]),
                regions=self._regions(regions[0][k]) if regions else NO_REGIONS,
            )
            for k, detection in enumerate(detections)
        ]

    def _regions(self, shares: NDArray[np.float32]) -> RegionProbabilities:
        return RegionProbabilities(codes=self._model.regions, shares=shares, told_from=self._model.region_from)

    def _cut(self, image: Image, box: Box) -> Image:
        """Cut the box with its margin out of the picture and stretch it to the network's input."""
        grow_x, grow_y = box.width * self._model.margin, box.height * self._model.margin
        height, width = image.shape[:2]
        x1, x2 = _span(box.x1 - grow_x, box.x2 + grow_x, width)
        y1, y2 = _span(box.y1 - grow_y, box.y2 + grow_y, height)
        patch = to_gray(image[y1:y2, x1:x2])
        shrinks = patch.shape[1] > self._width
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(patch, (self._width, self._height), interpolation=interpolation), np.uint8)


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

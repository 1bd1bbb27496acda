"""Reads plates: a network that gives character probabilities step by step, line after line from left to right."""

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_agent.domain import (
    ALPHABET,
    NO_REGIONS,
    Box,
    Detection,
    Image,
    Reading,
    RegionProbabilities,
)
from edge_agent.errors import ModelError
from edge_agent.vision.crop import cut
from edge_agent.vision.ctc import collapse
from edge_agent.vision.models import ReaderModel, Runtime, open_session

AGAIN_BELOW = 0.65
"""The weakest character's share under which a plate is looked at again, by `training.evaluate validation-boxes`."""

AGAIN_MOVED = 0.06
"""How far up and down from the box, a share of its height."""


class CtcReader:
    """Runs the reader network of the manifest."""

    def __init__(
        self, *, session: ort.InferenceSession, model: ReaderModel, again_below: float = AGAIN_BELOW
    ) -> None:
        self._session = session
        self._model = model
        self._again_below = again_below
        self._columns = np.array([0, *(ALPHABET.index(character) + 1 for character in model.charset)])

    @classmethod
    def load(cls, model: ReaderModel, *, runtime: Runtime, again_below: float = AGAIN_BELOW) -> "CtcReader":
        """Open the network; of again_below (0..1) 0 is for measuring what one look gives. Raises ModelError."""
        if model.kind != "ctc":
            raise ModelError(f"{model.path}: a reader of kind {model.kind!r} is not known, only 'ctc'")
        outputs = [("characters", 3), *([("regions", 2)] if model.regions else [])]
        session = open_session(
            model, runtime=runtime, example=("plate", np.zeros((1, 1, *model.input), np.float32)), outputs=outputs
        )
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
        return cls(session=session, model=model, again_below=again_below)

    def read(self, image: Image, detections: Sequence[Detection]) -> list[Reading]:
        """Read every plate of a picture, in the order of the detections; what is in doubt is looked at again."""
        if not detections:
            return []
        boxes = [one.box for one in detections]
        steps, regions = self._shares(image, boxes)
        characters = [collapse(one) for one in steps]
        doubted = [k for k, one in enumerate(characters) if one.legible and one.confidence < self._again_below]
        if doubted:
            again = [_moved(boxes[k], down) for k in doubted for down in (-AGAIN_MOVED, AGAIN_MOVED)]
            looks, _ = self._shares(image, again)
            for k, two in zip(doubted, looks.reshape(-1, 2, *looks.shape[1:]), strict=True):
                characters[k] = collapse(_agreed(np.stack([steps[k], *two])))
        return [
            Reading(
                detection=detection,
                characters=characters[k],
                regions=self._regions(regions[k]) if regions is not None else NO_REGIONS,
            )
            for k, detection in enumerate(detections)
        ]

    def _shares(self, image: Image, boxes: Sequence[Box]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """What one run of the network gives for boxes: characters [n, steps, 37], and regions [n, codes] if any."""
        plates = np.empty((len(boxes), 1, *self._model.input), np.float32)
        for plate, box in zip(plates, boxes, strict=True):
            np.multiply(
                cut(image, box, margin=self._model.margin, size=self._model.input),
                np.float32(1 / 255),
                out=plate[0],
            )
        steps, *regions = self._session.run(None, {"plate": plates})
        table = np.zeros((*steps.shape[:2], len(ALPHABET) + 1), np.float32)
        table[:, :, self._columns] = steps
        return table, regions[0] if regions else None

    def _regions(self, shares: NDArray[np.float32]) -> RegionProbabilities:
        return RegionProbabilities(codes=self._model.regions, shares=shares, told_from=self._model.region_from)


def _moved(box: Box, down: float) -> Box:
    """The box moved down by a share of its height: its columns stay, so that the steps can be laid together."""
    return Box(box.x1, box.y1 + down * box.height, box.x2, box.y2 + down * box.height)


def _agreed(looks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The geometric mean [steps, 37] of shares [looks, steps, 37]: what one look rules out is out."""
    shares = np.exp(np.log(np.maximum(looks, 1e-5)).mean(axis=0))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

"""Reads plates: a network that gives character probabilities step by step, line after line from left to right."""

from collections.abc import Sequence

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
from edge_agent.vision.crop import cut
from edge_agent.vision.ctc import collapse
from edge_agent.vision.models import ReaderModel, Runtime, open_session

AGAIN_BELOW = 0.65
"""The weakest character's share under which a plate is looked at again."""

SMALLER, LARGER = -0.085, 0.08
"""How much more of the picture is then taken on each side, shares of the box: the detector draws it too large where
a plate is dark or blurred, and too small where it is sharp."""


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
        margin = self._model.margin
        characters, regions = self._look(image, [(box, margin) for box in boxes])
        doubted = [k for k, one in enumerate(characters) if one.legible and one.confidence < self._again_below]
        if doubted:
            again, _ = self._look(image, [(boxes[k], margin + more) for more in (SMALLER, LARGER) for k in doubted])
            for k, smaller, larger in zip(doubted, again[: len(doubted)], again[len(doubted) :], strict=True):
                characters[k] = _surest(characters[k], smaller, larger)
        return [
            Reading(
                detection=detection,
                characters=characters[k],
                regions=self._regions(regions[k]) if regions is not None else NO_REGIONS,
            )
            for k, detection in enumerate(detections)
        ]

    def _look(
        self, image: Image, places: Sequence[tuple[Box, float]]
    ) -> tuple[list[CharacterProbabilities], NDArray[np.float32] | None]:
        """What one run gives for boxes with their margins: characters, and shares of regions [n, codes] if any."""
        plates = np.empty((len(places), 1, *self._model.input), np.float32)
        for plate, (box, margin) in zip(plates, places, strict=True):
            np.multiply(
                cut(image, box, margin=margin, size=self._model.input),
                np.float32(1 / 255),
                out=plate[0],
            )
        steps, *regions = self._session.run(None, {"plate": plates})
        table = np.zeros((*steps.shape[:2], len(ALPHABET) + 1), np.float32)
        table[:, :, self._columns] = steps
        return [collapse(one) for one in table], regions[0] if regions else None

    def _regions(self, shares: NDArray[np.float32]) -> RegionProbabilities:
        return RegionProbabilities(codes=self._model.regions, shares=shares, told_from=self._model.region_from)


def _surest(
    first: CharacterProbabilities, smaller: CharacterProbabilities, larger: CharacterProbabilities
) -> CharacterProbabilities:
    """The surest of three looks; a smaller one that sees fewer characters than the first has cut some off."""
    looks = [first, larger, *([smaller] if len(smaller) >= len(first) else [])]
    return max(looks, key=lambda one: one.confidence if one.legible else 0.0)

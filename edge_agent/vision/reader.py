"""Reads plates: a network that gives character probabilities step by step, line after line from left to right."""

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_agent.domain import (
    ALPHABET,
    NO_REGIONS,
    Detection,
    Image,
    Reading,
    RegionProbabilities,
)
from edge_agent.errors import ModelError
from edge_agent.vision.crop import cut
from edge_agent.vision.ctc import collapse
from edge_agent.vision.models import ReaderModel, Runtime, open_session


class CtcReader:
    """Runs the reader network of the manifest."""

    def __init__(self, *, session: ort.InferenceSession, model: ReaderModel) -> None:
        self._session = session
        self._model = model
        self._columns = np.array([0, *(ALPHABET.index(character) + 1 for character in model.charset)])

    @classmethod
    def load(cls, model: ReaderModel, *, runtime: Runtime) -> "CtcReader":
        """Open the network. Raises ModelError."""
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
        return cls(session=session, model=model)

    def read(self, image: Image, detections: Sequence[Detection]) -> list[Reading]:
        """Read every plate of a picture in one run of the network, in the order of the detections."""
        if not detections:
            return []
        plates = np.empty((len(detections), 1, *self._model.input), np.float32)
        for plate, detection in zip(plates, detections, strict=True):
            np.multiply(
                cut(image, detection.box, margin=self._model.margin, size=self._model.input),
                np.float32(1 / 255),
                out=plate[0],
            )
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

"""Reads plates with EasyOCR's Reader: with our network as its own recognizer, or with EasyOCR's English one.

A second engine to compare with and to build upon. It brings PyTorch, so it is an extra: edge-agent[easyocr].
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_agent.domain import ALPHABET, Detection, Image, Reading
from edge_agent.errors import ModelError
from edge_agent.vision.crop import cut
from edge_agent.vision.ctc import collapse
from edge_agent.vision.models import EasyOcrModel, ReaderModel, Runtime, content

NETWORK = "plate"
"""The name that EasyOCR looks for our network by: NETWORK.py, NETWORK.yaml and NETWORK.pth in one directory."""

log = logging.getLogger(__name__)


class Recognizer(Protocol):
    """What is used of easyocr.Reader."""

    character: str
    recognizer: Any

    def recognize(self, img_cv_grey: Image, **options: object) -> list[Any]: ...


class Tensor(Protocol):
    """What is used of torch.Tensor."""

    def softmax(self, dim: int) -> "Tensor": ...

    def __getitem__(self, place: int) -> "Tensor": ...

    def detach(self) -> "Tensor": ...

    def numpy(self) -> NDArray[np.float32]: ...


class EasyOcrReader:
    """Lets EasyOCR recognize each plate, and takes the shares of its characters from the network it ran."""

    def __init__(self, *, recognizer: Recognizer, model: ReaderModel) -> None:
        self._recognizer = recognizer
        self._model = model
        self._classes = _classes(recognizer.character)
        self._steps: NDArray[np.float32] = np.zeros((0, len(self._classes) + 1), np.float32)
        recognizer.recognizer.register_forward_hook(self._keep)

    @classmethod
    def own(cls, *, network: EasyOcrModel, reader: ReaderModel, runtime: Runtime) -> "EasyOcrReader":
        """EasyOCR with our network. Raises ModelError."""
        content(network)
        directory = str(network.path.parent)
        recognizer = _recognizer(
            runtime, recog_network=NETWORK, model_storage_directory=directory, user_network_directory=directory
        )
        return cls(recognizer=recognizer, model=reader)

    @classmethod
    def stock(cls, *, reader: ReaderModel, runtime: Runtime) -> "EasyOcrReader":
        """EasyOCR with its English recognizer, from where EasyOCR keeps its weights. Raises ModelError."""
        return cls(recognizer=_recognizer(runtime), model=reader)

    def read(self, image: Image, detections: Sequence[Detection]) -> list[Reading]:
        """Read every plate of a picture, one after the other as EasyOCR does."""
        return [
            Reading(detection=detection, characters=collapse(self._shares(image, detection)))
            for detection in detections
        ]

    def _shares(self, image: Image, detection: Detection) -> NDArray[np.float32]:
        """Shares [steps,37] of our alphabet, the case of letters and all other characters left aside."""
        height, width = self._model.input
        plate = cut(image, detection.box, margin=self._model.margin, size=self._model.input)
        self._recognizer.recognize(
            plate,
            horizontal_list=[[0, width, 0, height]],
            free_list=[],
            allowlist=self._recognizer.character,
            contrast_ths=0.0,  # a second look of its own at doubtful plates would hide the first
            reformat=False,
        )
        shares = np.zeros((len(self._steps), len(ALPHABET) + 1), np.float32)
        shares[:, 0] = self._steps[:, 0]
        for column, place in self._classes.items():
            shares[:, place] += self._steps[:, column]
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.float32(1e-6))
        return shares

    def _keep(self, _network: object, _inputs: object, logits: Tensor) -> None:
        self._steps = logits.softmax(-1)[0].detach().numpy()


def _classes(character: str) -> Mapping[int, int]:
    """Which class of EasyOCR's network is which place of ours; 0 is the blank in both."""
    return {k + 1: ALPHABET.index(c.upper()) + 1 for k, c in enumerate(character) if c.upper() in ALPHABET}


def _recognizer(runtime: Runtime, **options: object) -> Recognizer:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import easyocr  # noqa: PLC0415 - an extra that takes seconds to import
            import torch  # noqa: PLC0415
    except ImportError as error:
        raise ModelError(
            f"engine 'easyocr': {error}; install it with: pip install 'edge-agent[easyocr]'"
        ) from error
    torch.set_num_threads(runtime.threads)
    # EasyOCR asks for what only graphics cards have, and says so for every plate.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.utils\.data")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="easyocr")
    try:
        reader: Recognizer = easyocr.Reader(
            ["en"], gpu=False, detector=False, quantize=False, download_enabled=False, verbose=False, **options
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"engine 'easyocr': {str(error).splitlines()[0]}") from error
    return reader

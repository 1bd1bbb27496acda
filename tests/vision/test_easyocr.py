"""What the engine makes of EasyOCR's answers, without EasyOCR; with it: tests/easyocr."""

import importlib.util
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent import resources
from edge_agent.domain import ALPHABET, Box, Detection, Image
from edge_agent.errors import ModelError
from edge_agent.vision.easyocr import EasyOcrReader
from edge_agent.vision.models import Runtime, load_manifest

READER = load_manifest(resources.path("models")).reader


class Shares:
    """Stands for a tensor of one plate's logits."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self._values = values

    def softmax(self, dim: int) -> "Shares":
        return self

    def __getitem__(self, place: int) -> "Shares":
        return self

    def detach(self) -> "Shares":
        return self

    def numpy(self) -> NDArray[np.float32]:
        return self._values


class Network:
    """Keeps the hook."""

    hook: Callable[[object, object, Shares], None]

    def register_forward_hook(self, hook: Callable[[object, object, Shares], None]) -> None:
        self.hook = hook


class Recognizer:
    """Stands for easyocr.Reader with a few characters."""

    character = "1aA#"

    def __init__(self, *steps: list[float]) -> None:
        self.recognizer = Network()
        self._steps = np.array(steps, np.float32)

    def recognize(self, img_cv_grey: Image, **options: object) -> list[object]:
        assert img_cv_grey.shape == READER.input
        self.recognizer.hook(None, None, Shares(self._steps))
        return []


def test_both_cases_of_a_letter_are_one_and_other_characters_count_for_nothing() -> None:
    recognizer = Recognizer([0.1, 0.0, 0.5, 0.3, 0.1], [0.9, 0.05, 0, 0, 0.05], [0.2, 0.4, 0.0, 0.0, 0.4])
    image = np.zeros((50, 100), np.uint8)
    (reading,) = EasyOcrReader(recognizer=recognizer, model=READER).read(
        image, [Detection(box=Box(0, 0, 100, 50), confidence=1.0)]
    )
    assert reading.characters.text() == "A1"
    assert reading.characters.table[0, ALPHABET.index("A") + 1] > 0.8
    assert reading.regions.region is None


@pytest.mark.skipif(importlib.util.find_spec("easyocr") is not None, reason="EasyOCR is installed")
def test_the_missing_package_is_one_line_with_the_way_out() -> None:
    with pytest.raises(ModelError, match=r"No module named 'easyocr'; install it with: pip install 'edge-agent\["):
        EasyOcrReader.stock(reader=READER, runtime=Runtime(threads=1))

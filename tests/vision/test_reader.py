import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent import resources
from edge_agent.domain import ALPHABET, Box, Detection
from edge_agent.vision.models import Runtime, load_manifest
from edge_agent.vision.reader import CtcReader, collapse


@pytest.fixture(scope="module")
def reader() -> CtcReader:
    return CtcReader.load(load_manifest(resources.path("models")).reader, runtime=Runtime(threads=1))


def steps(*shares: dict[str, float]) -> NDArray[np.float32]:
    """CTC output from the shares of characters at each step; the blank has the rest."""
    rows = np.zeros((len(shares), len(ALPHABET) + 1), np.float32)
    for row, share in zip(rows, shares, strict=True):
        for character, value in share.items():
            row[ALPHABET.index(character) + 1] = value
        row[0] = 1 - sum(share.values())
    return rows


def test_repeats_without_a_blank_are_one_character_and_with_one_are_two() -> None:
    assert collapse(steps({"A": 0.9}, {"A": 0.8}, {"B": 0.9})).text() == "AB"
    assert collapse(steps({"A": 0.9}, {}, {"A": 0.8})).text() == "AA"


def test_nothing_but_blanks_is_no_character() -> None:
    assert len(collapse(steps({}, {}, {}))) == 0


def test_a_doubt_beside_the_peak_stays_in_the_row() -> None:
    row = collapse(steps({}, {"8": 0.45, "B": 0.5}, {}, {"1": 0.99})).table[0]
    assert row[ALPHABET.index("8") + 1] == pytest.approx(0.45, abs=0.01)
    assert row.sum() == pytest.approx(1, abs=1e-5)


def test_boxes_beyond_the_picture_and_of_one_pixel_are_read_without_a_fault(reader: CtcReader) -> None:
    image = np.full((40, 60, 3), 128, np.uint8)
    boxes = [Box(-20, -10, 10, 5), Box(55, 35, 90, 60), Box(3, 3, 3.5, 3.2), Box(59.9, 39.9, 60, 40)]
    assert len(reader.read(image, [Detection(box=box, confidence=0.5) for box in boxes])) == len(boxes)


def test_no_plate_needs_no_run(reader: CtcReader) -> None:
    assert reader.read(np.zeros((10, 10), np.uint8), []) == []


def test_several_plates_at_once_read_as_each_alone(reader: CtcReader) -> None:
    image = np.random.default_rng(1).integers(0, 255, (200, 300), dtype=np.uint8)
    detections = [
        Detection(box=Box(10, 10, 120, 60), confidence=0.9),
        Detection(box=Box(90, 90, 290, 190), confidence=0.9),
    ]
    together = reader.read(image, detections)
    alone = [reader.read(image, [one])[0] for one in detections]
    for one, other in zip(together, alone, strict=True):
        assert one.characters.text() == other.characters.text()


class TwoTones:
    """A network that reads AB on dark and 123 on light, and on a mixture something that it is not sure of."""

    def __init__(self, share_of_mixture: float) -> None:
        self.plates = 0
        self._mixture = [{"7": share_of_mixture}]

    def run(self, outputs: None, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        self.plates += len(inputs["plate"])
        return [np.stack([self._read(plate[0]) for plate in inputs["plate"]])]

    def _read(self, plate: NDArray[np.float32]) -> NDArray[np.float32]:
        seen = self._mixture if plate.std() > 0.3 else [{"A": 0.9}, {"B": 0.9}]
        if plate.mean() > 0.7:
            seen = [{"1": 0.9}, {"2": 0.9}, {"3": 0.9}]
        return steps(*seen, *[{}] * (5 - len(seen)))


@pytest.mark.parametrize(
    ("size", "share", "text", "plates"),
    [((200, 100), 0.6, "AB123", 3), ((200, 100), 0.96, "7", 1), ((300, 100), 0.6, "7", 1)],
    ids=["two lines", "sure of one", "too wide"],
)
def test_a_plate_of_two_lines_is_read_line_by_line(
    size: tuple[int, int], share: float, text: str, plates: int
) -> None:
    image = np.full((100, 300), 250, np.uint8)
    image[:48] = 20
    network = TwoTones(share)
    reader = CtcReader(session=network, input_size=(64, 160), charset=ALPHABET, margin=0.0)
    (reading,) = reader.read(image, [Detection(box=Box(0, 0, *size), confidence=1.0)])
    assert (reading.characters.text(), network.plates) == (text, plates)

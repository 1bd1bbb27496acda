import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent import resources
from edge_agent.domain import ALPHABET, Box, Detection, Region
from edge_agent.vision.ctc import collapse
from edge_agent.vision.models import Runtime, load_manifest
from edge_agent.vision.reader import CtcReader


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


class Says:
    """A network that says the same of every plate."""

    def __init__(self, *outputs: NDArray[np.float32]) -> None:
        self._outputs = outputs

    def run(self, names: None, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        return [np.stack([one] * len(inputs["plate"])) for one in self._outputs]


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ((0.7, 0.2, 0.1, 0.0), Region("us-ct", 0.7)),
        ((0.5, 0.4, 0.1, 0.0), None),
        ((0.1, 0.1, 0.8, 0.0), None),
        ((0.0, 0.1, 0.0, 0.9), None),
    ],
    ids=["sure", "not sure", "none it can name", "no plate"],
)
def test_a_region_is_told_where_the_network_is_sure(shares: tuple[float, ...], told: Region | None) -> None:
    model = dataclasses.replace(
        load_manifest(resources.path("models")).reader, regions=("us-ct", "us-ny", "other", "none"), region_from=0.6
    )
    network = Says(steps({"A": 0.9}), np.array(shares, np.float32))
    (reading,) = CtcReader(session=network, model=model).read(
        np.zeros((50, 100), np.uint8), [Detection(box=Box(0, 0, 100, 50), confidence=1.0)]
    )
    assert (reading.characters.text(), reading.regions.region) == ("A", told)
    assert reading.regions.no_plate == pytest.approx(shares[-1])


class Looks:
    """A network that says of each run's plates what it is told to, run after run."""

    def __init__(self, *runs: list[NDArray[np.float32]]) -> None:
        self._runs = iter(runs)
        self.plates: list[NDArray[np.float32]] = []

    def run(self, names: None, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        self.plates.append(inputs["plate"])
        return [np.stack(next(self._runs))]


def looked(*runs: list[NDArray[np.float32]]) -> tuple[Looks, list[str]]:
    """Read as many plates as the first run says, of a picture that grows lighter downwards."""
    model = dataclasses.replace(load_manifest(resources.path("models")).reader, regions=())
    network = Looks(*runs)
    picture = np.repeat(np.arange(200, dtype=np.uint8)[:, None], 100, axis=1)
    detections = [Detection(box=Box(10, 80, 90, 120), confidence=1.0)] * len(runs[0])
    readings = CtcReader(session=network, model=model).read(picture, detections)
    return network, [one.characters.text() for one in readings]


SURE = steps({"A": 0.99}, {"B": 0.99}, {"C": 0.99})
IN_DOUBT = steps({"A": 0.99}, {"8": 0.5, "B": 0.45}, {"C": 0.99})
OTHER = steps({"X": 0.99}, {"Y": 0.99}, {"Z": 0.99})
ILLEGIBLE = steps({"A": 0.5}, {"8": 0.5}, {"C": 0.5})


def test_a_plate_in_doubt_is_looked_at_again_smaller_and_larger() -> None:
    network, texts = looked([SURE, IN_DOUBT], [IN_DOUBT, SURE])
    assert texts == ["ABC", "ABC"]
    assert [len(one) for one in network.plates] == [2, 2]
    usual, (smaller, larger) = network.plates[0][1], network.plates[1]
    assert np.ptp(smaller) < np.ptp(usual) < np.ptp(larger)


def test_of_several_plates_in_doubt_each_has_its_own_looks() -> None:
    _, texts = looked([IN_DOUBT, SURE, IN_DOUBT], [SURE, IN_DOUBT, IN_DOUBT, OTHER])
    assert texts == ["ABC", "ABC", "XYZ"]


def test_a_smaller_look_that_sees_fewer_characters_has_cut_some_off() -> None:
    four = steps({"A": 0.99}, {"8": 0.5, "B": 0.45}, {"C": 0.99}, {"D": 0.99})
    cut_off = steps({"A": 0.99}, {"B": 0.99}, {"C": 0.99}, {})
    assert looked([four], [cut_off, four])[1] == ["A8CD"]
    assert looked([four], [four, cut_off])[1] == ["ABC"]  # what a larger one does not see, is not there


@pytest.mark.parametrize("one", [SURE, ILLEGIBLE], ids=["sure", "no lettering"])
def test_others_are_looked_at_once(one: NDArray[np.float32]) -> None:
    network, _ = looked([one])
    assert len(network.plates) == 1

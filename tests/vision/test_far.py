"""Quarters of a picture, and what is found in them."""

import numpy as np
import pytest

from edge_agent.domain import Box, Detection
from edge_agent.vision.detector import BLOCK, CentreMapDetector
from edge_agent.vision.far import QUARTERS, FarLooks, in_whole, quarter


def test_each_quarter_has_its_turn_a_quarter_of_a_second_after_the_one_before() -> None:
    far = FarLooks()
    looks = {k: quarters for k in range(13) if (quarters := far.due(10 + k / 10))}
    assert looks == {0: (1,), 3: (2,), 6: (3,), 9: (0,), 12: (1,)}


SHAPES = [(1080, 1920), (720, 1280), (1, 1), (3, 700), (1281, 37)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_quarters_together_show_the_whole_picture(shape: tuple[int, int]) -> None:
    seen = np.zeros(shape, np.uint8)
    for number in range(QUARTERS):
        part, (x, y) = quarter(seen, number)
        assert part.shape[0] <= shape[0]
        part += 1
        assert seen[y, x] >= 1
    assert seen.min() >= 1


@pytest.mark.parametrize(
    ("box", "number", "kept"),
    [
        (Box(500, 300, 560, 330), 0, True),
        (Box(0, 0, 60, 30), 0, True),  # the picture's own edge cuts nothing more off
        (Box(500, 300, 700, 400), 0, False),  # not far
        (Box(650, 300, 704, 330), 0, False),  # cut by the quarter's right edge
        (Box(500, 370, 560, 396), 0, False),  # by its lower edge
        (Box(0, 300, 60, 330), 1, False),  # by its left edge
        (Box(650, 360, 704, 396), 3, True),
    ],
)
def test_a_far_plate_is_given_in_the_pixels_of_the_whole(box: Box, number: int, *, kept: bool) -> None:
    image = np.zeros((720, 1280), np.uint8)
    part, corner = quarter(image, number)
    assert part.shape == (396, 704)
    found = in_whole([Detection(box, 0.3, certain=False)], corner, part, image)
    assert len(found) == kept
    if kept:
        x, y = corner
        assert found == [Detection(Box(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y), 0.3, certain=False)]


class FarPlate:
    """A network that sees a plate in the middle of what it is shown from its second look on."""

    def __init__(self, *, size: float) -> None:
        self.looks = 0
        self.size = size

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        _, rows, columns, _ = (side * BLOCK // 8 for side in inputs["blocks"].shape)
        cells = np.zeros((1, 5, rows, columns), np.float32)
        cells[0, 0] = -9
        where = (rows // 2, columns // 2) if self.looks else (0, 0)
        cells[0, (0, 3, 4), where[0], where[1]] = (3, np.log(self.size), np.log(self.size))
        self.looks += 1
        return [cells]


def test_the_detector_looks_at_the_quarters_named() -> None:
    session = FarPlate(size=2)
    detector = CentreMapDetector(session=session, input_size=(384, 640), threshold=0.5, threshold_if_read=0.5)
    found = detector.find(np.zeros((720, 1280), np.uint8), quarters=(0, 3))
    assert session.looks == 3
    centres = sorted(one.box.center for one in found[1:])
    assert centres == [pytest.approx((352, 198), abs=20), pytest.approx((576 + 352, 324 + 198), abs=20)]


def test_a_plate_seen_in_the_whole_is_not_given_again() -> None:
    class Same(FarPlate):
        def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            cells = super().run(outputs, inputs)
            if self.looks == 1:  # the whole picture: where the first quarter's middle lies
                _, _, rows, columns = cells[0].shape
                cells[0][0, :, 0, 0] = (-9, 0, 0, 0, 0)
                cells[0][0, (0, 3, 4), int(rows * 0.275), int(columns * 0.275)] = (4, np.log(1.1), np.log(1.1))
            return cells

    detector = CentreMapDetector(session=Same(size=2), input_size=(384, 640), threshold=0.5, threshold_if_read=0.5)
    assert len(detector.find(np.zeros((720, 1280), np.uint8), quarters=(0,))) == 1

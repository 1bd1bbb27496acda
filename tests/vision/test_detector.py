import numpy as np
import pytest

from edge_agent import resources
from edge_agent.vision.detector import CentreMapDetector, _peaks
from edge_agent.vision.models import load_manifest


@pytest.fixture(scope="module")
def detector() -> CentreMapDetector:
    return CentreMapDetector.load(load_manifest(resources.path("models")).detector, threads=1)


def test_a_peak_becomes_a_box_around_its_cell() -> None:
    cells = np.zeros((5, 6, 8), np.float32)
    cells[0] = -9
    cells[0, 2, 3] = 2.0
    cells[1:, 2, 3] = (0.25, -0.5, np.log(4), np.log(3))
    ((box, confidence),) = _peaks(cells, threshold=0.0)
    assert box.center == pytest.approx((3.75 * 8, 2.0 * 8))
    assert (box.width, box.height) == pytest.approx((64, 24))
    assert confidence == pytest.approx(1 / (1 + np.exp(-2)))


def test_a_weaker_neighbour_is_no_second_peak() -> None:
    cells = np.zeros((5, 6, 8), np.float32)
    cells[0] = -9
    cells[0, 2, 3], cells[0, 2, 4] = 2.0, 1.5
    assert len(_peaks(cells, threshold=0.0)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (37, 53, 3), (1200, 300, 3), (3648, 5472)])
def test_pictures_of_any_shape_give_boxes_inside_them(detector: CentreMapDetector, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    for found in detector.find(image):
        assert 0 <= found.box.x1 < found.box.x2 <= shape[1]
        assert 0 <= found.box.y1 < found.box.y2 <= shape[0]


def test_a_picture_does_not_shine_through_into_the_next(detector: CentreMapDetector) -> None:
    bright = np.full((360, 640), 255, np.uint8)
    dark = np.zeros((350, 640), np.uint8)
    fresh = CentreMapDetector.load(load_manifest(resources.path("models")).detector, threads=1)
    detector.find(bright)
    detector.find(dark)
    fresh.find(dark)
    assert np.array_equal(detector._canvas, fresh._canvas)

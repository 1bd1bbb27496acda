import numpy as np
import pytest

from edge_agent import resources
from edge_agent.vision.detector import BLOCK, CentreMapDetector, _peaks, blocks
from edge_agent.vision.models import Runtime, load_manifest


@pytest.fixture(scope="module")
def detector() -> CentreMapDetector:
    return CentreMapDetector.load(load_manifest(resources.path("models")).detector, runtime=Runtime(threads=1))


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


class Session:
    """A network that sees one plate, but only in pictures shrunk to at most so many columns."""

    def __init__(self, most_columns: int) -> None:
        self.most_columns = most_columns
        self.shapes: list[tuple[int, ...]] = []

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        _, rows, columns, _ = (size * BLOCK for size in inputs["blocks"].shape)
        self.shapes.append((rows, columns))
        cells = np.zeros((1, 5, rows // 8, columns // 8), np.float32)
        cells[0, 0] = -9
        if columns <= self.most_columns:
            cells[0, :, 5, 10] = (3, 0, 0, np.log(10), np.log(10))
        return [cells]


def test_a_close_up_is_found_by_a_second_look_at_half_the_scale() -> None:
    session = Session(most_columns=320)
    detector = CentreMapDetector(session=session, input_size=(384, 640), threshold=0.5, threshold_if_read=0.2)
    (found,) = detector.find(np.zeros((720, 1280), np.uint8))
    assert session.shapes == [(384, 640), (192, 320)]
    assert found.box.center == pytest.approx((10.5 * 8 * 4, 5.5 * 8 * 4))
    assert found.box.width == pytest.approx(16 * 10 * 4)


def test_a_picture_with_plates_is_looked_at_once() -> None:
    session = Session(most_columns=9999)
    CentreMapDetector(session=session, input_size=(384, 640), threshold=0.5, threshold_if_read=0.2).find(
        np.zeros((720, 1280), np.uint8)
    )
    assert len(session.shapes) == 1


class Peaks:
    """A network that sees a plate of this logit at the same place at every scale, so many times 16 x 8 pixels."""

    def __init__(self, *logits: float, size: float = 3.0) -> None:
        self.logits = list(logits)
        self.size = size
        self.looks = 0

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        _, rows, columns, _ = (size * BLOCK for size in inputs["blocks"].shape)
        cells = np.zeros((1, 5, rows // 8, columns // 8), np.float32)
        cells[0, 0] = -9
        cells[0, 0, rows // 16, columns // 16] = self.logits[self.looks]
        cells[0, 3:] = np.log(self.size)
        self.looks += 1
        return [cells]


def test_between_the_thresholds_a_peak_is_given_but_not_as_certain() -> None:
    session = Peaks(-1.0, -1.0)
    detector = CentreMapDetector(session=session, input_size=(384, 640), threshold=0.5, threshold_if_read=0.2)
    found = detector.find(np.zeros((384, 640), np.uint8))
    assert [one.certain for one in found] == [False] * len(found)
    assert found[0].confidence == pytest.approx(0.269, abs=1e-3)
    assert session.looks == 2  # nothing certain yet: it may be a close-up


def test_what_is_doubted_and_too_small_to_be_legible_is_not_given() -> None:
    for logit, boxes in ((-1.0, 0), (3.0, 1)):
        session = Peaks(logit, logit, size=0.8)
        detector = CentreMapDetector(session=session, input_size=(384, 640), threshold=0.5, threshold_if_read=0.2)
        assert len(detector.find(np.zeros((384, 640), np.uint8))) == boxes


def test_both_looks_together_are_given_likeliest_first() -> None:
    session = Peaks(-1.0, 2.0)
    detector = CentreMapDetector(session=session, input_size=(384, 640), threshold=0.5, threshold_if_read=0.2)
    found = detector.find(np.zeros((384, 640), np.uint8))
    assert [one.certain for one in found] == [True, False]


def test_a_threshold_if_read_above_the_other_means_nothing() -> None:
    session = Peaks(-1.0, -1.0)
    detector = CentreMapDetector(session=session, input_size=(384, 640), threshold=0.2, threshold_if_read=0.6)
    assert [one.certain for one in detector.find(np.zeros((384, 640), np.uint8))] == [True]


def test_a_cell_of_the_network_is_a_block_of_pixels_row_by_row() -> None:
    canvas = np.arange(8 * 12, dtype=np.uint8).reshape(8, 12)
    cells = blocks(canvas)
    assert cells.shape == (1, 2, 3, 16)
    assert np.array_equal(cells[0, 1, 2], canvas[4:8, 8:12].ravel())

import cv2
import numpy as np
import pytest

from edge_agent.domain import Box
from edge_agent.vision.patch import patch, sharpness, small_jpeg, thumbnail


def stripes() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image = np.full((60, 180), 200, np.uint8)
    image[:, ::12] = image[:, 1::12] = 30
    return image


def test_a_blurred_plate_is_less_sharp_however_dark() -> None:
    sharp = sharpness(stripes())
    blurred = np.asarray(cv2.GaussianBlur(stripes(), (0, 0), 3), np.uint8)
    assert sharpness(blurred) < 0.6 * sharp
    assert sharpness((stripes() // 3).astype(np.uint8)) == pytest.approx(sharp, rel=0.1)
    assert sharpness(np.zeros((20, 60, 3), np.uint8)) == 0


def test_a_patch_at_the_edge_ends_there() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    assert patch(image, Box(190, 90, 230, 120), margin=0.5).shape == (30, 30, 3)
    assert patch(image, Box(10, 10, 10.2, 10.1), margin=0).shape == (1, 1, 3)


def test_a_thumbnail_keeps_its_shape() -> None:
    found = cv2.imdecode(np.frombuffer(thumbnail(stripes(), height=30), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    assert found.shape == (30, 90)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((60, 180), (120, 40)), ((300, 200, 3), (40, 60)), ((20, 50, 3), (50, 20)), ((1, 900), (120, 1))],
)
def test_a_small_jpeg_keeps_its_shape_and_its_budget(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    noise = np.random.default_rng(7).integers(0, 256, shape, np.uint8)  # nothing weighs more
    made = small_jpeg(noise, width=120, height=60, most_bytes=3072)
    assert (made.width, made.height) == size
    assert len(made.file) <= 3072
    found = cv2.imdecode(np.frombuffer(made.file, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    assert found.shape[:2] == size[::-1]


def test_what_weighs_little_keeps_its_quality() -> None:
    fine = small_jpeg(stripes(), width=120, height=60, most_bytes=3072)
    poor = small_jpeg(stripes(), width=120, height=60, most_bytes=10)
    assert len(poor.file) < len(fine.file) <= 3072

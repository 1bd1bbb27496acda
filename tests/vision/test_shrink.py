import numpy as np
import pytest

from edge_agent.vision.shrink import shrunk


@pytest.mark.parametrize("shape", [(1081, 1921), (480, 721), (3648, 5472), (90, 160)])
def test_a_resized_picture_keeps_its_places(shape: tuple[int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    image[: shape[0] // 2, : shape[1] // 2] = 200
    small = shrunk(image, 640, 360)
    assert small.shape == (360, 640)
    assert small[:177, :317].min() >= 195
    assert small[183:].max() <= 5
    assert small[:, 323:].max() <= 5

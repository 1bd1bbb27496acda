import numpy as np

from edge_agent.camera.sim.sensor import Grain
from edge_agent.domain import Image
from edge_agent.vision.still import LONGEST, Still

SIZE = (720, 1280)


def street(*, number: int, car_x: int | None = None) -> Image:
    image = np.full((*SIZE, 3), 120, np.uint8)
    image[400:, :] = 70
    if car_x is not None:
        image[380:430, car_x : car_x + 90] = 40
    Grain(size=SIZE, gray_levels=4, seed=1).lay(image, number)
    return image


def test_noise_is_no_change_and_a_far_car_is_one() -> None:
    still = Still()
    assert [still.same(street(number=k)) for k in range(3)] == [False, True, True]
    assert not still.same(street(number=3, car_x=500))
    assert not still.same(street(number=4, car_x=512))
    assert still.same(street(number=5, car_x=512))


def test_light_that_creeps_is_looked_at_in_time() -> None:
    still = Still()
    picture = np.full((*SIZE, 3), 100, np.uint8)
    assert [still.same(picture) for _ in range(2 * LONGEST + 2)].count(False) == 2


def test_another_size_is_a_change() -> None:
    still = Still()
    assert not still.same(np.zeros((*SIZE, 3), np.uint8))
    assert not still.same(np.zeros(SIZE, np.uint8))
    assert still.same(np.zeros((360, 640), np.uint8))

from collections.abc import Iterator

import numpy as np

from edge_agent.camera.health import Condition, PictureHealth
from edge_agent.domain import Frame
from tests import fakes


def frames(images: Iterator[np.ndarray], rate: float = 10) -> Iterator[Frame]:
    for number, image in enumerate(images):
        yield Frame(camera="front", number=number, stamp=fakes.stamp(number / rate), image=image)


def noisy(level: float, spread: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(level, spread, (360, 640))
    return np.clip(noise, 0, 255).astype(np.uint8)


def conditions(images: Iterator[np.ndarray]) -> list[Condition]:
    health = PictureHealth()
    return [health.judge(frame) for frame in frames(images)]


def test_a_live_picture_is_ok_even_when_parked() -> None:
    assert set(conditions(noisy(90, 2, seed) for seed in range(100))) == {Condition.OK}


def test_the_same_picture_again_and_again_is_frozen_after_seconds_and_ok_when_it_moves() -> None:
    still = noisy(90, 20, 1)
    found = conditions(still if number < 120 else noisy(90, 20, number) for number in range(130))
    assert found[90] is Condition.OK
    assert found[110] is Condition.FROZEN
    assert found[-1] is Condition.OK


def test_a_covered_lens_is_black() -> None:
    found = conditions(noisy(3, 1, seed) for seed in range(60))
    assert found[5] is Condition.OK
    assert found[-1] is Condition.BLACK


def test_a_dark_road_with_lights_is_not_black() -> None:
    def night(seed: int) -> np.ndarray:
        image = noisy(4, 1, seed)
        image[100:160, 200:300] = 200
        return image

    assert set(conditions(night(seed) for seed in range(60))) == {Condition.OK}

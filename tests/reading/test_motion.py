import math

import pytest

from edge_agent.domain import Box
from edge_agent.reading.motion import Motion


def plate(x: float, y: float = 200, width: float = 60) -> Box:
    return Box(x - width / 2, y - width / 4, x + width / 2, y + width / 4)


def followed(speed: float, *, frames: int = 6, rate: float = 15) -> Motion:
    motion = Motion(plate(100), 0)
    for number in range(1, frames):
        motion.follow(plate(100 + speed * number / rate), number / rate)
    return motion


def test_a_plate_is_expected_where_its_speed_takes_it() -> None:
    motion = followed(300)
    there, then = 100 + 300 * 0.6, 0.6
    assert motion.cost(plate(there), then) < motion.cost(plate(there - 60), then)
    assert motion.cost(plate(there), then) < motion.cost(plate(there + 60), then)


def test_what_is_far_from_there_is_another_plate() -> None:
    assert followed(0).cost(plate(190), 6 / 15) == math.inf


@pytest.mark.parametrize("width", [20, 240])
def test_a_plate_of_quite_another_size_is_another(width: float) -> None:
    assert followed(0).cost(plate(100, width=width), 6 / 15) == math.inf


def test_the_first_step_may_be_as_wide_as_the_plate_and_more() -> None:
    assert Motion(plate(100), 0).cost(plate(180), 1 / 15) < math.inf


@pytest.mark.parametrize("then", [0.0, -1.0])
def test_time_that_stands_still_or_goes_back_is_no_error(then: float) -> None:
    motion = Motion(plate(100), 0)
    motion.follow(plate(101), then)
    assert motion.cost(plate(102), then) < math.inf

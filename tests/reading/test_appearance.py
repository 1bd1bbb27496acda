"""Whether the same plate is still in its place."""

import numpy as np
import pytest

from edge_agent.domain import Box, Image
from edge_agent.reading.appearance import Appearance
from tests import fakes

PLACE = Box(100, 100, 200, 150)


def street(text: str, *, x: float = 100, width: float = 100) -> Image:
    frame = fakes.frame(0, 0.0)
    fakes.draw(frame, [fakes.reading(text, x=x, width=width)])
    return frame.image


@pytest.mark.parametrize(("x", "width"), [(100, 100), (108, 100), (93, 100), (97, 106)])
def test_a_plate_that_moved_in_its_box_or_grew_is_the_same(x: float, width: float) -> None:
    assert Appearance(street("ABC123"), PLACE).is_at(street("ABC123", x=x, width=width), PLACE)


@pytest.mark.parametrize("other", ["XYZ789", "ABC124"])
def test_another_plate_there_is_not(other: str) -> None:
    assert not Appearance(street("ABC123"), PLACE).is_at(street(other), PLACE)


def test_a_colour_picture_is_looked_at_in_gray() -> None:
    colour = np.repeat(street("ABC123")[:, :, None], 3, axis=2)
    assert Appearance(street("ABC123"), PLACE).is_at(colour, PLACE)


@pytest.mark.parametrize("x", [-40.0, 590.0])
def test_a_plate_that_leaves_the_picture_is_the_same(x: float) -> None:
    place = Box(x, 100, x + 100, 150)
    assert Appearance(street("ABC123", x=x), place).is_at(street("ABC123", x=x), place)


@pytest.mark.parametrize("place", [Box(639, 359, 739, 409), Box(700, 400, 800, 450), Box(0, 0, 1, 1)])
def test_a_box_of_next_to_nothing_is_no_error(place: Box) -> None:
    Appearance(street("ABC123"), place).is_at(street("ABC123"), place)

"""What the pipeline believes of what its stages give."""

from edge_agent.domain import Box, Detection, Reading
from edge_agent.pipeline import believed
from tests import fakes

BOX = Box(10, 10, 110, 60)


def reading(text: str, share: float, *, certain: bool) -> Reading:
    confidence = 0.8 if certain else 0.3
    return Reading(Detection(BOX, confidence, certain=certain), fakes.characters(text, share))


def test_what_the_detector_doubts_is_a_plate_where_it_can_be_read() -> None:
    assert believed([reading("ABC123", 0.9, certain=False)])
    assert not believed([reading("ABC123", 0.4, certain=False)])
    assert not believed([reading("I1", 0.9, certain=False)])
    assert not believed([reading("", 0.9, certain=False)])


def test_what_the_detector_is_certain_of_is_a_plate_even_if_nobody_can_read_it() -> None:
    assert believed([reading("", 0.9, certain=True)])
    assert believed([reading("ABC123", 0.2, certain=True)])


def test_the_order_stays() -> None:
    kept = [reading("ABC123", 0.9, certain=True), reading("XYZ", 0.9, certain=False)]
    assert believed([kept[0], reading("", 0.9, certain=False), kept[1]]) == tuple(kept)

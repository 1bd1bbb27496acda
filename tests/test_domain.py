import numpy as np
import pytest

from edge_agent.domain import Box, CharacterProbabilities
from tests import fakes


def test_overlap_of_boxes() -> None:
    assert Box(0, 0, 2, 2).iou(Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert Box(0, 0, 2, 2).iou(Box(2, 0, 3, 2)) == 0


def test_confidence_is_the_weakest_character_not_a_mean() -> None:
    table = np.concatenate([fakes.characters("AB", 0.99).table, fakes.characters("C", 0.5).table])
    characters = CharacterProbabilities(table)
    assert characters.confidence == pytest.approx(0.5)
    assert characters.text(unsure_below=0.6) == "AB?"
    assert characters.text() == "ABC"


def test_no_character_has_no_confidence() -> None:
    empty = CharacterProbabilities(np.zeros((0, 37), np.float32))
    assert (empty.text(), empty.confidences, empty.confidence) == ("", (), 0.0)

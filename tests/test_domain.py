import numpy as np
import pytest

from edge_agent.domain import ALPHABET, Box, CharacterProbabilities, Detection, Reading, RegionProbabilities
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


def test_a_doubt_between_0_and_o_alone_is_no_question_mark() -> None:
    table = fakes.characters("0", 0.48).table.copy()
    table[0, 1 + ALPHABET.index("O")] = 0.4
    assert CharacterProbabilities(table).text(unsure_below=0.5) == "0"
    assert CharacterProbabilities(table).confidence == pytest.approx(0.48)
    table[0, 1 + ALPHABET.index("O")], table[0, 1 + ALPHABET.index("D")] = 0, 0.4
    assert CharacterProbabilities(table).text(unsure_below=0.5) == "?"


@pytest.mark.parametrize(
    ("text", "share", "said"),
    [
        ("AB12", 0.9, "AB12"),
        ("A", 0.9, ""),
        ("AB12", 0.2, ""),
        ("ABCDEFGHIJ1234", 0.9, ""),
        ("I1II", 0.9, ""),
        ("11", 0.9, "11"),
    ],
    ids=["a plate", "a scratch", "not readable", "a sign", "a grille", "a short plate"],
)
def test_only_what_can_be_a_plate_has_a_plates_text(text: str, share: float, said: str) -> None:
    assert fakes.characters(text, share).plate_text(unsure_below=0.4) == said


def seen(text: str, share: float, *, certain: bool, no_plate: float = 0.0) -> Reading:
    detection = Detection(Box(10, 10, 110, 60), 0.8 if certain else 0.3, certain=certain)
    regions = RegionProbabilities(("us-ct", "none"), np.array([1 - no_plate, no_plate], np.float32), 0.9)
    return Reading(detection, fakes.characters(text, share), regions)


def test_what_the_detector_doubts_is_a_plate_where_it_can_be_read() -> None:
    assert seen("ABC123", 0.9, certain=False).believed
    assert not seen("ABC123", 0.4, certain=False).believed
    assert not seen("I1", 0.9, certain=False).believed
    assert not seen("", 0.9, certain=False).believed


def test_what_the_detector_is_certain_of_is_a_plate_even_if_nobody_can_read_it() -> None:
    assert seen("", 0.9, certain=True).believed
    assert seen("ABC123", 0.2, certain=True).believed


def test_where_both_doubt_lettering_is_no_plate() -> None:
    assert seen("EXIT25", 0.9, certain=True, no_plate=0.95).believed
    assert seen("EXIT25", 0.9, certain=False, no_plate=0.4).believed
    assert not seen("EXIT25", 0.9, certain=False, no_plate=0.95).believed

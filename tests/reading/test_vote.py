import numpy as np
import pytest

from edge_agent.domain import NO_REGIONS, CharacterProbabilities, RegionProbabilities
from edge_agent.reading.vote import Ballot, ballot, candidates, fuse, fuse_regions, same_plate
from tests import fakes


def fused(*ballots: tuple[str, float, float]) -> CharacterProbabilities:
    ballots_ = [Ballot(fakes.characters(text, share), NO_REGIONS, weight) for text, share, weight in ballots]
    return fuse(ballots_).characters


def test_several_unsure_frames_outvote_one_wrong_frame() -> None:
    assert fused(("ABC123", 0.6, 1), ("ABC123", 0.6, 1), ("A8C123", 0.7, 1)).text() == "ABC123"


def test_a_sure_frame_outweighs_two_poor_ones() -> None:
    assert fused(("ABC123", 0.98, 1), ("A8C123", 0.4, 0.2), ("A8C123", 0.4, 0.2)).text() == "ABC123"


def test_frames_that_agree_make_the_read_surer_than_one() -> None:
    one = fused(("ABC123", 0.8, 1))
    four = fused(*[("ABC123", 0.8, 1)] * 4)
    assert four.confidence > one.confidence
    assert one.confidence == pytest.approx(0.8, abs=1e-3)


def test_a_reading_that_misses_a_character_still_counts_for_the_others() -> None:
    result = fused(("ABC123", 0.5, 1), ("ABC123", 0.5, 1), ("AC123", 0.9, 1))
    assert result.text() == "ABC123"
    assert result.confidences[0] > result.confidences[1]


def test_a_character_that_one_frame_invents_is_dropped() -> None:
    assert fused(("ABC123", 0.7, 1), ("ABC123", 0.7, 1), ("IABC123", 0.9, 1)).text() == "ABC123"


def test_the_doubt_between_two_characters_survives_as_a_candidate() -> None:
    table = fakes.characters("ABC123", 0.99).table.copy()
    table[1, 1:] = 0
    table[1, 1 + 11], table[1, 1 + 8] = 0.55, 0.45  # B or 8
    others = candidates(CharacterProbabilities(table), text="ABC123")
    assert [one.text for one in others] == ["A8C123"]
    assert others[0].confidence == pytest.approx(0.45)


def test_a_known_format_ranks_first_among_the_candidates_but_never_becomes_the_text() -> None:
    table = fakes.characters("ABC1234", 0.99).table.copy()
    table[3] = 0
    table[3, 1 + 18], table[3, 1 + 1], table[3, 1 + 7] = 0.5, 0.2, 0.3  # I, 1 or 7
    characters = CharacterProbabilities(table)
    assert characters.text() == "ABCI234"
    assert candidates(characters, text="ABCI234")[0].text in {"ABC1234", "ABC7234"}


def test_same_plate_needs_no_contradiction() -> None:
    assert same_plate(fakes.characters("ABC123"), fakes.characters("ABC123"))
    assert not same_plate(fakes.characters("ABC123"), fakes.characters("ABC124"))
    assert not same_plate(fakes.characters("ABC123"), fakes.characters("ABC12"))
    unsure = fakes.characters("ABC124").table.copy()
    unsure[5, 1:] = 0
    unsure[5, 1 + 3], unsure[5, 1 + 4] = 0.2, 0.8
    assert same_plate(fakes.characters("ABC123"), CharacterProbabilities(unsure))


def test_a_larger_plate_counts_more() -> None:
    assert ballot(fakes.reading("A", width=120)).weight > ballot(fakes.reading("A", width=40)).weight


def test_shares_stay_shares() -> None:
    table = fused(("ABC123", 0.6, 1), ("ABD12", 0.9, 2), ("ABC123", 0.3, 0.1)).table
    assert np.allclose(table.sum(axis=1), 1, atol=1e-5)


def test_regions_are_the_weighted_mean_of_the_frames_and_no_surer_than_one() -> None:
    def ballots(*seen: tuple[float, float]) -> list[Ballot]:
        plate = fakes.characters("A1", 0.9)
        return [
            Ballot(
                plate,
                RegionProbabilities(("us-ct", "us-ny"), np.array([share, 1 - share], np.float32), 0.6),
                weight,
            )
            for share, weight in seen
        ]

    assert fuse_regions(ballots((0.8, 1), (0.8, 1))).shares[0] == pytest.approx(0.8)
    unsure = fuse_regions(ballots((0.9, 1), (0.3, 1)))
    assert unsure.shares[0] == pytest.approx(0.6)
    assert fuse_regions(ballots((0.9, 3), (0.3, 1))).region is not None
    assert fuse_regions(ballots((0.9, 1), (0.1, 1))).region is None

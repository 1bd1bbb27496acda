"""Which plates in sight are read again."""

from collections.abc import Sequence

import pytest

from edge_agent.domain import Detection, Read, Reading
from edge_agent.reading.tracker import Rules, Tracker
from tests import fakes

RATE = 10
RULES = Rules(emit_after_s=1.5, emit_at_latest_s=3.0, min_evidence=1.1, min_plate_width_px=32, unsure_below=0.5)


def drive(frames: Sequence[Sequence[Reading]]) -> tuple[list[list[Detection]], list[Read]]:
    """What is to be read in each frame, and the reads."""
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds())
    asked, reads = [], list[Read]()
    for number, readings in enumerate(frames):
        frame = fakes.frame(number, number / RATE)
        fakes.draw(frame, readings)
        asked.append(tracker.follow(frame, [one.detection for one in readings]))
        reads += tracker.update(frame, [one for one in readings if one.detection in asked[-1]])
    return asked, reads + tracker.finish()


def frames_read(frames: Sequence[Sequence[Reading]]) -> list[int]:
    return [number for number, found in enumerate(drive(frames)[0]) if found]


def test_a_sure_text_is_read_again_each_half_second_and_its_frames_count() -> None:
    plate = [[fakes.reading("ABC123", x=100 + 3 * k)] for k in range(20)]
    assert frames_read(plate) == [0, 1, 6, 11, 16]
    [read] = drive(plate)[1]
    assert (read.text, read.frames, read.frame_numbers) == ("ABC123", 20, (0, 19))


def test_a_doubtful_text_is_read_in_every_frame() -> None:
    assert frames_read([[fakes.reading("ABC123", share=0.8)]] * 8) == list(range(8))


def test_texts_that_differ_are_read_in_every_frame() -> None:
    said = ("ABC123", "ABC128")
    assert frames_read([[fakes.reading(said[k % 2])] for k in range(8)]) == list(range(8))


def test_a_plate_that_comes_nearer_is_read_at_each_step() -> None:
    nearer = [[fakes.reading("ABC123", width=60 * 1.04**k, x=100 - k)] for k in range(12)]
    assert frames_read(nearer) == [0, 1, 4, 7, 10]


def test_a_plate_too_narrow_is_not_read() -> None:
    assert frames_read([[fakes.reading("ABC123", width=20)]] * 3) == []


def test_where_either_of_two_plates_may_be_the_one_both_are_read() -> None:
    pair = [fakes.reading("ABC123", x=100, width=40), fakes.reading("ABC124", x=102, y=104, width=40)]
    asked, _ = drive([pair] * 10)
    assert [len(found) for found in asked] == [2] * 10


@pytest.mark.parametrize("before", [9, 10, 11, 12, 13])
@pytest.mark.parametrize("hidden", [0, 1, 4])
@pytest.mark.parametrize("after", [2, 3, 8])
def test_a_plate_that_takes_anothers_place_is_read_at_once_and_not_credited_to_it(
    before: int, hidden: int, after: int
) -> None:
    first, other = [fakes.reading("ABC123")], [fakes.reading("XYZ789")]
    _, reads = drive([first] * before + [[]] * hidden + [other] * after)
    assert [(read.text, read.frames, read.frame_numbers) for read in reads] == [
        ("ABC123", before, (0, before - 1)),
        ("XYZ789", after, (before + hidden, before + hidden + after - 1)),
    ]


def test_a_plate_that_was_out_of_sight_is_read_again() -> None:
    plate = [fakes.reading("ABC123")]
    assert frames_read([plate] * 4 + [[]] + [plate] * 2) == [0, 1, 5]


def test_where_time_stands_still_a_settled_plate_is_one_read() -> None:
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds())
    for number in range(20):
        fakes.shown(tracker, fakes.frame(number, 1.0), [fakes.reading("ABC123")])
    assert [(read.text, read.frames) for read in tracker.finish()] == [("ABC123", 20)]

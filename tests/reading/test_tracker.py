from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from edge_agent.domain import Read, Reading
from edge_agent.reading.tracker import Rules, Tracker
from tests import fakes

RATE = 10
RULES = Rules(emit_after_s=1.5, emit_at_latest_s=3.0, min_hits=2, min_plate_width_px=32, unsure_below=0.5)


def drive(
    seen: Callable[[float], Sequence[Reading]], *, seconds: float, rules: Rules = RULES
) -> list[tuple[float, Read]]:
    """Run a tracker over what is seen at each moment; give each read with the time it came out."""
    tracker = Tracker(rules=rules, new_id=fakes.CountingIds())
    reads = []
    for number in range(int(seconds * RATE)):
        at = number / RATE
        reads += [(at, read) for read in tracker.update(fakes.frame(number, at), seen(at))]
    return reads + [(seconds, read) for read in tracker.finish()]


def between(start: float, end: float, at: float, reading: Reading) -> list[Reading]:
    return [reading] if start <= at < end else []


def test_one_pass_is_one_read_emitted_after_its_last_sight() -> None:
    reads = drive(lambda at: between(0, 1, at, fakes.reading("ABC123", x=100 + 200 * at)), seconds=5)
    assert [read.text for _, read in reads] == ["ABC123"]
    at, read = reads[0]
    assert at - read.last.monotonic_s == pytest.approx(1.5, abs=0.11)
    assert (read.frames, read.frame_numbers) == (10, (0, 9))


def test_a_plate_that_stays_is_emitted_once_at_the_latest_moment() -> None:
    reads = drive(lambda at: [fakes.reading("ABC123")], seconds=60)
    assert [read.text for _, read in reads] == ["ABC123"]
    assert reads[0][0] == pytest.approx(3.0, abs=0.11)


def test_a_plate_lost_for_a_while_and_found_again_is_not_read_twice() -> None:
    reads = drive(
        lambda at: between(0, 5, at, fakes.reading("ABC123")) + between(9, 12, at, fakes.reading("ABC123", x=300)),
        seconds=20,
    )
    assert len(reads) == 1


def test_the_same_plate_after_minutes_is_a_new_read() -> None:
    reads = drive(
        lambda at: between(0, 1, at, fakes.reading("ABC123")) + between(90, 91, at, fakes.reading("ABC123")),
        seconds=100,
    )
    assert [read.text for _, read in reads] == ["ABC123", "ABC123"]


def test_two_plates_side_by_side_are_two_reads() -> None:
    reads = drive(
        lambda at: [fakes.reading("ABC123", x=50 + 30 * at), fakes.reading("XYZ789", x=400 - 30 * at, y=120)],
        seconds=2,
    )
    assert {read.text for _, read in reads} == {"ABC123", "XYZ789"}


def test_neighbours_with_consecutive_plates_are_both_kept() -> None:
    reads = drive(lambda at: [fakes.reading("ABC123", x=20), fakes.reading("ABC124", x=400)], seconds=2)
    assert len(reads) == 2


def test_a_plate_faster_than_its_own_width_a_frame_is_one_track() -> None:
    reads = drive(lambda at: between(0, 0.6, at, fakes.reading("ABC123", x=20 + 1200 * at, width=80)), seconds=4)
    assert [read.frames for _, read in reads] == [6]


def test_a_flicker_of_one_frame_is_no_read() -> None:
    assert not drive(lambda at: between(0, 0.1, at, fakes.reading("ABC123")), seconds=4)


def test_mostly_unreadable_is_no_read() -> None:
    assert not drive(lambda at: between(0, 1, at, fakes.reading("ABC123", share=0.04)), seconds=4)


def test_a_plate_too_blurred_for_its_first_seconds_is_read_once_it_is_near() -> None:
    reads = drive(
        lambda at: [fakes.reading("ABC123", share=0.04 if at < 4 else 0.95, width=40 + 10 * at)], seconds=12
    )
    assert [read.text for _, read in reads] == ["ABC123"]


def test_a_glimpse_that_could_not_be_read_does_not_hide_the_good_look_after_it() -> None:
    glimpse = fakes.reading("ABC123", share=0.3)
    reads = drive(
        lambda at: between(0, 0.5, at, glimpse) + between(5, 6, at, fakes.reading("ABC123", x=400)), seconds=9
    )
    assert [read.text for _, read in reads][-1:] == ["ABC123"]


@pytest.mark.parametrize("text", ["I", "ROADWORKAHEAD"])
def test_a_scratch_and_a_sign_are_no_plates(text: str) -> None:
    assert not drive(lambda at: between(0, 1, at, fakes.reading(text)), seconds=4)


def test_small_plates_are_left_alone() -> None:
    rules = replace(RULES, min_plate_width_px=60)
    assert not drive(lambda at: [fakes.reading("ABC123", width=50)], seconds=4, rules=rules)


def test_the_best_frame_gives_time_box_and_patch() -> None:
    reads = drive(lambda at: between(0, 1, at, fakes.reading("ABC123", width=40 + 50 * at)), seconds=4)
    read = reads[0][1]
    assert read.captured == fakes.stamp(0.9)
    assert read.box.width == pytest.approx(85)
    assert read.patch.shape == (42, 85)

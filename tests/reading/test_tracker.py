from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from edge_agent.domain import Read, Reading
from edge_agent.reading.tracker import Rules, Tracker
from tests import fakes

RATE = 10
RULES = Rules(emit_after_s=1.5, emit_at_latest_s=3.0, min_evidence=1.1, min_plate_width_px=32, unsure_below=0.5)


def drive(
    seen: Callable[[float], Sequence[Reading]], *, seconds: float, rules: Rules = RULES
) -> list[tuple[float, Read]]:
    """Run a tracker over what is seen at each moment; give each read with the time it came out."""
    tracker = Tracker(rules=rules, new_id=fakes.CountingIds())
    reads = []
    for number in range(int(seconds * RATE)):
        at = number / RATE
        reads += [(at, read) for read in fakes.shown(tracker, fakes.frame(number, at), seen(at))]
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


@pytest.mark.parametrize(("gap_s", "reads"), [(15, 1), (25, 2), (300, 2)])
def test_a_plate_in_the_same_place_after_minutes_without_a_frame_is_a_new_read(gap_s: float, reads: int) -> None:
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds())
    times = [k / RATE + (gap_s if k >= 10 else 0) for k in range(20)]
    given = [
        read
        for number, at in enumerate(times)
        for read in fakes.shown(tracker, fakes.frame(number, at), [fakes.reading("ABC123")])
    ]
    assert len({read.id for read in given + tracker.finish()}) == reads


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


def test_a_better_look_corrects_the_read_under_the_same_id() -> None:
    def seen(at: float) -> list[Reading]:
        far = at < 4
        return [fakes.reading("A8C123" if far else "ABC123", share=0.75 if far else 0.97, width=50 if far else 110)]

    reads = [read for _, read in drive(seen, seconds=12)]
    assert [(read.text, read.revision) for read in reads] == [("A8C123", 0), ("ABC123", 1)]
    assert reads[0].id == reads[1].id


def test_an_equal_look_later_corrects_nothing() -> None:
    assert [read.revision for _, read in drive(lambda _: [fakes.reading("ABC123")], seconds=30)] == [0]


def test_frames_that_quarrel_are_no_read() -> None:
    texts = ["ABC123", "XBC789", "A8O12", "MNO173"]
    assert not drive(
        lambda at: between(0, 2, at, fakes.reading(texts[round(at * RATE) % 4], share=0.55)), seconds=5
    )


def test_guesses_from_far_make_no_quarrel_of_what_near_frames_agree_on() -> None:
    guesses = ["TP322", "IP12Z", "1P22Z", "DMP127"]

    def seen(at: float) -> list[Reading]:
        if at < 2.5:
            return [fakes.reading(guesses[round(at * RATE) % 4], share=0.35, width=50)]
        return between(2.5, 2.9, at, fakes.reading("TNP222", share=0.85, width=100))

    assert [read.text for _, read in drive(seen, seconds=5)] == ["TNP222"]


@pytest.mark.parametrize(("width", "is_read"), [(38, False), (70, True)])
def test_of_a_plate_that_stays_far_more_must_agree(width: float, is_read: bool) -> None:
    reads = drive(lambda at: between(0, 1, at, fakes.reading("ABC123", share=0.55, width=width)), seconds=4)
    assert bool(reads) is is_read


def test_a_few_near_frames_correct_what_many_said_from_far() -> None:
    def seen(at: float) -> list[Reading]:
        far = fakes.reading("A8C123", share=0.8, width=50)
        return between(0, 4, at, far) + between(4, 4.5, at, fakes.reading("ABC123", share=0.9, width=110))

    reads = [read for _, read in drive(seen, seconds=7)]
    assert [(read.text, read.revision) for read in reads] == [("A8C123", 0), ("ABC123", 1)]


def test_a_passing_plate_is_not_credited_with_a_parked_one() -> None:
    def seen(at: float) -> list[Reading]:
        parked = fakes.reading("PARKED", x=300)
        passing = fakes.reading("MOV1NG", x=100 + 400 * at)
        hidden = abs(passing.detection.box.x1 - 300) < 60
        return [passing] if hidden else [parked, passing]

    reads = [read for _, read in drive(seen, seconds=1.4)]
    assert sorted(read.text for read in reads) == ["MOV1NG", "PARKED"]


def test_plates_that_cross_keep_their_texts() -> None:
    reads = [
        read
        for _, read in drive(
            lambda at: [
                fakes.reading("AAA111", x=50 + 250 * at),
                fakes.reading("ZZZ999", x=450 - 250 * at, y=110),
            ],
            seconds=1.6,
        )
    ]
    assert sorted((read.text, read.frames) for read in reads) == [("AAA111", 16), ("ZZZ999", 16)]


def test_a_plate_missed_for_some_frames_while_it_moves_is_one_track() -> None:
    reads = drive(
        lambda at: [] if 0.4 < at < 0.9 else between(0, 1.3, at, fakes.reading("ABC123", x=20 + 350 * at)),
        seconds=4,
    )
    assert [read.frames for _, read in reads] == [9]


def test_the_same_plate_read_otherwise_where_it_was_expected_is_no_second_read() -> None:
    reads = drive(
        lambda at: (
            between(0, 0.6, at, fakes.reading("ROCKESO", width=80))
            + between(0.6, 2, at, fakes.reading("ROCKES0", width=170, x=70))
        ),
        seconds=6,
    )
    assert len({read.id for _, read in reads}) == 1


def test_vibration_does_not_tear_a_track() -> None:
    reads = drive(
        lambda at: between(0, 2, at, fakes.reading("ABC123", x=100 + 25 * (round(at * RATE) % 2), y=100 + 60 * at)),
        seconds=5,
    )
    assert [read.frames for _, read in reads] == [20]


def test_two_hundred_plates_in_a_frame() -> None:
    plates = [fakes.reading(f"AB{k:03}CD", x=(k % 20) * 300, y=k // 20 * 100, width=60) for k in range(200)]
    assert len(drive(lambda at: between(0, 0.5, at, plates[0]) and plates, seconds=3)) == 200


def stood(looks: int, *, seconds: float) -> list[Read]:
    """The reads of a plate that is looked at so many times and then stands in pictures that do not change."""
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds())
    reads: list[Read] = []
    for number in range(int(seconds * RATE)):
        frame = fakes.frame(number, number / RATE)
        reads += fakes.shown(tracker, frame, [fakes.reading("ABC123")]) if number < looks else tracker.stay(frame)
    return reads


def test_the_same_picture_again_is_no_evidence() -> None:
    assert stood(1, seconds=10) == []


def test_a_plate_in_a_picture_that_does_not_change_is_one_read_and_stays_in_sight() -> None:
    [read] = stood(3, seconds=60)
    assert read.frames == 3
    assert read.last.monotonic_s > 2.5


def test_a_plate_that_was_gone_before_the_picture_stood_still_is_not_in_sight() -> None:
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds())
    reads: list[Read] = []
    for number in range(40):
        frame = fakes.frame(number, number / RATE)
        seen = [fakes.reading("ABC123")] if number < 4 else []
        reads += fakes.shown(tracker, frame, seen) if number < 6 else tracker.stay(frame)
    assert [read.last.monotonic_s for read in reads] == [0.3]

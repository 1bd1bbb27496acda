from dataclasses import replace

from edge_agent.camera.sim.truth import Sighting, VehicleTruth
from edge_agent.domain import Box, Read
from edge_agent.reading.tracker import Rules, Tracker
from edge_agent.services.demo.account import Account, settle
from tests import fakes

PLATE = Box(100, 100, 200, 150)


NEW_ID = fakes.CountingIds()


def vehicle(number: int, text: str, *, frames: range, box: Box = PLATE) -> VehicleTruth:
    seen = tuple(Sighting(frame, frame / 10, box, 1.0) for frame in frames)
    return VehicleTruth(number, "oncoming", text, "us-ct", seen)


def read(text: str, *, frame: int) -> Read:
    """A read whose best frame is that one, with the plate at PLATE."""
    rules = Rules(emit_after_s=1.5, emit_at_latest_s=3, min_evidence=0.1, min_plate_width_px=1, unsure_below=0.5)
    tracker = Tracker(rules=rules, new_id=NEW_ID)
    tracker.update(fakes.frame(frame, frame / 10), [fakes.reading(text)])
    return tracker.finish()[0]


def account(
    truth: list[VehicleTruth], reads: list[Read], *, committed: int, stored: list[int], undelivered: int = 0
) -> Account:
    return settle(truth=truth, reads=reads, committed=committed, stored=stored, undelivered=undelivered)


def test_each_read_is_credited_to_the_vehicle_that_was_there_at_that_frame() -> None:
    truth = [vehicle(1, "AAA111", frames=range(10)), vehicle(2, "BBB222", frames=range(20, 30))]
    found = account(truth, [read("AAA111", frame=5), read("BBB222", frame=25)], committed=2, stored=[1, 2])
    assert (found.passed, found.captured, found.right, found.wrong, found.duplicates) == (2, 2, 2, 0, 0)
    assert found.nothing_lost


def test_wrong_missed_twice_read_and_invented_are_told_apart() -> None:
    truth = [
        vehicle(1, "AAA111", frames=range(10)),
        vehicle(2, "BBB222", frames=range(20, 30)),
        vehicle(3, "CCC333", frames=range(40, 50)),
    ]
    reads = [read("AAA111", frame=2), read("AAA111", frame=8), read("BBB22Z", frame=25), read("DDD444", frame=90)]
    found = account(truth, reads, committed=4, stored=[1, 2, 3, 4])
    assert (found.captured, found.right, found.wrong, found.duplicates, found.false_reads) == (2, 1, 1, 1, 1)


def test_a_vehicle_readable_in_one_frame_is_not_expected() -> None:
    far = Box(100, 100, 120, 110)
    truth = [vehicle(1, "AAA111", frames=range(1)), vehicle(2, "BBB222", frames=range(9), box=far)]
    assert account(truth, [], committed=0, stored=[]).passed == 0


def test_a_missing_a_repeated_and_an_undelivered_read_are_losses() -> None:
    assert not account([], [], committed=3, stored=[1, 3]).nothing_lost
    assert not account([], [], committed=3, stored=[1, 2, 2, 3]).nothing_lost
    assert not account([], [], committed=3, stored=[1, 2, 3], undelivered=1).nothing_lost
    assert account([], [], committed=0, stored=[]).nothing_lost


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    first = read("BAA111", frame=5)
    found = account(
        [vehicle(1, "AAA111", frames=range(10))],
        [first, replace(first, revision=1, text="AAA111")],
        committed=2,
        stored=[1, 2],
    )
    assert (found.captured, found.right, found.wrong, found.duplicates) == (1, 1, 0, 0)

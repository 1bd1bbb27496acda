"""What is missing, and which gap records explain it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.gap import GapRecord, decode_gap
from edge_agent.contract.topics import Topics
from edge_agent.domain import GapReason, Missing
from examples.central_store.database import Span
from examples.central_store.gaps import find_gaps, without_images, without_place
from tests.central_store.messages import CAR, OTHER
from tests.central_store.messages import gap as payload_of_gap


def held(*spans: tuple[int, int], topics: Topics = CAR) -> list[Span]:
    return [Span(topics.agency, topics.vehicle, *span) for span in spans]


def record(
    *ranges: tuple[int, int], reason: GapReason = GapReason.QUOTA, topics: Topics = CAR, reads: int | None = None
) -> GapRecord:
    return decode_gap(payload_of_gap(*ranges, reason=reason, topics=topics, reads=reads))


def lines(spans: list[Span], *records: GapRecord) -> list[str]:
    return [str(gap) for gap in find_gaps(spans, records)]


def test_what_no_gap_record_names_is_unexplained() -> None:
    assert lines([*held((1, 2), (5, 5), (9, 9)), *held((3, 3), topics=OTHER)]) == [
        "hpd/car-1: 3 to 4 missing (2 reads): no gap record explains it",
        "hpd/car-1: 6 to 8 missing (3 reads): no gap record explains it",
        "hpd/car-2: 1 to 2 missing (2 reads): no gap record explains it",
    ]


def test_a_range_is_split_by_what_explains_it() -> None:
    expired = record((5, 6), reason=GapReason.EXPIRED)
    assert lines(held((1, 2), (10, 10)), expired, record((6, 7)), record((8, 8))) == [
        "hpd/car-1: 3 to 4 missing (2 reads): no gap record explains it",
        "hpd/car-1: 5 missing (1 read): expired",
        "hpd/car-1: 6 missing (1 read): expired, quota",
        "hpd/car-1: 7 to 8 missing (2 reads): quota",
        "hpd/car-1: 9 missing (1 read): no gap record explains it",
    ]


def test_a_gap_record_takes_nothing_back_that_has_come() -> None:
    assert lines(held((1, 9)), record((1, 12), reason=GapReason.DAMAGED)) == [
        "hpd/car-1: 10 to 12 missing (3 reads): damaged"
    ]


def test_a_vehicle_of_which_nothing_but_a_gap_record_has_come() -> None:
    assert lines([], record((3, 4), topics=OTHER)) == [
        "hpd/car-2: 1 to 2 missing (2 reads): no gap record explains it",
        "hpd/car-2: 3 to 4 missing (2 reads): quota",
    ]
    assert lines([], record()) == []


def test_reads_that_never_had_a_place_are_counted() -> None:
    lost = [record(reason=GapReason.NOT_WRITTEN, reads=count) for count in (1, 6)]
    assert without_place([*lost, record((1, 2)), record(topics=OTHER, reason=GapReason.NOT_WRITTEN, reads=1)]) == [
        "hpd/car-1: 7 reads without a place in the count: not_written",
        "hpd/car-2: 1 read without a place in the count: not_written",
    ]


def test_pictures_that_will_not_come_are_listed_apart_and_explain_no_read() -> None:
    def images(
        *ranges: tuple[int, int],
        topics: Topics = CAR,
        reason: GapReason = GapReason.QUOTA,
        reads: int | None = None,
    ) -> GapRecord:
        return decode_gap(payload_of_gap(*ranges, topics=topics, reason=reason, reads=reads, what=Missing.IMAGES))

    records = [
        images((1, 9)),
        images((12, 12)),
        images((12, 13)),
        images((1, 99), reads=0),
        images((4, 4), reason=GapReason.EXPIRED),
        images((7, 7), topics=OTHER),
        images(topics=OTHER, reason=GapReason.EXPIRED),
        record((5, 5)),
    ]
    assert lines(held((1, 2)), *records) == [
        "hpd/car-1: 3 to 4 missing (2 reads): no gap record explains it",
        "hpd/car-1: 5 missing (1 read): quota",
    ]
    assert without_place(records) == []
    assert without_images(records) == [
        "hpd/car-1: pictures of 1 read will not come: expired",
        "hpd/car-1: pictures of 11 reads will not come: quota",
        "hpd/car-2: pictures of 1 read will not come: quota",
    ]


PLACES = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=5)


@given(PLACES, st.lists(st.tuples(PLACES, st.sampled_from(GapReason)), max_size=3))
def test_gaps_are_what_place_by_place_one_would_find(
    spans: list[tuple[int, int]], accounts: list[tuple[list[tuple[int, int]], GapReason]]
) -> None:
    here = {place for first, last in spans for place in range(first, last + 1)}
    reasons = {
        place: {why for ranges, why in accounts if any(first <= place <= last for first, last in ranges)}
        for place in range(1, 31)
    }
    highest = max([*here, *(place for place, found in reasons.items() if found)], default=0)
    expected = {place: sorted(reasons[place]) for place in range(1, highest + 1) if place not in here}
    gaps = find_gaps(held(*spans), [record(*ranges, reason=why, reads=0) for ranges, why in accounts])
    found = {place: list(gap.reasons) for gap in gaps for place in range(gap.first, gap.last + 1)}
    assert found == expected
    assert sum(gap.last - gap.first + 1 for gap in gaps) == len(expected)
    neighbours = pairwise(gaps)
    assert all(one.last + 1 < two.first or one.reasons != two.reasons for one, two in neighbours)

"""Finds what is missing of each vehicle's count, and which gap records explain it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from edge_agent.contract.gap import GapRecord
from edge_agent.domain import GapReason, Missing

from .database import Span


@dataclass(frozen=True, slots=True)
class Gap:
    """Places of one vehicle's count from which no read has come; reasons: what gap records say of them."""

    agency: str
    vehicle: str
    first: int
    last: int
    reasons: tuple[GapReason, ...]

    def __str__(self) -> str:
        reads = self.last - self.first + 1
        where = f"{self.first} to {self.last}" if reads > 1 else f"{self.first}"
        why = ", ".join(self.reasons) or "no gap record explains it"
        return f"{self.agency}/{self.vehicle}: {where} missing ({_reads(reads)}): {why}"


def find_gaps(held: Iterable[Span], records: Iterable[GapRecord]) -> list[Gap]:
    """List what is missing up to the highest place that a read or a gap record names, by vehicle and place."""
    # What begins, and what ends, at each place; None stands for being here.
    steps: dict[tuple[str, str], dict[int, Counter[GapReason | None]]]
    steps = defaultdict(lambda: defaultdict(Counter, {1: Counter()}))
    ranges: list[tuple[str, str, int, int, GapReason | None]] = [(*span, None) for span in held]
    for record in _of_reads(records):
        ranges += [(record.agency, record.vehicle, *places, record.reason) for places in record.ranges]
    for agency, vehicle, first, last, reason in ranges:
        if first <= last:
            steps[agency, vehicle][first][reason] += 1
            steps[agency, vehicle][last + 1][reason] -= 1
    return [gap for vehicle in sorted(steps) for gap in _joined(_of(*vehicle, steps[vehicle]))]


def without_place(records: Iterable[GapRecord]) -> list[str]:
    """Name the reads that never had a place in the count, a line for each vehicle and reason."""
    counts: Counter[tuple[str, str, GapReason]] = Counter()
    for record in _of_reads(records):
        if not record.ranges:
            counts[record.agency, record.vehicle, record.reason] += record.reads
    return _told("{} without a place in the count", counts)


def without_images(records: Iterable[GapRecord]) -> list[str]:
    """Count the reads whose pictures alone will not come, a line for each vehicle and reason.

    A record that went on has places of the one before it: each place counts once.
    """
    places: defaultdict[tuple[str, str, GapReason], list[tuple[int, int]]] = defaultdict(list)
    for one in records:
        if one.what is Missing.IMAGES and one.reads:  # else only some of them may be missing
            places[one.agency, one.vehicle, one.reason] += one.ranges
    return _told("pictures of {} will not come", {key: _distinct(one) for key, one in places.items()})


def _distinct(ranges: Iterable[tuple[int, int]]) -> int:
    count = end = 0
    for first, last in sorted(ranges):
        count += max(0, last - max(first - 1, end))
        end = max(end, last)
    return count


def _of_reads(records: Iterable[GapRecord]) -> Iterator[GapRecord]:
    """Leave out what says something of pictures alone: those reads are here, or still to come."""
    return (record for record in records if record.what is Missing.READS)


def _told(what: str, counts: Mapping[tuple[str, str, GapReason], int]) -> list[str]:
    return [
        f"{agency}/{vehicle}: {what.format(_reads(count))}: {reason}"
        for (agency, vehicle, reason), count in sorted(counts.items())
        if count
    ]


def _reads(count: int) -> str:
    return f"{count} read{'s' * (count > 1)}"


def _of(agency: str, vehicle: str, steps: Mapping[int, Counter[GapReason | None]]) -> Iterator[Gap]:
    now: Counter[GapReason | None] = Counter()
    for place, following in pairwise(sorted(steps)):
        now.update(steps[place])
        if not now[None]:
            reasons = (reason for reason, count in now.items() if reason is not None and count)
            yield Gap(agency, vehicle, place, following - 1, tuple(sorted(reasons)))


def _joined(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Join neighbours with the same reasons: two records may share what they name."""
    last: Gap | None = None
    for gap in gaps:
        if last is not None and (last.last + 1, last.reasons) == (gap.first, gap.reasons):
            last = replace(last, last=gap.last)
        else:
            if last is not None:
                yield last
            last = gap
    if last is not None:
        yield last

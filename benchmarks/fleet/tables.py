"""What a fleet showed, as rows of a table."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.figures import Row
from benchmarks.fleet.course import Outcome, Plan
from benchmarks.fleet.distance import Distance
from edge_agent.contract.record import BUDGET_BYTES

FLOOR, FLOOR_AT_MS = 500, 80.0
"""Acknowledged reads a second that the default window must bring, at which round trip."""


def percentile(ranked: Sequence[float], share: float) -> float:
    """The nearest rank of at least one sorted value."""
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def most_in_a_second(times_s: Sequence[float]) -> int:
    """How many of them fell into the fullest second, counted from 0 on."""
    return max(Counter(int(one) for one in times_s).values(), default=0)


def fleet_rows(outcomes: Sequence[Outcome], plan: Plan) -> list[Row]:
    """A column for each number of cars."""
    rows = [
        *_counted(outcomes),
        *(_backlog(outcomes) if plan.backlog else []),
        *_quiet(outcomes),
        *(_outage(outcomes) if plan.outage_s else []),
        *_memory(outcomes),
    ]
    return [Row(what, tuple(cells)) for what, cells in rows]


def distance_rows(distances: Sequence[Distance]) -> list[Row]:
    """A column for each round trip."""
    floor = f" (>= {FLOOR})" if all(one.round_trip_ms == FLOOR_AT_MS for one in distances) else ""
    return [
        Row("reads", tuple(str(one.reads) for one in distances)),
        Row(
            f"acknowledged by the broker, reads/s{floor}",
            tuple(f"{one.acknowledged:.0f}" for one in distances),
        ),
        Row("receipted by the store, reads/s", tuple(f"{one.receipted:.0f}" for one in distances)),
    ]


_Lines = list[tuple[str, list[str]]]


def _counted(outcomes: Sequence[Outcome]) -> _Lines:
    return [
        ("reads made", [str(one.verdict.made) for one in outcomes]),
        ("lost, twice, strange", [f"{v.lost}, {v.twice}, {v.strange}" for v in (one.verdict for one in outcomes)]),
        ("connections lost", [str(one.connections_lost) for one in outcomes]),
        ("sent when no store listened, and kept", [str(one.refused) for one in outcomes]),
        ("sent again for want of a receipt", [str(one.sent_again) for one in outcomes]),
        ("repeats that the store knew again", [str(one.verdict.repeats) for one in outcomes]),
        ("largest record, bytes", [str(one.largest_record) for one in outcomes]),
        (f"largest message, bytes (<= {BUDGET_BYTES})", [str(one.largest_packet) for one in outcomes]),
    ]


def _backlog(outcomes: Sequence[Outcome]) -> _Lines:
    lines: _Lines = [
        ("backlog, reads", [str(one.backlog) for one in outcomes]),
        ("reads a second, end to end", [f"{one.backlog / one.backlog_s:.0f}" for one in outcomes]),
    ]
    for who in outcomes[0].busy:
        lines.append((f"processor meanwhile, {who}, cores", [f"{one.busy[who]:.2f}" for one in outcomes]))
    return lines


def _quiet(outcomes: Sequence[Outcome]) -> _Lines:
    ranked = [sorted(one.delays_s) or [float("nan")] for one in outcomes]
    return [
        ("quiet time, reads", [str(len(one.delays_s)) for one in outcomes]),
        ("delay to receipt, p50, ms", [f"{percentile(one, 0.5) * 1e3:.0f}" for one in ranked]),
        ("delay to receipt, p99, ms", [f"{percentile(one, 0.99) * 1e3:.0f}" for one in ranked]),
    ]


def _outage(outcomes: Sequence[Outcome]) -> _Lines:
    returns, late = [one.returns_s for one in outcomes], [one.late_s or [0.0] for one in outcomes]
    return [
        ("waiting when the broker returned, reads", [str(one.waited) for one in outcomes]),
        ("cars back: first, half, last, s", [_three(one) for one in returns]),
        ("cars back, most in one second", [str(most_in_a_second(one)) for one in returns]),
        ("what waited receipted: half, 99 %, all, s", [_late(one) for one in late]),
    ]


def _memory(outcomes: Sequence[Outcome]) -> _Lines:
    return [
        (f"memory, {who}, most, MiB", [f"{one.memory_mib[who]:.1f}" for one in outcomes])
        for who in outcomes[0].memory_mib
        if any(one.memory_mib[who] for one in outcomes)
    ]


def _three(ranked: Sequence[float]) -> str:
    return f"{ranked[0]:.1f}, {percentile(ranked, 0.5):.1f}, {ranked[-1]:.1f}"


def _late(ranked: Sequence[float]) -> str:
    return f"{percentile(ranked, 0.5):.1f}, {percentile(ranked, 0.99):.1f}, {ranked[-1]:.1f}"

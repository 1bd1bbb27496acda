"""Many times become few figures, and figures become tables."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.lines import DriveFrame, Timing


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and 95th percentile of times, in their unit."""

    mean: float
    p95: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what it is, and a cell for each column."""

    what: str
    cells: tuple[str, ...]


def spread(values: Sequence[float]) -> Spread:
    """Mean and 95th percentile (nearest rank) of at least one value."""
    ranked = sorted(values)
    return Spread(mean=statistics.fmean(ranked), p95=ranked[-(-95 * len(ranked) // 100) - 1])


def ratio(ours: Mapping[str, Timing], peer: Mapping[str, Timing]) -> tuple[float, float] | None:
    """Our detect + read over the peer's, by the median picture and by the mean one.

    Over the pictures that both could read; None where there are none, or the peer says that it took no time.
    """
    both = sorted(ours.keys() & peer.keys())
    mine = [ours[one].detect_and_read for one in both]
    theirs = [peer[one].detect_and_read for one in both]
    if not both or statistics.median(theirs) == 0:
        return None
    return (
        statistics.median(mine) / statistics.median(theirs),
        statistics.fmean(mine) / statistics.fmean(theirs),
    )


def milliseconds(what: str, *columns: Sequence[float]) -> Row:
    """Mean and 95th percentile for each column of times; a dash where a column has none."""
    cells: list[str] = []
    for values in columns:
        one = spread(values) if values else None
        cells += [f"{one.mean:.2f}", f"{one.p95:.2f}"] if one else ["-", "-"]
    return Row(what, tuple(cells))


def single(what: str, *cells: str) -> Row:
    """One value a column, under the mean."""
    return Row(what, tuple(part for cell in cells for part in (cell, "")))


def per_second(times_ms: Sequence[float]) -> str:
    """How many a second fit, one after the other."""
    mean_ms = statistics.fmean(times_ms)
    return f"{1000 / mean_ms:.1f}" if mean_ms else "-"


def picture_rows(columns: Sequence[Sequence[Timing]]) -> list[Row]:
    """The times of the readers, a column each."""
    return [
        milliseconds("decode, ms", *([one.decode for one in column] for column in columns)),
        milliseconds("detect, ms", *([one.detect for one in column] for column in columns)),
        milliseconds("read, ms", *([one.ocr for one in column] for column in columns)),
        milliseconds("detect + read, ms", *([one.detect_and_read for one in column] for column in columns)),
        milliseconds("whole pipeline, ms", *([one.whole for one in column] for column in columns)),
        single("pictures a second", *(per_second([one.whole for one in column]) for column in columns)),
    ]


def drive_rows(frames: Sequence[DriveFrame]) -> list[Row]:
    """The times of the drive's frames."""
    commits = [one.commit for one in frames if one.commit is not None]
    return [
        milliseconds("draw, ms (not counted)", [one.render for one in frames]),
        milliseconds("detect, ms", [one.detect for one in frames]),
        milliseconds("read, ms", [one.read for one in frames]),
        milliseconds("track and vote, ms", [one.track for one in frames]),
        milliseconds(f"commit, ms ({len(commits)} commits)", commits),
        milliseconds("whole pipeline, ms", [one.whole for one in frames]),
        single("frames a second", per_second([one.whole for one in frames])),
    ]


def share(part: int, whole: int) -> str:
    """A share with its numbers."""
    return f"{part / whole:.4f} ({part} of {whole})" if whole else "-"


def part(part: int, whole: int) -> str:
    """A share without its numbers."""
    return f"{part / whole:.3f}" if whole else "-"


def show(title: str, columns: Sequence[str], rows: Sequence[Row], console: Console) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.what, *row.cells)
    console.print(table)
    console.print()

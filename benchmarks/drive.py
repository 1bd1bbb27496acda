"""How well plates are read from a moving camera: python -m benchmarks.drive --help.

The simulated street, by closing speed, shutter, plate width and light (street.py). With --stills labelled
photographs that come nearer, one car each (cars.py), with --video recordings, with --runs pictures of the same
plates (recordings.py).
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import Progress

from benchmarks import cars, drive_plot, machine, plot, readers, recordings, street
from benchmarks.approach import Ride, scene
from benchmarks.figures import Row, part, share, show
from benchmarks.options import OneLineParser
from benchmarks.score import check_places
from edge_agent.domain import folded
from edge_agent.errors import EdgeAgentError
from edge_agent.services import truth

NARROWEST_PX = 55.0
"""Of the plate in the photograph, shrunk to a frame: narrower ones are not asked for."""

WORST_RATE_FACTOR = 51


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m benchmarks.drive",
        description="Measure how well plates are read from a moving camera.",
        epilog="Example: python -m benchmarks.drive --plot drive.svg",
        allow_abbrev=False,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--stills", type=Path, metavar="CSV", help="labelled photographs that come nearer, instead of the street"
    )
    source.add_argument(
        "--video",
        type=Path,
        metavar="CSV",
        help="recordings beside their table of truth, as edge-agent replay takes it",
    )
    source.add_argument(
        "--runs", type=Path, metavar="CSV", help="labelled pictures that show a plate more than once"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each simulated drive (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated drives (default 1)")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the simulated drives' table")
    parser.add_argument(
        "--peer", type=Path, metavar="SCRIPT", help="another reader, for the same frames one by one"
    )
    parser.add_argument("--cars", type=int, metavar="N", help="only so many of them, evenly out of the table")
    parser.add_argument(
        "--end-px",
        type=float,
        nargs="+",
        default=[math.inf],
        metavar="PX",
        help="end where the plate is so wide; inf is its own width (default)",
    )
    parser.add_argument(
        "--rate-factor",
        type=int,
        nargs="+",
        default=[Ride().quality],
        metavar="CRF",
        help="of H.264: higher is smaller and worse (default %(default)s)",
    )
    parser.add_argument("--wrong", action="store_true", help="list what gave anything but one right read")
    return parser


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.cars is not None and options.cars < 1:
        parser.error("--cars should be 1 or more")
    if not all(one >= NARROWEST_PX for one in options.end_px):
        parser.error(f"--end-px should be {NARROWEST_PX:.0f} or more")
    if not all(0 <= one <= WORST_RATE_FACTOR for one in options.rate_factor):
        parser.error(f"--rate-factor should be 0 to {WORST_RATE_FACTOR}")
    if not 1 <= options.seconds <= 3600:
        parser.error("--seconds should be 1 to 3600")
    if options.plot and (options.stills or options.video or options.runs):
        parser.error("--plot is of the simulated street alone")
    if options.peer and (options.video or options.runs):
        parser.error("--peer is of the simulated street and of photographs that come nearer")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    cv2.setNumThreads(1)
    console = Console(width=120, highlight=False, markup=False)
    try:
        if options.stills:
            _stills(options, console)
        elif options.video:
            _video(options.video, console)
        elif options.runs:
            _runs(options, console)
        else:
            _street(options, console)
    except EdgeAgentError as error:
        print(f"drive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; call what it gives once a step."""
    errors = Console(stderr=True)
    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        task = progress.add_task("driving", total=total)
        yield lambda: progress.advance(task)


def _machine(console: Console) -> None:
    console.print("\n".join(machine.describe()), soft_wrap=True)
    console.print()


def _street(options: argparse.Namespace, console: Console) -> None:
    """Drive through every condition once, and print and draw what came of it."""
    if options.peer:
        readers.peer(options.peer)  # what is missing is said before the minutes
    if options.plot:
        plot.check()
    _machine(console)
    conditions = list(dict.fromkeys(one for axis in street.VARIED.values() for one in axis))
    outcomes: dict[street.Conditions, street.Outcome] = {}
    with _progress(len(conditions) * round(options.seconds * street.RATE_FPS)) as advance:
        for one in conditions:
            outcomes[one] = street.drive(one, seconds=options.seconds, seed=options.seed, advance=advance)
    for axis, chosen in street.VARIED.items():
        lines = [Row(street.value(axis, one), street.row(outcomes[one])) for one in chosen]
        show(axis, list(street.COLUMNS), lines, console)
    for title, groups in street.groups(outcomes.values()).items():
        lines = [Row(name, street.passes_row(passes)) for name, passes in groups.items() if passes]
        show(f"all drives, {title}", list(street.PASS_COLUMNS), lines, console)
    if options.plot:
        drive_plot.drives(outcomes, options.plot)
    if options.peer:
        found = street.beside(options.peer, seconds=options.seconds, seed=options.seed)
        lines = [Row(name, (f"{captured:.3f}", f"{right:.3f}")) for name, captured, right in found]
        show("the same frames one by one", ["found", "60 px and wider: right"], lines, console)


def _stills(options: argparse.Namespace, console: Console) -> None:
    """Let each photograph come nearer, to each of the widths and through each of the streams."""
    peer = readers.peer(options.peer) if options.peer else None
    pictures = list(cars.stills(options.stills))
    asked = min(options.cars or len(pictures), len(pictures))
    chosen = [pictures[k * len(pictures) // asked] for k in range(asked)]
    ways = {(end, factor): list[cars.Car]() for end in options.end_px for factor in options.rate_factor}
    peers = {way: list[cars.Car]() for way in ways}
    with _progress(asked) as advance:
        for path, plate in chosen:
            photograph = cars.photograph(path)
            check_places(str(path), [plate], photograph)
            seen = scene(photograph, plate.box)
            if seen.plate.width >= NARROWEST_PX:
                for (end_px, factor), found in ways.items():
                    stream = cars.approach(seen, ride=Ride(quality=factor), end_px=end_px, seed=len(found))
                    found.append(cars.drive(stream, name=path.name, text=plate.text))
                    if peer:
                        other = cars.beside(peer, stream, name=path.name, text=plate.text)
                        peers[end_px, factor].append(other)
            advance()
    driven = list(ways.values())
    if not driven[0]:
        raise EdgeAgentError(
            f"{options.stills}: no picture with one plate of {NARROWEST_PX:.0f} px and a sure text"
        )
    _machine(console)
    title = f"{options.stills.stem}: {len(driven[0])} photographs that come nearer"
    if narrow := asked - len(driven[0]):
        title += f"; plates under {NARROWEST_PX:.0f} px in {narrow} more"
    columns = [f"{'to its own' if math.isinf(end) else f'to {end:.0f} px'}, CRF {factor}" for end, factor in ways]
    beside = cars.told(list(peers.values()), by="the peer: ") if peer else []
    show(title, columns, [*cars.rows(driven), *beside], console)
    for column, found in zip(columns, driven, strict=True) if options.wrong else ():
        for one in found:
            if one.others or one.right != 1:
                said, single = ", ".join(one.reads) or "-", ", ".join(one.singles) or "-"
                console.print(f"{column}: {one.name} {one.text}: {said}; surest single frame {single}")


def _video(table: Path, console: Console) -> None:
    """Replay each recording of a truth table."""
    clips = truth.clips(table)
    _machine(console)
    with _progress(None) as advance:
        lines = [Row(clip, recordings.recording(table.parent / clip, table, advance=advance)) for clip in clips]
    show("recordings", list(recordings.COLUMNS), lines, console)


def _runs(options: argparse.Namespace, console: Console) -> None:
    """Read each picture of a set, and the plates that it shows more than once by all of their pictures."""
    with _progress(None) as advance:
        runs = list(recordings.runs(options.runs, advance=advance))
    if not runs:
        raise EdgeAgentError(f"{options.runs}: shows no plate with a sure text more than once")
    _machine(console)
    pictures = sum(one.pictures for one in runs)
    cells = (
        str(pictures),
        share(sum(folded(one.together) == one.text for one in runs), len(runs)),
        share(sum(folded(one.surest) == one.text for one in runs), len(runs)),
        part(sum(one.right for one in runs), pictures),
    )
    show(
        f"{options.runs.stem}: {len(runs)} plates shown more than once, read right",
        list(recordings.RUN_COLUMNS),
        [Row("", cells)],
        console,
    )
    for one in runs if options.wrong else ():
        if folded(one.together) != one.text:
            console.print(f"{one.text}: together {one.together or '-'}; surest single {one.surest or '-'}")


if __name__ == "__main__":
    sys.exit(main())

"""How well plates are read from a moving camera: python -m benchmarks.drive [--stills TRUTH.csv].

Without --stills the simulated street, by closing speed, shutter, plate width and light (street.py). With it
labelled photographs that come nearer, one car each (approach.py); truth as benchmarks.accuracy takes it.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress, track

from benchmarks import machine, plot, readers, street
from benchmarks.approach import Approach, Ride, Scene, recorded, scene
from benchmarks.figures import Row, share, show
from benchmarks.options import OneLineParser
from benchmarks.score import CAPTURED_IOU, TruePlate, load_truth
from edge_agent import wiring
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Box, Frame, Image, Read, Reading, Stamp, folded
from edge_agent.errors import EdgeAgentError
from edge_agent.pipeline import Pipeline

NARROWEST_PX = 55.0
"""Of the plate in the photograph, shrunk to a frame: narrower ones are not asked for."""

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Car:
    """What one approach gave: reads, and the surest single frame's text."""

    name: str
    text: str
    reads: tuple[str, ...]
    single: str

    @property
    def right(self) -> int:
        return sum(folded(one) == folded(self.text) for one in self.reads)

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(one for one in self.reads if folded(one) != folded(self.text))


def stills(table: Path) -> Iterator[tuple[Path, TruePlate]]:
    """The pictures of a truth table that show one plate whose text is sure. Raises EdgeAgentError."""
    for name, plates in load_truth(table).items():
        if len(plates) == 1 and plates[0].text:
            yield table.parent / name, plates[0]


def driven(
    pipeline: Pipeline, frames: Sequence[Image], places: Sequence[Box], *, rate_fps: float
) -> tuple[list[Read], str]:
    """Take a clip through a car's pipeline; its reads, and the text of the surest single frame of the plate."""
    reads: list[Read] = []
    surest: Reading | None = None
    for number, (image, place) in enumerate(zip(frames, places, strict=True)):
        time_s = number / rate_fps
        frame = Frame("approach", number, Stamp(time_s, BEGINNING + timedelta(seconds=time_s)), image)
        look = pipeline.look(image)
        reads += pipeline.follow(frame, look)
        for one in look.readings:
            if one.detection.box.iou(place) >= CAPTURED_IOU and (
                surest is None or one.characters.confidence > surest.characters.confidence
            ):
                surest = one
    return reads + pipeline.finish(), surest.characters.text() if surest else ""


def photograph(path: Path) -> Image:
    """Read a picture. Raises EdgeAgentError."""
    image = cv2.imread(str(path))
    if image is None:
        raise EdgeAgentError(f"{path}: no picture that can be read")
    return np.asarray(image, np.uint8)


def drive(seen: Scene, *, name: str, text: str, end_px: float, seed: int) -> Car:
    """Let one photograph come nearer."""
    ride = Ride()
    images, places = zip(*Approach(seen, ride=ride, last_width_px=end_px, seed=seed).frames(), strict=True)
    clip = recorded(images, rate_fps=ride.rate_fps, quality=ride.quality)
    pipeline = wiring.pipeline(models=ModelSettings(), reading=ReadingSettings(), tracking=TrackingSettings())
    reads, single = driven(pipeline, clip, places, rate_fps=ride.rate_fps)
    return Car(name, text, tuple(one.text for one in reads), single)


def rows(cars: Sequence[Car]) -> list[Row]:
    """What a table says of the cars."""
    right = sum(one.right > 0 for one in cars)
    single = sum(folded(one.single) == folded(one.text) for one in cars)
    figures = {
        "captured": share(sum(bool(one.reads) for one in cars), len(cars)),
        "read right": share(right, len(cars)),
        "surest single frame right": share(single, len(cars)),
        "other reads a car": share(sum(len(one.others) for one in cars), len(cars)),
        "duplicates": str(sum(max(0, one.right - 1) for one in cars)),
    }
    return [Row(what, (cell,)) for what, cell in figures.items()]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m benchmarks.drive",
        description="Measure how well plates are read from a moving camera.",
        epilog="Example: python -m benchmarks.drive --plot drive.svg",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--stills",
        type=Path,
        metavar="CSV",
        help="labelled photographs that come nearer, instead of the simulated street",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each simulated drive (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated drives (default 1)")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the simulated drives' table")
    parser.add_argument(
        "--peer", type=Path, metavar="SCRIPT", help="another reader, for the same frames one by one"
    )
    parser.add_argument("--cars", type=int, metavar="N", help="only so many of them, evenly out of the table")
    parser.add_argument(
        "--end-px", type=float, default=math.inf, help="end where the plate is so wide (default: at its own width)"
    )
    parser.add_argument("--wrong", action="store_true", help="list the cars that gave anything but one right read")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.cars is not None and options.cars < 1:
        parser.error("--cars should be 1 or more")
    if options.end_px < NARROWEST_PX:
        parser.error(f"--end-px should be {NARROWEST_PX:.0f} or more")
    if not 1 <= options.seconds <= 3600:
        parser.error("--seconds should be 1 to 3600")
    if options.stills and (options.plot or options.peer):
        parser.error("--plot and --peer are of the simulated street, not of --stills")
    cv2.setNumThreads(1)
    console = Console(width=120, highlight=False, markup=False)
    try:
        _measure(options, console) if options.stills else _street(options, console)
    except EdgeAgentError as error:
        print(f"drive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _street(options: argparse.Namespace, console: Console) -> None:
    """Drive through every condition once, and print and draw what came of it."""
    if options.peer:
        readers.peer(options.peer)  # what is missing is said before the minutes
    if options.plot:
        plot.check()
    console.print("\n".join(machine.describe()), soft_wrap=True)
    console.print()
    conditions = list(dict.fromkeys(one for axis in street.VARIED.values() for one in axis))
    outcomes: dict[street.Conditions, street.Outcome] = {}
    errors = Console(stderr=True)
    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        task = progress.add_task("driving", total=len(conditions) * round(options.seconds * street.RATE_FPS))
        for one in conditions:
            outcomes[one] = street.drive(
                one, seconds=options.seconds, seed=options.seed, advance=lambda: progress.advance(task)
            )
    for axis, chosen in street.VARIED.items():
        lines = [Row(street.value(axis, one), street.row(outcomes[one])) for one in chosen]
        show(axis, list(street.COLUMNS), lines, console)
    lines = [Row(band, (str(n), f"{c:.3f}", f"{r:.3f}")) for band, n, c, r in street.bands(outcomes.values())]
    show("all drives, by the plate's widest sight", ["plates", "captured", "read right"], lines, console)
    if options.plot:
        plot.drives(outcomes, options.plot)
    if options.peer:
        found = street.beside(options.peer, seconds=options.seconds, seed=options.seed)
        lines = [Row(name, (f"{captured:.3f}", f"{right:.3f}")) for name, captured, right in found]
        show("the same frames one by one", ["found", "60 px and wider: right"], lines, console)


def _measure(options: argparse.Namespace, console: Console) -> None:
    pictures = list(stills(options.stills))
    asked = min(options.cars or len(pictures), len(pictures))
    chosen = [pictures[k * len(pictures) // asked] for k in range(asked)]
    cars: list[Car] = []
    errors = Console(stderr=True)
    for path, plate in track(chosen, "driving", console=errors, disable=not errors.is_terminal):
        seen = scene(photograph(path), plate.box)
        if seen.plate.width >= NARROWEST_PX:
            cars.append(drive(seen, name=path.name, text=plate.text, end_px=options.end_px, seed=len(cars)))
    if not cars:
        raise EdgeAgentError(
            f"{options.stills}: no picture with one plate of {NARROWEST_PX:.0f} px and a sure text"
        )
    console.print("\n".join(machine.describe()), soft_wrap=True)
    console.print()
    show(f"{options.stills.stem}: photographs that come nearer", [f"{len(cars)} cars"], rows(cars), console)
    for one in cars if options.wrong else ():
        if one.others or one.right != 1:
            console.print(f"{one.name} {one.text}: {', '.join(one.reads) or '-'}; single {one.single or '-'}")


if __name__ == "__main__":
    sys.exit(main())

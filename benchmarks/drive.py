"""How well plates are read from a moving camera: python -m benchmarks.drive --stills TRUTH.csv.

`--stills` lets labelled photographs come nearer, one car each; truth as benchmarks.accuracy takes it.
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
from rich.progress import track

from benchmarks import machine
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
        epilog="Example: python -m benchmarks.drive --stills eval/us.csv --cars 20",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--stills",
        type=Path,
        required=True,
        metavar="CSV",
        help="labelled photographs that come nearer",
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
    cv2.setNumThreads(1)
    try:
        _measure(options, Console(width=120, highlight=False, markup=False))
    except EdgeAgentError as error:
        print(f"drive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


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

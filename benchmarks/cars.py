"""Labelled photographs that come nearer, a car each, and what the car's own pipeline makes of them."""

import math
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from benchmarks import lines, readers
from benchmarks.approach import LARGEST_PX, Approach, Ride, Scene, recorded
from benchmarks.figures import Row, share
from benchmarks.score import TruePlate, load_truth
from benchmarks.surest import SurestFrames
from edge_agent import wiring
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Frame, Image, Stamp, corrected, folded
from edge_agent.errors import EdgeAgentError

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

AGREEING_FRAMES, AGREEING_FROM = 3, 0.8
"""Of a reader that fuses nothing a text counts that so many frames give, each at this confidence."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The frames of one approach as a camera's stream gives them."""

    frames: list[Image]
    rate_fps: float
    mbit_s: float
    """As that of a camera of 1280x720 pixels."""


@dataclass(frozen=True, slots=True)
class Car:
    """What one approach gave: reads, and the text that the surest single frame of each had."""

    name: str
    text: str
    reads: tuple[str, ...]
    singles: tuple[str, ...] = ()
    mbit_s: float = 0.0
    """Of its stream."""

    @property
    def right(self) -> int:
        return sum(folded(one) == folded(self.text) for one in self.reads)

    @property
    def single_right(self) -> bool:
        return any(folded(one) == folded(self.text) for one in self.singles)

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(one for one in self.reads if folded(one) != folded(self.text))


def stills(table: Path) -> Iterator[tuple[Path, TruePlate]]:
    """The pictures of a truth table that show one plate whose text is sure. Raises EdgeAgentError."""
    for name, plates in load_truth(table).items():
        if len(plates) == 1 and plates[0].text:
            yield table.parent / name, plates[0]


def photograph(path: Path) -> Image:
    """Read a picture. Raises EdgeAgentError."""
    image = cv2.imread(str(path))
    if image is None:
        raise EdgeAgentError(f"{path}: no picture that can be read")
    return np.asarray(image, np.uint8)


def approach(seen: Scene, *, ride: Ride, end_px: float, seed: int) -> Stream:
    """Let one photograph come nearer."""
    images = [image for image, _ in Approach(seen, ride=ride, last_width_px=end_px, seed=seed).frames()]
    frames, size = recorded(images, rate_fps=ride.rate_fps, quality=ride.quality)
    height, width = images[0].shape[:2]
    bits_a_pixel = 8 * size / len(images) / (width * height)
    return Stream(frames, ride.rate_fps, mbit_s=bits_a_pixel * math.prod(LARGEST_PX) * ride.rate_fps / 1e6)


def drive(stream: Stream, *, name: str, text: str) -> Car:
    """What the pipeline makes of a stream."""
    surest = SurestFrames()
    pipeline = wiring.pipeline(
        models=ModelSettings(), reading=ReadingSettings(), tracking=TrackingSettings(), journal=surest
    )
    reads = []
    for number, image in enumerate(stream.frames):
        time_s = number / stream.rate_fps
        stamp = Stamp(time_s, BEGINNING + timedelta(seconds=time_s))
        reads += pipeline.step(Frame("approach", number, stamp, image))
    last = corrected(reads + pipeline.finish())
    return Car(
        name, text, tuple(one.text for one in last), tuple(surest.text(one) for one in last), mbit_s=stream.mbit_s
    )


def beside(reader: readers.Reader, stream: Stream, *, name: str, text: str) -> Car:
    """What another reader makes of the same frames, one by one. Raises EdgeAgentError."""
    with tempfile.TemporaryDirectory(prefix="edge-agent-bench-") as folder:
        pictures = [Path(folder) / f"{number:04d}.png" for number in range(len(stream.frames))]
        for path, image in zip(pictures, stream.frames, strict=True):
            cv2.imwrite(str(path), image)
        (measured,) = readers.measure([reader], pictures)
    return Car(name, text, agreed(measured.pictures.values()))


def agreed(pictures: Iterable[lines.Picture]) -> tuple[str, ...]:
    """The texts that enough frames are sure of, O as 0."""
    counts = Counter(
        folded(plate.text)
        for one in pictures
        for plate in one.plates
        if plate.text and plate.confidence is not None and plate.confidence >= AGREEING_FROM
    )
    return tuple(text for text, count in counts.items() if count >= AGREEING_FRAMES)


def told(ways: Sequence[Sequence[Car]], *, by: str = "") -> list[Row]:
    """What the reads of a reader come to, a column for each way that the cars came."""
    return [
        Row(f"{by}captured", tuple(share(sum(bool(one.reads) for one in cars), len(cars)) for cars in ways)),
        Row(f"{by}read right", tuple(share(sum(one.right > 0 for one in cars), len(cars)) for cars in ways)),
        Row(
            f"{by}other reads a car",
            tuple(share(sum(len(one.others) for one in cars), len(cars)) for cars in ways),
        ),
    ]


def rows(ways: Sequence[Sequence[Car]]) -> list[Row]:
    """What a table says of the cars, a column for each way that they came."""

    def row(what: str, *cells: str) -> Row:
        return Row(what, cells)

    return [
        *told(ways),
        row(
            "surest single frame right",
            *(share(sum(one.single_right for one in cars), len(cars)) for cars in ways),
        ),
        row("duplicates", *(str(sum(max(0, one.right - 1) for one in cars)) for cars in ways)),
        row("Mbit/s at 1280x720", *(f"{statistics.fmean(one.mbit_s for one in cars):.1f}" for cars in ways)),
    ]

"""The simulated street as an instrument: what is read at which closing speed, shutter, plate width and light.

One standard drive, and one more for each value of what is varied; all else stays. Truth for every plate and frame.
"""

import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2

from benchmarks import readers
from benchmarks.approach import recorded
from benchmarks.figures import part
from benchmarks.score import TruePlate, key, score
from benchmarks.surest import SurestFrames
from edge_agent import host, wiring
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.camera.sim.light import Light
from edge_agent.camera.sim.optics import CameraModel
from edge_agent.camera.sim.scene import Kind, Speeds
from edge_agent.camera.sim.truth import READABLE_WIDTH_PX, Sighting, VehicleTruth
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Frame, Read, corrected, folded
from edge_agent.services.demo.account import vehicle_of

RATE_FPS = 15.0
KMH = 3.6
USUAL_FOCAL_PX = 3400.0
"""With it a plate in the next lane is 72 px wide before it leaves the picture."""

COUNTED_FROM_PX, COUNTED_FRAMES, WHOLE, HALF = 32.0, 2, 0.97, 0.5
"""A plate counts that was shown whole, and no narrower than that, in so many frames."""

BANDS_PX = (32.0, 50.0, 65.0, 80.0, 120.0)
"""Its widest whole sight puts it between two of these."""

QUALITY, CHUNK_FRAMES = 27, 45
"""x264's constant rate factor: what a camera's stream leaves of its pictures; recorded in pieces of so many."""

PEER_EVERY, PEER_PICTURES = 3, 150
"""Of the frames with a plate to read, every third is shown to another reader too, up to so many."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """One drive's; the car and the oncoming traffic share the closing speed evenly."""

    closing_kmh: float = 100.0
    shutter: float = 1000.0
    """One over the exposure in seconds."""
    focal_px: float = USUAL_FOCAL_PX
    light: Light = Light.DAY

    @property
    def speeds(self) -> Speeds:
        half = self.closing_kmh / KMH / 2
        return Speeds(own=half, oncoming=(0.95 * half, 1.05 * half))

    @property
    def model(self) -> CameraModel:
        return CameraModel(
            focal_px=self.focal_px,
            shutter_s=1 / self.shutter,
            shake=6e-4,
            readout_s=0.012,
            swing=0.25,
            defocus_px=0.7,
        )


STANDARD = Conditions()
VARIED: dict[str, Sequence[Conditions]] = {
    "closing speed, km/h": [replace(STANDARD, closing_kmh=one) for one in (60.0, 100.0, 160.0, 220.0)],
    "shutter, 1/s": [replace(STANDARD, shutter=one) for one in (250.0, 500.0, 1000.0, 2500.0)],
    "widest plate, px": [replace(STANDARD, focal_px=one) for one in (1700.0, 2300.0, 2800.0, 3400.0)],
    "light": [replace(STANDARD, light=one) for one in Light],
}


def value(axis: str, conditions: Conditions) -> str:
    """What a drive has of the axis that is varied."""
    match axis:
        case "closing speed, km/h":
            return f"{conditions.closing_kmh:.0f}"
        case "shutter, 1/s":
            return f"{conditions.shutter:.0f}"
        case "widest plate, px":
            return f"{72 * conditions.focal_px / USUAL_FOCAL_PX:.0f}"
        case _:
            return str(conditions.light)


@dataclass(frozen=True, slots=True)
class Passed:
    """A plate that counts: its widest whole sight in pixels, and what was read of it."""

    width_px: float
    hidden: bool
    """Half or more of it lay behind another vehicle or outside the picture between two whole sights."""
    captured: bool
    right: bool
    single_right: bool
    """The surest single frame says what the plate says."""


@dataclass(slots=True)
class Outcome:
    """What a drive's plates came to; a delay is from the last sight to the read, seconds of the drive."""

    plates: dict[str, int] = field(default_factory=dict)
    captured: dict[str, int] = field(default_factory=dict)
    right: dict[str, int] = field(default_factory=dict)
    wrong: int = 0
    duplicates: int = 0
    false_reads: int = 0
    delays_s: list[float] = field(default_factory=list)
    passes: list[Passed] = field(default_factory=list)

    def share(self, counts: dict[str, int], *kinds: str) -> float:
        """Of the plates of such kinds, or of all."""
        chosen = kinds or tuple(self.plates)
        return sum(counts.get(k, 0) for k in chosen) / max(1, sum(self.plates.get(k, 0) for k in chosen))

    @property
    def delay(self) -> str:
        return f"{statistics.median(self.delays_s):.2f}" if self.delays_s else "-"


def camera(conditions: Conditions, *, seconds: float, seed: int) -> SimCamera:
    """The drive, as fast as it can be drawn."""
    return SimCamera(
        name="street", now=host.now, seed=seed, seconds=seconds, rate_fps=RATE_FPS, pace="fast",
        model=conditions.model, speeds=conditions.speeds, light=conditions.light,
    )  # fmt: skip


def drive(conditions: Conditions, *, seconds: float, seed: int, advance: Callable[[], None]) -> Outcome:
    """Drive once through the car's own pipeline."""
    street = camera(conditions, seconds=seconds, seed=seed)
    surest = SurestFrames()
    pipeline = wiring.pipeline(
        models=ModelSettings(), reading=ReadingSettings(), tracking=TrackingSettings(), journal=surest
    )
    street.open()
    given: list[tuple[float, Read]] = []
    for frame in _streamed(iter(street.read, None)):
        given += [(frame.stamp.monotonic_s, read) for read in pipeline.step(frame)]
        advance()
    reads = [*given, *((read.last.monotonic_s, read) for read in pipeline.finish())]
    return judged(reads, street.truth(), single=surest.text)


def _streamed(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The frames as they come out of a camera's H.264."""
    while chunk := list(itertools.islice(frames, CHUNK_FRAMES)):
        images, _ = recorded([one.image for one in chunk], rate_fps=RATE_FPS, quality=QUALITY)
        yield from (replace(one, image=image) for one, image in zip(chunk, images, strict=True))


def judged(
    given: Sequence[tuple[float, Read]], truth: Sequence[VehicleTruth], *, single: Callable[[Read], str]
) -> Outcome:
    """Compare reads, each with the time it was given and its surest frame's text, with the truth."""
    outcome = Outcome(
        delays_s=[at_s - read.last.monotonic_s for at_s, read in given if not read.revision],
    )
    texts: dict[int, list[str]] = {}
    singles: dict[int, list[str]] = {}
    for read in corrected(read for _, read in given):
        vehicle = vehicle_of(read, truth)
        if vehicle is None:
            outcome.false_reads += 1
        else:
            texts.setdefault(vehicle.number, []).append(folded(read.text))
            singles.setdefault(vehicle.number, []).append(folded(single(read)))
    for vehicle in truth:
        said = texts.get(vehicle.number, [])
        outcome.duplicates += max(0, len(said) - 1)
        shown = vehicle.readable(width_px=COUNTED_FROM_PX, shown=WHOLE)
        if len(shown) < COUNTED_FRAMES:
            continue
        is_right = folded(vehicle.text) in said
        outcome.wrong += bool(said) and not is_right
        for counts, count in ((outcome.plates, 1), (outcome.captured, bool(said)), (outcome.right, is_right)):
            counts[vehicle.kind] = counts.get(vehicle.kind, 0) + int(count)
        outcome.passes.append(
            Passed(
                width_px=max(one.width_px for one in shown),
                hidden=_hidden(vehicle, shown),
                captured=bool(said),
                right=is_right,
                single_right=folded(vehicle.text) in singles.get(vehicle.number, ()),
            )
        )
    return outcome


def _hidden(vehicle: VehicleTruth, whole: Sequence[Sighting]) -> bool:
    first, last = whole[0].frame, whole[-1].frame
    return any(first < one.frame < last and one.shown < HALF for one in vehicle.sightings)


def groups(outcomes: Iterable[Outcome]) -> dict[str, dict[str, list[Passed]]]:
    """The plates of all drives by their widest sight, and by whether they were hidden on their way."""
    passes = [one for outcome in outcomes for one in outcome.passes]
    return {
        "by the plate's widest sight": {
            f"{low:.0f} to {high:.0f} px": [one for one in passes if low <= one.width_px < high]
            for low, high in itertools.pairwise(BANDS_PX)
        },
        "by what was in the way": {
            "hidden for a while": [one for one in passes if one.hidden],
            "in sight all the time": [one for one in passes if not one.hidden],
        },
    }


PASS_COLUMNS = ("plates", "captured", "read right", "surest single frame right")


def passes_row(passes: Sequence[Passed]) -> tuple[str, ...]:
    """The cells of a table, as PASS_COLUMNS names them."""
    counts = (
        sum(one.captured for one in passes),
        sum(one.right for one in passes),
        sum(one.single_right for one in passes),
    )
    return (str(len(passes)), *(part(count, len(passes)) for count in counts))


def row(outcome: Outcome) -> tuple[str, ...]:
    """The cells of a table, as COLUMNS names them."""
    return (
        f"{sum(outcome.plates.values())}",
        f"{outcome.share(outcome.captured):.3f}",
        f"{outcome.share(outcome.right):.3f}",
        f"{outcome.share(outcome.captured, Kind.ONCOMING):.3f}",
        f"{outcome.share(outcome.right, Kind.ONCOMING):.3f}",
        f"{outcome.wrong}",
        f"{outcome.duplicates}",
        f"{outcome.false_reads}",
        outcome.delay,
    )


COLUMNS = (
    "plates", "captured", "read right", "oncoming captured", "oncoming right", "wrong", "twice", "of nothing",
    "delay, s",
)  # fmt: skip


def frames_to_read(*, seconds: float, seed: int, folder: Path) -> Iterator[tuple[Path, list[TruePlate]]]:
    """Pictures of the standard drive with a plate wide enough to be read, as files, and their true plates."""
    street = camera(STANDARD, seconds=seconds, seed=seed)
    street.open()
    found = 0
    for frame in _streamed(iter(street.read, None)):
        shown = [
            (vehicle, seen)
            for vehicle in street.truth()
            for seen in vehicle.sightings
            if seen.frame == frame.number
        ]
        if any(seen.width_px >= READABLE_WIDTH_PX and seen.shown > WHOLE for _, seen in shown):
            found += 1
            if found % PEER_EVERY == 0 and found // PEER_EVERY <= PEER_PICTURES:
                path = folder / f"{frame.number:06}.png"
                cv2.imwrite(str(path), frame.image)
                yield (
                    path,
                    [
                        TruePlate(seen.box, vehicle.text if seen.width_px >= READABLE_WIDTH_PX else "")
                        for vehicle, seen in shown
                        if seen.shown > HALF
                    ],
                )


def beside(peer: Path, *, seconds: float, seed: int) -> list[tuple[str, float, float]]:
    """Of the same frames, one by one: reader, share of the plates found, share of those of 60 px read right."""
    with tempfile.TemporaryDirectory(prefix="edge-agent-bench-") as folder:
        pictures = dict(frames_to_read(seconds=seconds, seed=seed, folder=Path(folder)))
        truth = {key(str(path)): plates for path, plates in pictures.items()}
        measured = readers.measure([readers.ours(threads=1), readers.peer(peer)], list(pictures))
        scores = [(one.reader.name, score(truth, one.pictures.values())) for one in measured]
    return [(name, one.captured / one.plates, one.right / one.texts) for name, one in scores]

"""What real pictures of the same plate give together: recordings, and runs of pictures out of a labelled set."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cars import photograph
from benchmarks.score import CAPTURED_IOU, TruePlate, load_truth
from benchmarks.surest import SurestFrames
from edge_agent import wiring
from edge_agent.camera.files import FilesCamera
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Reading, corrected, folded
from edge_agent.pipeline import Pipeline
from edge_agent.reading.vote import ballot, fuse
from edge_agent.services import replay, truth
from edge_agent.vision.far import FarLooks

COLUMNS = ("plates", "captured", "read right", "surest single frame right", "other reads", "duplicates")
RUN_COLUMNS = ("pictures", "together", "surest single", "each")


def recording(path: Path, table: Path, *, advance: Callable[[], None]) -> tuple[str, ...]:
    """Every frame of one recording through the car's pipeline; the cells of COLUMNS. Raises EdgeAgentError."""
    passes = truth.load(table, path.name)
    surest = SurestFrames()
    camera: FilesCamera = replay.recording(path)
    pipeline, far = _pipeline(surest), FarLooks()
    reads = []
    try:
        for frame in iter(camera.read, None):
            reads += pipeline.step(frame, quarters=far.due(frame.stamp.monotonic_s))
            advance()
    finally:
        camera.close()
    last = corrected(reads + pipeline.finish())
    verdict = truth.judge(passes, last)
    single = sum(
        any(folded(surest.text(read)) == one.text and one.overlaps(read) for read in last)
        for one in passes
        if one.text
    )
    counts = (verdict.plates, verdict.captured, verdict.right, single, len(verdict.others), len(verdict.repeated))
    return tuple(map(str, counts))


@dataclass(frozen=True, slots=True)
class Run:
    """Pictures of one plate: what they say together, what the surest one says, and how many of them are right."""

    text: str
    pictures: int
    together: str
    surest: str
    right: int


def runs(table: Path, *, advance: Callable[[], None]) -> Iterator[Run]:
    """The plates that a labelled set shows more than once, read picture by picture. Raises EdgeAgentError."""
    pictures = load_truth(table)
    pipeline = _pipeline()
    found: dict[str, list[Reading | None]] = {}
    for name, plates in pictures.items():
        readings = pipeline.look(photograph(table.parent / name)).readings
        for plate in plates:
            if plate.text:
                found.setdefault(folded(plate.text), []).append(_of(plate, readings))
        advance()
    for text, seen in found.items():
        known = [one for one in seen if one is not None and len(one.characters)]
        if len(seen) > 1 and known:
            yield Run(
                text=text,
                pictures=len(seen),
                together=fuse([ballot(one) for one in known]).characters.text(),
                surest=max(known, key=lambda one: one.characters.confidence).characters.text(),
                right=sum(folded(one.characters.text()) == text for one in known),
            )
        elif len(seen) > 1:
            yield Run(text, len(seen), "", "", 0)


def _of(plate: TruePlate, readings: tuple[Reading, ...]) -> Reading | None:
    best = max(readings, key=lambda one: plate.box.iou(one.detection.box), default=None)
    return best if best is not None and plate.box.iou(best.detection.box) >= CAPTURED_IOU else None


def _pipeline(surest: SurestFrames | None = None) -> Pipeline:
    return wiring.pipeline(
        models=ModelSettings(), reading=ReadingSettings(), tracking=TrackingSettings(), journal=surest
    )

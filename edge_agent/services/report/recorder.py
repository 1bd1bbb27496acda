"""Writes down what the pipeline did with a recording, for its report."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from edge_agent.domain import Detection, Frame, Read, Reading
from edge_agent.pipeline import Look
from edge_agent.reading.journal import Refusal
from edge_agent.reading.track import MOST_BALLOTS
from edge_agent.vision.patch import patch, sharpness, thumbnail

THUMBNAIL_PX = 44
CROP_PX = 120
PICTURE_PX = 240
MARGIN = 0.12


@dataclass(frozen=True, slots=True)
class SightNotes:
    """A plate in one frame; width in pixels of the frame, weight as in the vote: 0 where it was not read again."""

    frame: int
    at_s: float
    width_px: float
    sharpness: float
    text: str
    confidence: float
    weight: float
    thumbnail: bytes


@dataclass(slots=True)
class TrackNotes:
    """A track's sights, and what became of it: reads and corrections, or why none."""

    number: int
    sights: list[SightNotes] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    voted: list[SightNotes] = field(default_factory=list)
    """The sights that the last read was given from, the heaviest first."""
    evidence: float = 0.0
    refusal: Refusal | None = None
    text: str = ""

    @property
    def frames(self) -> tuple[int, int]:
        """The first and the last frame that showed it."""
        return self.sights[0].frame, self.sights[-1].frame

    @property
    def times(self) -> tuple[float, float]:
        """The same, in seconds of the recording."""
        return self.sights[0].at_s, self.sights[-1].at_s

    @property
    def said(self) -> str:
        """Its read as last corrected, or what was refused."""
        return self.reads[-1].text if self.reads else self.text

    @property
    def best(self) -> SightNotes:
        """The sight that counted most."""
        return max(self.sights, key=lambda one: one.weight)


class Recorder:
    """The journal of a recording's tracker, the account of its stages, and pictures of the frames named."""

    def __init__(self, *, pictured: Collection[int] = ()) -> None:
        self._pictured = frozenset(pictured)
        self.pictures: dict[int, bytes] = {}
        """Whole frames as JPEGs, by their number."""
        self.tracks: dict[int, TrackNotes] = {}
        self.stages: Counter[str] = Counter()
        """How many frames, detections and readings there were, by what became of them."""
        self.seconds = 0.0
        self.widest_narrow_px = 0.0
        self._began_s: float | None = None

    def frame(self, frame: Frame, *, passed_over: bool = False) -> None:
        """Count a frame of the recording, looked at or not; passed over is one that max_fps leaves out."""
        if self._began_s is None:
            self._began_s = frame.stamp.monotonic_s
        self.seconds = self._at(frame)
        self.stages["frames"] += 1
        self.stages["passed over"] += passed_over
        if frame.number in self._pictured:
            self.pictures[frame.number] = thumbnail(frame.image, height=PICTURE_PX)

    def looked(self, _frame: Frame, look: Look) -> None:
        """Count what one frame showed."""
        self.stages["looked at"] += 1
        self.stages["detections"] += len(look.detections)
        self.stages["disbelieved"] += len(look.disbelieved)

    def too_narrow(self, detection: Detection) -> None:
        self.stages["too narrow"] += 1
        self.widest_narrow_px = max(self.widest_narrow_px, detection.box.width)

    def followed(self, track: int, frame: Frame, detection: Detection) -> None:
        self.stages["followed"] += 1
        self._add(track, frame, detection, text="", confidence=0.0, weight=0.0)

    def seen(self, track: int, frame: Frame, reading: Reading, *, weight: float) -> None:
        said = reading.characters
        self._add(track, frame, reading.detection, text=said.text(), confidence=said.confidence, weight=weight)

    def _add(
        self, track: int, frame: Frame, detection: Detection, *, text: str, confidence: float, weight: float
    ) -> None:
        box = detection.box
        self.stages["sights"] += 1
        sight = SightNotes(
            frame=frame.number,
            at_s=self._at(frame),
            width_px=box.width,
            sharpness=sharpness(patch(frame.image, box, margin=0)),
            text=text,
            confidence=confidence,
            weight=weight,
            thumbnail=thumbnail(patch(frame.image, box, margin=MARGIN), height=THUMBNAIL_PX),
        )
        self.tracks.setdefault(track, TrackNotes(track)).sights.append(sight)

    def refused(self, track: int, refusal: Refusal, *, text: str, evidence: float) -> None:
        notes = self.tracks[track]
        if notes.reads:  # what it said stands, with the evidence it had
            return
        notes.refusal, notes.text, notes.evidence = refusal, text, evidence

    def given(self, track: int, read: Read, *, evidence: float) -> None:
        notes = self.tracks[track]
        notes.reads.append(read)
        notes.evidence, notes.refusal = evidence, None
        legible = [one for one in notes.sights if one.text]
        notes.voted = sorted(legible, key=lambda one: -one.weight)[:MOST_BALLOTS]

    def _at(self, frame: Frame) -> float:
        return frame.stamp.monotonic_s - (self._began_s if self._began_s is not None else frame.stamp.monotonic_s)


def crop(read: Read) -> bytes:
    """The best frame's plate as a JPEG."""
    return thumbnail(read.patch, height=CROP_PX)

"""The values that travel between the stages: one frozen value an arrow."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A picture: [height, width] gray or [height, width, 3] blue-green-red, 0..255."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What a plate's character can be, in the order of CharacterProbabilities' columns 1..36."""

ROUND = "0O"
"""Characters that many plates draw alike."""

UNREADABLE = "?"

BARS, MOST_BARS = frozenset("I1"), 2
"""What reads as more of these alone is a grille or a fence: three of ten false texts in pictures without plates
were, and no state issues such plates in series."""


def folded(text: str) -> str:
    """Letters, digits and `?` alone, in upper case, with O as 0: how a text is compared with a label."""
    return "".join(one for one in text.upper() if one.isalnum() or one == UNREADABLE).replace("O", "0")


LEAST_CHARACTERS, MOST_CHARACTERS = 2, 12
"""What reads shorter is a scratch or an emblem, what reads longer is a sign."""

NO_PLATE_FROM = 0.5
"""The share of "no plate" from which lettering is a sign's (`training.evaluate validation-negatives`)."""

LEAST_LETTERING, LETTERING_FROM = 3, 0.7
"""Characters, and their mean share, from which lettering is seen (`training.evaluate validation-photographs`)."""


CLOCK_SET_S = 1.0
"""By so much a time service may pull a clock at once without setting it."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks: monotonic for every difference, UTC for the record alone.

    is_synchronized: a time service is known to keep UTC right.
    """

    monotonic_s: float
    utc: datetime
    is_synchronized: bool = False

    @property
    def utc_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.utc.timestamp() * 1000)

    def same_clock(self, other: "Stamp") -> bool:
        """Whether UTC was not set between two moments: a clock that is right now may have been wrong then."""
        passed_s = (self.utc - other.utc).total_seconds()
        return abs(passed_s - (self.monotonic_s - other.monotonic_s)) <= CLOCK_SET_S


class Box(NamedTuple):
    """A rectangle in pixels of the full frame; x2 and y2 lie just outside."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def center(self) -> tuple[float, float]:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0..1."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.width * self.height + other.width * other.height - shared)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera, stamped when it was captured; number is its place among the camera's, from 0."""

    camera: str
    number: int
    stamp: Stamp
    image: Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int(self.image.shape[1]), int(self.image.shape[0])


@dataclass(frozen=True, slots=True)
class Detection:
    """A plate found, not yet read; confidence 0..1. One that is not certain must prove itself by being legible."""

    box: Box
    confidence: float
    certain: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class CharacterProbabilities:
    """What each place of a plate may hold: [places, 37] float32, rows sum to 1.

    Column 0 is "no character here", columns 1..36 follow ALPHABET.
    """

    table: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def confidences(self) -> tuple[float, ...]:
        """The share of the likeliest character at each place, 0..1."""
        return tuple(float(share) for share in self.table[:, 1:].max(axis=1)) if len(self) else ()

    @property
    def confidence(self) -> float:
        """The weakest character's share: never a mean that hides one bad character; 0 for no character."""
        return min(self.confidences, default=0.0)

    def text(self, *, unsure_below: float = 0.0) -> str:
        """Spell the likeliest characters, with `?` where the share is below the threshold (0..1).

        0 and O count together there: many states' plates draw both alike, so a doubt between them alone is no
        reason to hide what was seen.
        """
        return "".join(_spell(row[1:], unsure_below) for row in self.table)

    @property
    def legible(self) -> bool:
        """Whether this is lettering at all: what the reader makes of a grille or a lamp is short or doubtful."""
        long_enough = len(self) >= LEAST_LETTERING and not self._is_bars
        return long_enough and sum(self.confidences) >= LETTERING_FROM * len(self)

    @property
    def _is_bars(self) -> bool:
        return len(self) > MOST_BARS and BARS.issuperset(self.text())

    def plate_text(self, *, unsure_below: float) -> str:
        """What text() spells where it can be a plate's; empty for scratches, signs, and half unreadable ones."""
        text = self.text(unsure_below=unsure_below)
        readable = 2 * text.count(UNREADABLE) < len(text) and not self._is_bars
        return text if readable and LEAST_CHARACTERS <= len(text) <= MOST_CHARACTERS else ""


def _spell(shares: NDArray[np.float32], unsure_below: float) -> str:
    likeliest = ALPHABET[int(shares.argmax())]
    share = sum(shares[ALPHABET.index(one)] for one in ROUND) if likeliest in ROUND else shares.max()
    return likeliest if share >= unsure_below else UNREADABLE


@dataclass(frozen=True, slots=True)
class Region:
    """The issuing state or country, as `us-ct`; confidence 0..1."""

    code: str
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class RegionProbabilities:
    """Where a plate may have been issued: shares [n] float32 of so many codes; told_from is a share, 0..1.

    A network may know none. Its code `other` stands for all that it cannot name, `none` for what is no plate.
    """

    codes: tuple[str, ...]
    shares: NDArray[np.float32]
    told_from: float

    @property
    def region(self) -> Region | None:
        """The likeliest region, where it is likely enough to be told: never guessed."""
        best = int(self.shares.argmax()) if self.codes else 0
        if not self.codes or self.codes[best] in NOWHERE or self.shares[best] < self.told_from:
            return None
        return Region(code=self.codes[best], confidence=round(float(self.shares[best]), 3))

    @property
    def no_plate(self) -> float:
        """The share, 0..1, of what is no plate at all; 0 where the network does not tell."""
        return float(self.shares[self.codes.index(NO_PLATE)]) if NO_PLATE in self.codes else 0.0


OTHER_REGION, NO_PLATE = "other", "none"
NOWHERE = (OTHER_REGION, NO_PLATE)
NO_REGIONS = RegionProbabilities(codes=(), shares=np.zeros(0, np.float32), told_from=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the reader saw in one box of one frame."""

    detection: Detection
    characters: CharacterProbabilities
    regions: RegionProbabilities = NO_REGIONS

    @property
    def believed(self) -> bool:
        """Whether this is a plate: the detector is certain, or it doubts and the reader sees one's lettering."""
        return self.detection.certain or (self.characters.legible and self.regions.no_plate < NO_PLATE_FROM)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another text that the same frames may mean; confidence 0..1."""

    text: str
    confidence: float


class ReadKey(NamedTuple):
    """What a receipt confirms: a read as it was first said, or a correction of it."""

    id: UUID
    revision: int = 0


class ImageKey(NamedTuple):
    """What a receipt confirms of a picture: whose, the read's id, and its hash."""

    read: UUID
    sha256: str


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A picture as a file; width and height in pixels."""

    file: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One vehicle pass: the characters of all its frames, fused; a higher revision corrects what its id said."""

    id: UUID
    revision: int
    camera: str
    text: str
    confidence: float
    character_confidences: tuple[float, ...]
    candidates: tuple[Candidate, ...]
    region: Region | None
    box: Box
    frame_size: tuple[int, int]
    captured: Stamp
    captured_frame: int
    first: Stamp
    last: Stamp
    frames: int
    frame_numbers: tuple[int, int]
    patch: Image
    """The plate as the best frame shows it, which box, frame_size, captured and captured_frame are of."""


def corrected(reads: Iterable[Read]) -> list[Read]:
    """The reads as their last corrections have them."""
    return list({read.id: read for read in reads}.values())


def counted(number: int, what: str) -> str:
    """Give a number of things in words: 1 read, 2 reads."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class Missing(StrEnum):
    """What will not come: reads, with their pictures, or only the pictures."""

    READS = "reads"
    IMAGES = "images"


class GapReason(StrEnum):
    """Why they will not come."""

    QUOTA = "quota"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"
    DAMAGED = "damaged"
    PURGED = "purged"
    NOT_WRITTEN = "not_written"


MOST_CAMERAS = 16
"""Of a car: its health record names them all."""

MOST_RANGES = 200
"""Ranges of places in one gap record; what is more goes into the next one."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the car was; fix_age_ms is the fix's age when it was asked for."""

    lat_deg: float
    lon_deg: float
    speed_kmh: float | None
    heading_deg: float | None
    fix_age_ms: int


@dataclass(frozen=True, slots=True)
class ClockState:
    """How far the car's UTC can be trusted; source is `ntp`, `gps` or `none`."""

    synchronized: bool
    source: str
    error_ms: int | None


NOT_SYNCHRONIZED = ClockState(synchronized=False, source="none", error_ms=None)

NewId = Callable[[datetime], UUID]
"""Makes a read's id from its capture time."""

Now = Callable[[], Stamp]
"""Reads both clocks at once."""

"""One plate in sight: where it is, how it moves, what its frames said."""

import math
from dataclasses import dataclass
from uuid import UUID

from edge_agent.domain import (
    NO_REGIONS,
    Box,
    CharacterProbabilities,
    Detection,
    Frame,
    Image,
    Reading,
    RegionProbabilities,
    Stamp,
)
from edge_agent.reading.motion import Motion
from edge_agent.reading.settled import Settled
from edge_agent.reading.vote import Ballot, Fused, alike, ballot, fuse, fuse_regions

MOST_BALLOTS = 60
"""A car followed for minutes keeps its best frames, not all of them."""

SURE, ALIKE = 0.6, 0.5
"""Two readings that are so sure of their weakest characters and have less than this in common are of two plates."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The plate as one frame showed it; weight as in its ballot."""

    weight: float
    stamp: Stamp
    number: int
    box: Box
    frame_size: tuple[int, int]
    characters: CharacterProbabilities
    patch: Image


def sight(frame: Frame, reading: Reading, weight: float) -> Sight:
    """Keep a copy of the plate's pixels: the frame itself is let go."""
    box = reading.detection.box
    x1, y1 = max(0, int(box.x1)), max(0, int(box.y1))
    patch = frame.image[y1 : max(y1 + 1, round(box.y2)), x1 : max(x1 + 1, round(box.x2))].copy()
    return Sight(
        weight=weight,
        stamp=frame.stamp,
        number=frame.number,
        box=box,
        frame_size=frame.size,
        characters=reading.characters,
        patch=patch,
    )


@dataclass(slots=True, eq=False)
class Given:
    """A pass that became a read: what it said last, and when and where its plate was last in sight."""

    id: UUID
    characters: CharacterProbabilities
    support: float
    motion: Motion
    last: Stamp
    revision: int = 0


class Track:
    """A plate followed from frame to frame."""

    def __init__(self, number: int, frame: Frame, reading: Reading) -> None:
        """Begin with a plate's first sight."""
        self.number = number
        self.camera = frame.camera
        self.first = self.last = frame.stamp
        self.numbers = (frame.number, frame.number)
        self.motion = Motion(reading.detection.box, frame.stamp.monotonic_s)
        self.first_box = reading.detection.box
        self.best = sight(frame, reading, ballot(reading).weight)
        self.weight = self.best.weight
        """Of the last sight."""
        self.hits = 0
        self.given: Given | None = None
        """The read of its pass, once there is one."""
        self.due_s = math.inf
        """When it is to be read at the latest, monotonic; once it was read, when to look whether it says more."""
        self.shares = 0.0
        """Of the weakest characters of its frames, added up: it can have no more evidence than that."""
        self.settled = Settled(frame, reading)
        self._ballots: list[Ballot] = []
        self._count(frame, reading)

    def cost(self, frame: Frame, reading: Reading) -> float:
        """How unlikely it is that the reading is of this plate: lower is likelier, infinite where it cannot be."""
        cost = self.motion.cost(reading.detection.box, frame.stamp.monotonic_s)
        if cost < math.inf and min(self.best.characters.confidence, reading.characters.confidence) >= SURE:
            return cost if alike(self.best.characters, reading.characters) >= ALIKE else math.inf
        return cost

    def take(self, frame: Frame, reading: Reading) -> None:
        """Take the plate's next sight and what it says."""
        self._move(frame, reading.detection.box)
        self.settled.read(frame, reading)
        self._count(frame, reading)

    def follow(self, frame: Frame, detection: Detection) -> None:
        """Take its next sight, not read again."""
        self._move(frame, detection.box)
        self.settled.followed(frame, detection.box)
        self.hits += 1

    def stay(self, frame: Frame) -> None:
        """Be in sight where it was; the same picture again is no evidence."""
        self._move(frame, self.motion.box)

    def _move(self, frame: Frame, box: Box) -> None:
        self.motion.follow(box, frame.stamp.monotonic_s)
        self.last, self.numbers = frame.stamp, (self.numbers[0], frame.number)

    def _count(self, frame: Frame, reading: Reading) -> None:
        self.hits += 1
        one = ballot(reading)
        self.weight = one.weight
        if one.weight > self.best.weight:
            self.best = sight(frame, reading, one.weight)
        if len(reading.characters):
            self._ballots.append(one)
            self.shares += reading.characters.confidence
        if len(self._ballots) > MOST_BALLOTS:
            self._ballots.remove(min(self._ballots, key=lambda kept: kept.weight))

    def fused(self) -> Fused | None:
        """What the frames say together; None when no frame showed a character."""
        return fuse(self._ballots) if self._ballots else None

    def regions(self) -> RegionProbabilities:
        """What the frames together tell of where the plate was issued, and of whether it is one."""
        return fuse_regions(self._ballots) if self._ballots else NO_REGIONS

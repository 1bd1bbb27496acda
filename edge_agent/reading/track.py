"""One plate in sight: where it is, how it moves, what its frames said."""

from dataclasses import dataclass, field

from edge_agent.domain import Box, CharacterProbabilities, Frame, Image, Reading, Region, Stamp
from edge_agent.reading.vote import Ballot, ballot, fuse, fuse_regions

VELOCITY_GAIN = 0.6
"""Share of a newly measured velocity in the kept one (alpha-beta filter); vibration averages out."""

MOST_BALLOTS = 60
"""A car followed for minutes keeps its best frames, not all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The plate as one frame showed it; weight as in its ballot."""

    weight: float
    stamp: Stamp
    number: int
    box: Box
    frame_size: tuple[int, int]
    patch: Image


def sight(frame: Frame, reading: Reading, weight: float) -> Sight:
    """Keep a copy of the plate's pixels: the frame itself is let go."""
    box = reading.detection.box
    x1, y1 = max(0, int(box.x1)), max(0, int(box.y1))
    patch = frame.image[y1 : max(y1 + 1, round(box.y2)), x1 : max(x1 + 1, round(box.x2))].copy()
    return Sight(weight=weight, stamp=frame.stamp, number=frame.number, box=box, frame_size=frame.size, patch=patch)


@dataclass(slots=True, eq=False)
class Given:
    """A pass that became a read: what it said, and when its plate was last in sight."""

    characters: CharacterProbabilities
    last: Stamp


@dataclass(slots=True)
class Track:
    """A plate followed from frame to frame; velocity in pixels a second."""

    camera: str
    box: Box
    first: Stamp
    last: Stamp
    numbers: tuple[int, int]
    best: Sight
    due_s: float
    """When it is to be read at the latest, monotonic."""
    velocity: tuple[float, float] = (0.0, 0.0)
    hits: int = 0
    ballots: list[Ballot] = field(default_factory=list)
    given: Given | None = None
    """The read of its pass, once there is one."""

    @classmethod
    def start(cls, frame: Frame, reading: Reading, *, due_s: float) -> "Track":
        """Begin with a plate's first sight."""
        track = cls(
            camera=frame.camera,
            box=reading.detection.box,
            first=frame.stamp,
            last=frame.stamp,
            numbers=(frame.number, frame.number),
            best=sight(frame, reading, ballot(reading).weight),
            due_s=due_s,
        )
        track._count(frame, reading)
        return track

    def center_at(self, stamp: Stamp) -> tuple[float, float]:
        """Predict the plate's centre, pixels."""
        elapsed_s = stamp.monotonic_s - self.last.monotonic_s
        x, y = self.box.center
        return x + self.velocity[0] * elapsed_s, y + self.velocity[1] * elapsed_s

    def follow(self, frame: Frame, reading: Reading) -> None:
        """Take the plate's next sight."""
        box = reading.detection.box
        elapsed_s = frame.stamp.monotonic_s - self.last.monotonic_s
        if elapsed_s > 0:
            gain = VELOCITY_GAIN if self.hits > 1 else 1.0
            (old_x, old_y), (new_x, new_y), (vx, vy) = self.box.center, box.center, self.velocity
            self.velocity = (
                vx + gain * ((new_x - old_x) / elapsed_s - vx),
                vy + gain * ((new_y - old_y) / elapsed_s - vy),
            )
        self.box, self.last, self.numbers = box, frame.stamp, (self.numbers[0], frame.number)
        self._count(frame, reading)

    def _count(self, frame: Frame, reading: Reading) -> None:
        self.hits += 1
        one = ballot(reading)
        if one.weight > self.best.weight:
            self.best = sight(frame, reading, one.weight)
        if len(reading.characters):
            self.ballots.append(one)
        if len(self.ballots) > MOST_BALLOTS:
            self.ballots.remove(min(self.ballots, key=lambda kept: kept.weight))

    def characters(self) -> CharacterProbabilities | None:
        """Fuse the frames; None when no frame showed a character."""
        return fuse(self.ballots) if self.ballots else None

    def region(self) -> Region | None:
        """What the frames together tell of where the plate was issued; None where that is too little."""
        return fuse_regions(self.ballots).region if self.ballots else None

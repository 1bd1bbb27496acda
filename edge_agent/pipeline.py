"""One frame in, the reads it completes out: what the car, the tools, the benchmark and the tests all call."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.domain import Detection, Frame, Image, Read, Reading
from edge_agent.vision.gray import to_gray


class FindsPlates(Protocol):
    """What the pipeline needs from a detector."""

    def find(self, image: Image, *, quarters: Iterable[int]) -> list[Detection]: ...


class ReadsPlates(Protocol):
    """What the pipeline needs from a reader: one reading a detection, in their order."""

    def read(self, image: Image, detections: Sequence[Detection]) -> list[Reading]: ...


class TellsStill(Protocol):
    """What the pipeline needs to know of a picture: whether it shows what the one looked at last did."""

    def same(self, image: Image) -> bool: ...


class FollowsVehicles(Protocol):
    """What the pipeline needs from a tracker."""

    @property
    def in_sight(self) -> bool: ...

    def follow(self, frame: Frame, detections: Sequence[Detection]) -> list[Detection]: ...

    def update(self, frame: Frame, readings: Sequence[Reading]) -> list[Read]: ...

    def stay(self, frame: Frame) -> list[Read]: ...

    def advance(self, now_s: float) -> list[Read]: ...

    def finish(self) -> list[Read]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one picture shows, and the time it took; disbelieved is what was found and then taken for no plate."""

    detections: tuple[Detection, ...]
    """All that was found, read or not."""
    readings: tuple[Reading, ...]
    disbelieved: tuple[Reading, ...]
    detect_ms: float
    read_ms: float


class Pipeline:
    """Detector, reader and tracker of one camera; no disk, no network, no settings."""

    def __init__(
        self,
        *,
        detector: FindsPlates,
        reader: ReadsPlates,
        tracker: FollowsVehicles,
        still: TellsStill | None = None,
    ) -> None:
        self._detector = detector
        self._reader = reader
        self._tracker = tracker
        self._still = still

    @property
    def in_sight(self) -> bool:
        """Whether a plate is in sight, or was a moment ago."""
        return self._tracker.in_sight

    def look(self, image: Image, *, quarters: Iterable[int] = ()) -> Look:
        """Find and read the plates of one picture; far ones too in the quarters (0..3) named."""
        return self._look(to_gray(image), quarters, to_read=lambda detections: detections)

    def _look(
        self, gray: Image, quarters: Iterable[int], *, to_read: Callable[[list[Detection]], list[Detection]]
    ) -> Look:
        started = time.perf_counter()
        detections = self._detector.find(gray, quarters=quarters)
        found = time.perf_counter()
        left = to_read(detections)
        chosen = time.perf_counter()
        readings = self._reader.read(gray, left)
        done = time.perf_counter()
        return Look(
            detections=tuple(detections),
            readings=tuple(one for one in readings if one.believed),
            disbelieved=tuple(one for one in readings if not one.believed),
            detect_ms=(found - started) * 1e3,
            read_ms=(done - chosen) * 1e3,
        )

    def step(
        self,
        frame: Frame,
        *,
        quarters: Iterable[int] = (),
        looked: Callable[[Frame, Look], None] | None = None,
    ) -> list[Read]:
        """Take one frame further; give the vehicle passes that are complete by its time stamp.

        A frame that shows what the last one did is not looked at again: its plates are where they were. `looked` is
        told of the others, in which the plates are read that the tracker wants to know more of.
        """
        gray = to_gray(frame.image)
        if self._still is not None and self._still.same(gray):
            return self._tracker.stay(frame)
        look = self._look(gray, quarters, to_read=lambda detections: self._tracker.follow(frame, detections))
        if looked is not None:
            looked(frame, look)
        return self._tracker.update(frame, look.readings)

    def advance(self, now_s: float) -> list[Read]:
        """Give the passes that are complete by a monotonic time, while the camera shows nothing."""
        return self._tracker.advance(now_s)

    def finish(self) -> list[Read]:
        """Give the passes still open when the source has ended."""
        return self._tracker.finish()

"""One camera from its frames to the outbox."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from edge_agent.camera.capture import Capture, CaptureStatus
from edge_agent.domain import Frame, Read, counted
from edge_agent.errors import OutboxDamaged, OutboxError
from edge_agent.latest import Latest
from edge_agent.vision.far import FarLooks

log = logging.getLogger(__name__)

LOOK_UP_S = 0.5

STANDING_BELOW_KMH = 5.0
STANDING_PERIODS = 2
"""A car that stands looks at half as many frames until a plate is in sight: nothing closes in as fast as while it
drives."""

MOST_WAITING = 1000
"""Reads that may wait in memory while the disk refuses them."""

KeepReads = Callable[[Sequence[Read]], None]
"""Commits reads to disk, synced, before it returns. Raises OutboxError."""


class TakesFrames(Protocol):
    """What the line needs from a pipeline: the reads that a frame, or time alone, completes."""

    @property
    def in_sight(self) -> bool: ...

    def step(self, frame: Frame, *, quarters: Iterable[int]) -> list[Read]: ...

    def advance(self, now_s: float) -> list[Read]: ...

    def finish(self) -> list[Read]: ...


@dataclass(frozen=True, slots=True)
class LineStatus:
    """A camera's line as the supervisor sees it.

    turned_s: when the pipeline last turned, monotonic. finished: it came to its end by itself, no error cut it off.
    """

    capture: CaptureStatus
    processed: int
    dropped: int
    reads: int
    waiting: int
    lost: int
    turned_s: float
    capturing: bool
    processing: bool
    finished: bool


class CameraLine:
    """A capture thread that fills the mailbox and a pipeline thread that empties it."""

    def __init__(
        self,
        *,
        name: str,
        capture: Capture,
        latest: Latest[Frame],
        pipeline: TakesFrames,
        keep: KeepReads,
        tell_lost: Callable[[int], None],
        max_fps: float,
        far_plates: bool,
        own_speed_kmh: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.name = name
        self._capture = capture
        self._latest = latest
        self._pipeline = pipeline
        self._keep = keep
        self._tell_lost = tell_lost
        self._period_s = 1 / max_fps
        self._far_plates = far_plates
        self._own_speed_kmh = own_speed_kmh
        self._stop = threading.Event()
        self._waiting: list[Read] = []
        self._processed = self._reads = self._lost = self._told_lost = 0
        self._refused = self._losing = False
        """Whether the disk takes no reads, and whether that costs some: each was told when it began."""
        self._far = FarLooks()
        self._finished = False
        self._turned_s = time.monotonic()
        self._threads = (
            threading.Thread(target=self._capture.run, args=(self._stop,), name=f"{name}-capture", daemon=True),
            threading.Thread(target=self._run, name=f"{name}-pipeline", daemon=True),
        )

    @property
    def status(self) -> LineStatus:
        # First who is alive: what has ended in the meantime had said how before.
        capturing, processing = (thread.is_alive() for thread in self._threads)
        return LineStatus(
            capture=self._capture.status,
            processed=self._processed,
            dropped=self._latest.dropped,
            reads=self._reads,
            waiting=len(self._waiting),
            lost=self._lost,
            turned_s=self._turned_s,
            capturing=capturing,
            processing=processing,
            finished=self._finished,
        )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask for the end; the pipeline completes its passes even while the camera blocks."""
        self._stop.set()
        self._latest.close()

    def close(self, timeout_s: float) -> None:
        """Wait until the passes still open are complete and committed, and the camera is let go."""
        self.stop()
        for thread in reversed(self._threads):
            thread.join(timeout_s)
            if thread.is_alive():
                log.error("%s did not end within %.0f s", thread.name, timeout_s)

    def _run(self) -> None:
        took_s = math.inf  # the last look at a whole frame
        while not self._latest.closed:
            frame = self._latest.take(LOOK_UP_S)
            self._turned_s = time.monotonic()
            if frame is None:
                self._store(self._pipeline.advance(self._turned_s))
                continue
            # A quarter costs as much as the frame, which only who keeps up has to spare.
            has_time = self._far_plates and 2 * took_s <= self._period_s
            quarters = self._far.due(self._turned_s) if has_time else ()
            self._store(self._pipeline.step(frame, quarters=quarters))
            self._processed += 1
            busy_s = time.monotonic() - self._turned_s
            took_s = busy_s / (1 + len(quarters))
            self._stop.wait(max(0.0, self._pause_s() - busy_s))
        self._store(self._pipeline.finish())
        self._finished = True
        self._let_go()

    def _pause_s(self) -> float:
        """From one look to the next."""
        speed_kmh = self._own_speed_kmh()
        stands = speed_kmh is not None and speed_kmh < STANDING_BELOW_KMH
        return self._period_s * (STANDING_PERIODS if stands and not self._pipeline.in_sight else 1)

    def _store(self, reads: Sequence[Read]) -> None:
        """Commit reads; what a full or faulty disk refuses waits in memory, bounded, and is tried again."""
        self._waiting += reads
        if not self._waiting:
            return
        try:
            self._keep(self._waiting)
        except OutboxDamaged:  # the next start salvages it
            self._let_go()
            raise
        except OutboxError as error:
            self._wait(error)
            return
        if self._refused:
            log.info("%s: the disk takes reads again: %d written", self.name, len(self._waiting))
            self._refused = self._losing = False
        for read in self._waiting:
            log.debug("%s: read %s, confidence %.2f, %d frames", self.name, read.text, read.confidence, read.frames)
        self._reads += len(self._waiting)
        self._waiting.clear()
        self._account()

    def _let_go(self) -> None:
        """Say how many reads the disk has not taken at the end."""
        if self._waiting:
            log.error("%s: %s lost: not taken by the disk", self.name, counted(len(self._waiting), "read"))
            self._lost += len(self._waiting)
            self._waiting.clear()
            self._account()

    def _account(self) -> None:
        """Write down how many reads were lost while the disk took none: the store is told."""
        if untold := self._lost - self._told_lost:
            with suppress(OutboxError):  # it is tried again after the next read
                self._tell_lost(untold)
                self._told_lost = self._lost

    def _wait(self, error: OutboxError) -> None:
        """Let go of the oldest reads beyond the bound; say so when it begins, not for each further read."""
        excess = max(0, len(self._waiting) - MOST_WAITING)
        del self._waiting[:excess]
        self._lost += excess
        is_news = not self._refused or (excess > 0 and not self._losing)
        self._refused, self._losing = True, self._losing or excess > 0
        if is_news:
            waiting = counted(len(self._waiting), "read")
            log.error("%s: %s waiting in memory, %d lost: %s", self.name, waiting, self._lost, error)

"""The loop of a capture thread: frames into the mailbox, and back to the camera when it fails."""

import logging
import random
import threading
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from edge_agent.camera.base import Camera
from edge_agent.camera.health import Condition, PictureHealth
from edge_agent.domain import Frame, Now
from edge_agent.errors import CameraError

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
RATE_WINDOW = 60


class TakesFrames(Protocol):
    """Where the frames go; `close` says that none will follow."""

    def put(self, item: Frame) -> None: ...

    def close(self) -> None: ...


class CaptureState(Enum):
    """What the capture thread is doing."""

    OPENING = "opening"
    RUNNING = "running"
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """A camera as the supervisor sees it; turned_s is when its loop last turned."""

    state: CaptureState = CaptureState.OPENING
    condition: Condition = Condition.OK
    frames: int = 0
    fps: float = 0.0
    reopened: int = 0
    turned_s: float = 0.0
    last_error: str = ""


class Capture:
    """Keeps one camera open and its newest frame in the mailbox, until it is stopped or the source ends."""

    def __init__(self, *, name: str, camera: Camera, sink: TakesFrames, now: Now, jitter: random.Random) -> None:
        self._name = name
        self._camera = camera
        self._sink = sink
        self._now = now
        self._jitter = jitter
        self._times: deque[float] = deque(maxlen=RATE_WINDOW)
        self._failures = 0
        self.status = CaptureStatus()

    def run(self, stop: threading.Event) -> None:
        """Capture until stopped; a camera that fails is opened again after a growing, jittered pause."""
        self._turn()
        try:
            while not stop.is_set():
                try:
                    self._camera.open()
                    if self._stream(stop):
                        break
                except CameraError as error:
                    self._camera.close()  # before the pause: another program may want the camera meanwhile
                    self._failed(error, stop)
            self._turn(state=CaptureState.ENDED, fps=0.0)  # not after an unforeseen error: that is no end
        finally:
            self._camera.close()
            self._sink.close()

    def _stream(self, stop: threading.Event) -> bool:
        """Read frames; true when the source has ended by itself."""
        health = PictureHealth()
        while not stop.is_set():
            frame = self._camera.read()
            if frame is None:
                return True
            if self._failures or not self.status.frames:
                log.info("camera %s: gives pictures of %d x %d", self._name, *frame.size)
            self._failures = 0
            self._times.append(self._now().monotonic_s)
            self._judge(health.judge(frame))
            self._turn(state=CaptureState.RUNNING, frames=self.status.frames + 1, fps=self._fps())
            self._sink.put(frame)
        return False

    def _judge(self, condition: Condition) -> None:
        before = self.status.condition
        if condition is before:
            return
        self._turn(condition=condition)
        if condition is Condition.OK:
            log.info("camera %s: pictures are good again", self._name)
        else:
            log.warning("camera %s: the picture is %s: check the camera and its lens", self._name, condition.value)

    def _failed(self, error: CameraError, stop: threading.Event) -> None:
        """Say it once, then wait between nothing and the doubled pause (full jitter)."""
        self._failures += 1
        self._times.clear()
        if str(error) != self.status.last_error or self._failures == 1:
            log.warning("%s", error)
        self._turn(
            state=CaptureState.WAITING,
            condition=Condition.STALLED,
            fps=0.0,
            reopened=self.status.reopened + 1,
            last_error=str(error),
        )
        longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        stop.wait(self._jitter.uniform(0, longest_s))
        self._turn(state=CaptureState.OPENING)

    def _turn(self, **changes: object) -> None:
        self.status = replace(self.status, turned_s=self._now().monotonic_s, **changes)  # type: ignore[arg-type]

    def _fps(self) -> float:
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return 0.0
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

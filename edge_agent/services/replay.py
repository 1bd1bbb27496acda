"""`edge-agent replay`: a recording through the pipeline of the car, every frame."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_agent import host, wiring
from edge_agent.camera.files import FilesCamera
from edge_agent.camera.pace import LONGEST_WAIT_S, Pace
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Read, Stamp
from edge_agent.services.report.recorder import Recorder
from edge_agent.vision.far import FarLooks

SLACK_S = 0.005
"""A frame may come so much earlier than max_fps has it, as time stamps are rounded."""


def recording(path: Path) -> FilesCamera:
    """A video or a directory of pictures as a camera that gives every frame, open. Raises CameraError."""
    camera = FilesCamera(name="replay", path=path, pace="fast", now=host.now)
    camera.open()
    return camera


@dataclass(frozen=True, slots=True)
class Seeing:
    """What a recording is read with: every frame, or as a camera of a car would, no more than max_fps a second."""

    models: ModelSettings
    reading: ReadingSettings
    tracking: TrackingSettings
    max_fps: float = math.inf

    def told(self) -> str:
        """The settings that are not the defaults."""
        named = [
            f"{table}.{name} = {value}"
            for table, settings in (("reading", self.reading), ("tracking", self.tracking))
            for name, value in settings.model_dump(exclude_defaults=True).items()
        ]
        return ", ".join(named) or "every setting as it comes"


class Replay:
    """A recording on its way through the pipeline, every frame of it by the recording's own time.

    At the pace `recorded` a frame is waited for until it is due; where the computer is slower than the recording
    nothing is left out, and `behind_s` says how late it became. `stop` ends it early: what was read by then counts.
    """

    def __init__(
        self,
        camera: FilesCamera,
        *,
        pace: Pace,
        seeing: Seeing,
        recorder: Recorder | None,
        stop: threading.Event,
    ) -> None:
        self._camera = camera
        self._waits = pace == "recorded"
        self._seeing = seeing
        self._recorder = recorder
        self._stop = stop
        self._ahead_s = 0.0
        """The recording's time, of the computer's, while it is neither early nor late."""
        self.began_s = 0.0
        """Of the first frame, monotonic."""
        self.reached = 0
        """Of the recording's frames, those before this number came."""
        self.behind_s = 0.0

    @property
    def stopped(self) -> bool:
        """Whether it was asked to end early."""
        return self._stop.is_set()

    def reads(self, advance: Callable[[float], None]) -> Iterator[Read]:
        """Give each vehicle pass, and each correction. Raises CameraError.

        `advance` is told with each frame how much of the recording's length is done.
        """
        pipeline = wiring.pipeline(
            models=self._seeing.models,
            reading=self._seeing.reading,
            tracking=self._seeing.tracking,
            journal=self._recorder,
        )
        recorder, far = self._recorder, FarLooks() if self._seeing.reading.far_plates else None
        due_s, period_s = -math.inf, 1 / self._seeing.max_fps
        try:
            for frame in iter(self._camera.read, None):
                if not self.reached:
                    self.began_s = frame.stamp.monotonic_s
                    self._ahead_s = self.began_s - host.now().monotonic_s
                self._wait_until(frame.stamp)
                if self._stop.is_set():
                    break
                self.reached = frame.number + 1
                advance(self._camera.done)
                is_due = frame.stamp.monotonic_s >= due_s
                if recorder:
                    recorder.frame(frame, passed_over=not is_due)
                if not is_due:
                    continue
                due_s = frame.stamp.monotonic_s + period_s - SLACK_S
                quarters = far.due(frame.stamp.monotonic_s) if far else ()
                yield from pipeline.step(frame, quarters=quarters, looked=recorder.looked if recorder else None)
            yield from pipeline.finish()
        finally:
            self._camera.close()

    def _wait_until(self, due: Stamp) -> None:
        """Wait for a frame's time, where the pace asks for it; a longer gap than LONGEST_WAIT_S is cut short."""
        if not self._waits:
            return
        early_s = due.monotonic_s - self._ahead_s - host.now().monotonic_s
        self._ahead_s += max(0.0, early_s - LONGEST_WAIT_S)
        self.behind_s = max(self.behind_s, -early_s)
        self._stop.wait(min(max(0.0, early_s), LONGEST_WAIT_S))


def as_json(read: Read, *, began_s: float) -> str:
    """One line of `replay --jsonl`; began_s is the monotonic time of the first frame."""
    return json.dumps(
        {
            "text": read.text,
            "confidence": round(read.confidence, 3),
            "characters": [round(share, 3) for share in read.character_confidences],
            "candidates": [{"text": one.text, "confidence": round(one.confidence, 3)} for one in read.candidates],
            "region": asdict(read.region) if read.region else None,
            "box": [round(edge, 1) for edge in read.box],
            "frames": list(read.frame_numbers),
            "seconds": [round(at.monotonic_s - began_s, 3) for at in (read.first, read.last)],
            "id": str(read.id),
            "revision": read.revision,
        }
    )


def as_line(read: Read) -> str:
    """What a person is shown."""
    first, last = read.frame_numbers
    return (
        f"{read.text:<10} confidence {read.confidence:.2f}  from frames {first}-{last} (seen in {read.frames})"
        f"  plate {read.box.width:.0f}x{read.box.height:.0f} px"
    )

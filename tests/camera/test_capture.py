import logging
import random
import threading
from collections.abc import Callable, Sequence

import pytest

from edge_agent import host
from edge_agent.camera.capture import Capture, CaptureState
from edge_agent.camera.health import Condition
from edge_agent.domain import Frame
from edge_agent.errors import CameraError
from edge_agent.latest import Latest
from tests import fakes

Step = Frame | None | CameraError


class ScriptedCamera:
    """Plays a list of frames, faults and the end; each opening takes the next list."""

    def __init__(self, *openings: Sequence[Step] | CameraError) -> None:
        self._openings = list(openings)
        self._steps: list[Step] = []
        self.closed = 0

    def open(self) -> None:
        opening = self._openings.pop(0)
        if isinstance(opening, CameraError):
            raise opening
        self._steps = list(opening)

    def read(self) -> Frame | None:
        step = self._steps.pop(0)
        if isinstance(step, CameraError):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


class NoPause(random.Random):
    """Jitter that never waits."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


def run(camera: ScriptedCamera, stop: threading.Event | None = None) -> tuple[Capture, Latest[Frame]]:
    latest: Latest[Frame] = Latest()
    capture = Capture(name="front", camera=camera, sink=latest, now=host.now, jitter=NoPause())
    capture.run(stop or threading.Event())
    return capture, latest


def test_the_newest_frame_is_in_the_mailbox_and_the_end_closes_it() -> None:
    capture, latest = run(ScriptedCamera([fakes.frame(0, 0.0), fakes.frame(1, 0.1), None]))
    frame = latest.take(0)
    assert frame is not None
    assert frame.number == 1
    assert latest.dropped == 1
    assert latest.closed
    assert capture.status.state is CaptureState.ENDED
    assert capture.status.frames == 2


def test_a_camera_that_fails_is_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    camera = ScriptedCamera(
        CameraError("camera front: is not there"),
        [fakes.frame(0, 0.0), CameraError("camera front: no frame for 5 s")],
        [fakes.frame(1, 9.0), None],
    )
    with caplog.at_level(logging.WARNING):
        capture, _ = run(camera)
    assert capture.status.reopened == 2
    assert capture.status.frames == 2
    assert camera.closed == 3
    assert [record.message for record in caplog.records] == [
        "camera front: is not there",
        "camera front: no frame for 5 s",
    ]


def test_a_camera_is_let_go_before_the_pause() -> None:
    camera = ScriptedCamera([CameraError("camera front: no frame for 5 s")], [None])
    closed: list[int] = []

    class Looking(random.Random):
        def uniform(self, a: float, b: float) -> float:
            closed.append(camera.closed)
            return 0.0

    Capture(name="front", camera=camera, sink=Latest[Frame](), now=host.now, jitter=Looking()).run(
        threading.Event()
    )
    assert closed == [1]


def test_the_same_failure_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    gone = CameraError("camera front: is not there")
    run(ScriptedCamera(gone, gone, gone, [None]))
    assert caplog.text.count("is not there") == 1


def test_stop_ends_it_while_it_waits() -> None:
    stop = threading.Event()

    class StoppingJitter(random.Random):
        def uniform(self, a: float, b: float) -> float:
            stop.set()
            return 1000.0

    capture = Capture(
        name="front",
        camera=ScriptedCamera(CameraError("camera front: is not there")),
        sink=Latest[Frame](),
        now=host.now,
        jitter=StoppingJitter(),
    )
    capture.run(stop)
    assert capture.status.state is CaptureState.ENDED


def test_pauses_grow_with_jitter_up_to_a_bound() -> None:
    bounds: list[float] = []

    class Recording(random.Random):
        def uniform(self, a: float, b: float) -> float:
            bounds.append(b)
            return 0.0

    capture = Capture(
        name="front",
        camera=ScriptedCamera(*[CameraError("camera front: is not there")] * 12, [None]),
        sink=Latest[Frame](),
        now=host.now,
        jitter=Recording(),
    )
    capture.run(threading.Event())
    assert bounds[:3] == [1.0, 2.0, 4.0]
    assert bounds[-1] == 30.0


def judged(seconds: Callable[[int], float], count: int) -> Capture:
    return run(ScriptedCamera([*(fakes.frame(n, seconds(n)) for n in range(count)), None]))[0]


def test_a_frozen_picture_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    capture = judged(lambda n: n * 0.5, 25)
    assert capture.status.condition is Condition.FROZEN
    assert caplog.text.count("the picture is frozen") == 1

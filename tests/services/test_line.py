import random
import threading
from collections.abc import Sequence

import pytest

from edge_agent import host
from edge_agent.camera.capture import Capture, CaptureState
from edge_agent.domain import Frame, Read
from edge_agent.errors import OutboxDamaged, OutboxError
from edge_agent.latest import Latest
from edge_agent.pipeline import Pipeline
from edge_agent.reading.tracker import Rules, Tracker
from edge_agent.services.line import CameraLine
from edge_agent.vision import far
from tests import fakes
from tests.contract.reads import make_read

RULES = Rules(emit_after_s=1.5, emit_at_latest_s=3.0, min_evidence=1.1, min_plate_width_px=1, unsure_below=0.5)


class PatientLatest(Latest[Frame]):
    """A mailbox that tells whether its item was taken."""

    @property
    def take_is_pending(self) -> bool:
        return self._item is not None


class Frames:
    """A camera that waits until each frame was processed, so that none is dropped, then ends."""

    def __init__(self, count: int, latest: PatientLatest) -> None:
        self._left = [fakes.frame(number, number / 10) for number in range(count)]
        self._latest = latest

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        while self._latest.take_is_pending:
            threading.Event().wait(0.001)
        return self._left.pop(0) if self._left else None

    def close(self) -> None:
        pass


class Disk:
    """Keeps reads, but refuses the first so many times."""

    def __init__(self, refusals: int = 0) -> None:
        self.kept: list[Read] = []
        self.told_lost: list[int] = []
        self.refusals = refusals

    def __call__(self, reads: Sequence[Read]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OutboxError("outbox: disk full")
        self.kept += reads

    def tell_lost(self, reads: int) -> None:
        if self.refusals:
            raise OutboxError("outbox: disk full")
        self.told_lost.append(reads)


def make_line(
    latest: PatientLatest,
    camera: Frames,
    plates: fakes.PlatesGiven,
    disk: Disk,
    *,
    far_plates: bool = False,
    own_speed_kmh: float | None = None,
    max_fps: float = 120,
) -> CameraLine:
    return CameraLine(
        name="front",
        capture=Capture(name="front", camera=camera, sink=latest, now=host.now, jitter=random.Random()),
        latest=latest,
        pipeline=Pipeline(detector=plates, reader=plates, tracker=Tracker(rules=RULES, new_id=fakes.CountingIds())),
        keep=disk,
        tell_lost=disk.tell_lost,
        max_fps=max_fps,
        far_plates=far_plates,
        own_speed_kmh=lambda: own_speed_kmh,
    )


def run_line(
    disk: Disk, *, frames: int = 40, far_plates: bool = False, max_fps: float = 120
) -> tuple[CameraLine, fakes.PlatesGiven]:
    latest = PatientLatest()
    plates = fakes.PlatesGiven([fakes.reading("ABC123"), fakes.reading("XYZ789", x=400)])
    line = make_line(latest, Frames(frames, latest), plates, disk, far_plates=far_plates, max_fps=max_fps)
    line.start()
    while line.status.processing:
        threading.Event().wait(0.01)
    line.close(10)
    return line, plates


def run(disk: Disk, frames: int = 40) -> CameraLine:
    return run_line(disk, frames=frames)[0]


def test_frames_become_kept_reads() -> None:
    disk = Disk()
    line = run(disk)
    assert sorted(read.text for read in disk.kept) == ["ABC123", "XYZ789"]
    assert (line.status.processed, line.status.reads, line.status.waiting, line.status.lost) == (40, 2, 0, 0)
    assert not line.status.capturing


@pytest.mark.parametrize(("every_s", "looked_at"), [(0.0, [1, 2, 3, 0, 1, 2, 3]), (1000.0, [1])])
def test_a_line_that_has_time_looks_at_the_quarters_in_turn(
    monkeypatch: pytest.MonkeyPatch, every_s: float, looked_at: list[int]
) -> None:
    monkeypatch.setattr(far, "LOOK_EVERY_S", every_s)
    line, plates = run_line(Disk(), frames=8, far_plates=True, max_fps=10)
    assert line.status.dropped == 0
    assert plates.quarters == looked_at  # the first frame has nothing to tell its time by


def test_where_far_plates_are_not_wanted_nothing_is_looked_at_twice() -> None:
    assert run_line(Disk(), frames=8, far_plates=False)[1].quarters == []


def test_a_frame_that_had_to_wait_is_looked_at_once() -> None:
    """The next frame is already there whenever one is taken: the line does not keep up."""
    latest = PatientLatest()
    plates = fakes.PlatesGiven([fakes.reading("ABC123")])

    for number in range(3):
        latest.put(fakes.frame(number, number / 10))
    line = make_line(latest, Frames(0, latest), plates, Disk(), far_plates=True)
    line.start()
    while line.status.processing:
        threading.Event().wait(0.01)
    assert (line.status.processed, line.status.dropped) == (1, 2)
    assert plates.quarters == []


@pytest.mark.parametrize(
    ("speed_kmh", "plates", "periods"), [(None, 0, 1), (80.0, 0, 1), (0.0, 0, 2), (4.9, 0, 2), (0.0, 1, 1)]
)
def test_a_car_that_stands_looks_half_as_often_until_a_plate_is_in_sight(
    monkeypatch: pytest.MonkeyPatch, speed_kmh: float | None, plates: int, periods: int
) -> None:
    latest = PatientLatest()
    seen = fakes.PlatesGiven([fakes.reading("ABC123")][:plates])
    line = make_line(latest, Frames(0, latest), seen, Disk(), own_speed_kmh=speed_kmh, max_fps=1)
    waited: list[float] = []
    monkeypatch.setattr(line, "_stop", Stopwatch(waited))
    latest.put(fakes.frame(0, 0.0))
    line.start()
    while line.status.processing:
        threading.Event().wait(0.01)
    assert waited == [pytest.approx(periods, abs=0.5)]


class Stopwatch(threading.Event):
    """An event that notes for how long it was waited for, and does not wait."""

    def __init__(self, waited: list[float]) -> None:
        super().__init__()
        self._waited = waited

    def wait(self, timeout: float | None = None) -> bool:
        self._waited.append(timeout or 0.0)
        return True


def test_plates_are_in_the_log_at_debug_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        run(Disk())
    assert "ABC123" not in caplog.text
    with caplog.at_level("DEBUG"):
        run(Disk())
    assert "front: read ABC123, confidence 1.00" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pipeline_that_an_error_ends_has_not_finished() -> None:
    class Faulty(Disk):
        def __call__(self, reads: Sequence[Read]) -> None:
            raise ValueError("a fault of ours")

    assert run(Disk()).status.finished
    assert not run(Faulty()).status.finished


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_damaged_outbox_ends_the_line_so_that_the_next_start_salvages_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Damaged(Disk):
        def __call__(self, reads: Sequence[Read]) -> None:
            raise OutboxDamaged("outbox: is damaged")

    status = run(Damaged()).status
    assert not status.finished
    assert (status.lost, status.waiting) == (2, 0)
    assert "2 reads lost: not taken by the disk" in caplog.text


def test_a_pass_still_open_when_the_camera_ends_is_kept() -> None:
    disk = Disk()
    run(disk, frames=5)
    assert len(disk.kept) == 2


class Blocked(Frames):
    """Shows its frames, then blocks for ever, as a camera that hangs does."""

    def read(self) -> Frame | None:
        frame = super().read()
        while frame is None:
            threading.Event().wait(60)
        return frame


def test_a_pass_is_complete_in_time_although_the_camera_blocks_and_stop_does_not_wait_for_it() -> None:
    disk = Disk()
    latest = PatientLatest()
    plates = fakes.PlatesGiven([fakes.reading("ABC123")])
    line = make_line(latest, Blocked(5, latest), plates, disk)
    line.start()
    patience = threading.Event()
    for _ in range(3000):
        if disk.kept:
            break
        patience.wait(0.01)
    assert [read.text for read in disk.kept] == ["ABC123"]
    line.close(0.5)
    assert not line.status.processing


def test_an_unforeseen_error_of_a_camera_is_no_end() -> None:
    class Broken(Frames):
        def open(self) -> None:
            raise RuntimeError("unforeseen")

    latest = PatientLatest()
    capture = Capture(name="front", camera=Broken(0, latest), sink=latest, now=host.now, jitter=random.Random())
    with pytest.raises(RuntimeError, match="unforeseen"):
        capture.run(threading.Event())
    assert capture.status.state is not CaptureState.ENDED
    assert latest.closed


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the line said of the disk."""
    return [record.message for record in caplog.records if record.name == "edge_agent.services.line"]


def test_what_the_disk_refuses_is_kept_once_it_takes_it(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(refusals=3)
    with caplog.at_level("INFO"):
        line = run(disk)
    assert len(disk.kept) == 2
    assert line.status.lost == 0
    assert told(caplog) == [
        "front: 2 reads waiting in memory, 0 lost: outbox: disk full",
        "front: the disk takes reads again: 2 written",
    ]


def test_a_disk_that_refuses_for_long_is_told_when_it_begins_and_when_reads_begin_to_be_lost(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.services.line.MOST_WAITING", 3)
    line = make_line(PatientLatest(), Frames(0, PatientLatest()), fakes.PlatesGiven([]), disk := Disk(refusals=7))
    with caplog.at_level("INFO"):
        for _ in range(8):
            line._store([make_read()])
        disk.refusals = 1
        for _ in range(2):
            line._store([make_read()])
    assert told(caplog) == [
        "front: 1 read waiting in memory, 0 lost: outbox: disk full",
        "front: 3 reads waiting in memory, 1 lost: outbox: disk full",
        "front: the disk takes reads again: 4 written",
        "front: 1 read waiting in memory, 4 lost: outbox: disk full",
        "front: the disk takes reads again: 2 written",
    ]
    assert disk.told_lost == [4]


def test_what_the_disk_never_takes_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    line = run(Disk(refusals=10_000))
    assert (line.status.reads, line.status.waiting, line.status.lost) == (0, 0, 2)
    assert "2 reads lost: not taken by the disk" in caplog.text

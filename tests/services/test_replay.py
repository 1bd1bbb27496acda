"""Recordings of every shape through the pipeline."""

import math
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_agent import host
from edge_agent.camera.pace import Pace
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Image, Read, corrected
from edge_agent.services import replay
from edge_agent.services.replay import Replay, Seeing
from edge_agent.services.report.recorder import Recorder


def played(
    path: Path,
    *,
    recorder: Recorder | None = None,
    pace: Pace = "fast",
    stop: threading.Event | None = None,
    max_fps: float = math.inf,
) -> Replay:
    return Replay(
        replay.recording(path),
        pace=pace, seeing=Seeing(ModelSettings(threads=1), ReadingSettings(), TrackingSettings(), max_fps),
        recorder=recorder, stop=stop or threading.Event(),
    )  # fmt: skip


def read(path: Path) -> tuple[list[Read], Recorder, int]:
    recorder, turns = Recorder(), list[float]()
    reads = corrected(played(path, recorder=recorder).reads(turns.append))
    assert turns == sorted(turns)
    return reads, recorder, len(turns)


@pytest.fixture(scope="module")
def street() -> list[Image]:
    """Four seconds of the drive, in which one plate passes near, ten frames a second."""
    camera = SimCamera(name="sim", now=host.now, seed=1, seconds=4, rate_fps=10, pace="fast")
    camera.open()
    return [frame.image for frame in iter(camera.read, None)]


@pytest.fixture(scope="module")
def plate(street: list[Image]) -> str:
    camera = SimCamera(name="sim", now=host.now, seed=1, seconds=4, rate_fps=10, pace="fast")
    camera.open()
    for _ in iter(camera.read, None):
        pass
    return max(camera.truth(), key=lambda vehicle: max(seen.width_px for seen in vehicle.sightings)).text


def write(folder: Path, images: list[Image]) -> Path:
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number:04}.png"), image)
    return folder


def test_a_drive_is_read(tmp_path: Path, street: list[Image], plate: str) -> None:
    reads, recorder, turns = read(write(tmp_path, street))
    assert plate in [one.text for one in reads]
    assert recorder.stages["frames"] == turns == len(street)


def test_a_computer_slower_than_the_recording_keeps_the_recordings_time(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    pictures = [noise.integers(0, 255, (90, 160, 3), np.uint8) for _ in range(4)]
    recorder = Recorder()
    run = played(write(tmp_path, pictures), recorder=recorder, pace="recorded")
    assert list(run.reads(lambda _done: time.sleep(0.25))) == []  # the slow computer
    assert run.behind_s > 0.1
    assert run.reached == 4
    assert recorder.seconds == pytest.approx(0.3)


@pytest.mark.parametrize(("max_fps", "looked_at"), [(10.0, 6), (5.0, 3), (4.0, 2), (1.0, 1)])
def test_no_more_frames_are_looked_at_than_max_fps_has_it(tmp_path: Path, max_fps: float, looked_at: int) -> None:
    noise = np.random.default_rng(1)
    write(tmp_path, [noise.integers(0, 255, (90, 160, 3), np.uint8) for _ in range(6)])  # ten a second
    recorder = Recorder()
    assert list(played(tmp_path, recorder=recorder, max_fps=max_fps).reads(lambda _done: None)) == []
    assert recorder.stages["looked at"] == looked_at
    assert recorder.stages["passed over"] == 6 - looked_at


def test_the_recorded_pace_is_waited_for(tmp_path: Path) -> None:
    run = played(write(tmp_path, [np.zeros((90, 160, 3), np.uint8)] * 6), pace="recorded")
    began = time.monotonic()
    assert list(run.reads(lambda _done: None)) == []
    assert time.monotonic() - began >= 0.45


def test_what_was_read_until_it_is_stopped_is_given(tmp_path: Path, street: list[Image], plate: str) -> None:
    stop = threading.Event()
    run = played(write(tmp_path, [*street, *street]), stop=stop)
    reads = corrected(run.reads(lambda done: stop.set() if done == len(street) else None))
    assert plate in [one.text for one in reads]
    assert run.reached == len(street)


def test_a_size_that_changes_in_the_middle_is_no_error(tmp_path: Path, street: list[Image], plate: str) -> None:
    half = [np.asarray(cv2.resize(one, None, fx=0.5, fy=0.5), np.uint8) for one in street[:8]]
    gray = [np.asarray(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), np.uint8) for one in street[8:12]]
    reads, _, turns = read(write(tmp_path, [*half, *gray, *street[12:]]))
    assert turns == len(street)
    assert plate in [one.text for one in reads]


def test_a_portrait_recording_is_read(tmp_path: Path, street: list[Image], plate: str) -> None:
    tall = [np.asarray(cv2.copyMakeBorder(one, 900, 900, 0, 0, cv2.BORDER_REPLICATE), np.uint8) for one in street]
    assert plate in [one.text for one in read(write(tmp_path, tall))[0]]


@pytest.mark.parametrize("frames", [1, 3])
def test_a_recording_of_a_few_frames_ends(tmp_path: Path, street: list[Image], frames: int) -> None:
    assert read(write(tmp_path, street[:frames]))[2] == frames


def test_a_recording_without_plates_gives_nothing(tmp_path: Path) -> None:
    reads, recorder, _ = read(write(tmp_path, [np.full((360, 640, 3), 90, np.uint8)] * 4))
    assert not reads
    assert not recorder.tracks


def test_pictures_of_one_pixel_are_no_error(tmp_path: Path) -> None:
    assert read(write(tmp_path, [np.zeros((1, 1, 3), np.uint8), np.zeros((2, 3000, 3), np.uint8)]))[0] == []


def encoded(path: Path, images: list[Image], *, times: list[int] | None = None) -> Path:
    """A video whose frames come at these tenths of a second; a raw stream has no times at all."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "20", "preset": "veryfast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = times[number] if times else number
            frame.time_base = Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_stream_whose_time_stands_still_is_read_all_the_same(
    tmp_path: Path, street: list[Image], plate: str
) -> None:
    reads, recorder, turns = read(encoded(tmp_path / "raw.h264", street))
    assert turns == len(street)
    assert [one.text for one in reads].count(plate) == 1
    assert 0 < recorder.seconds < 5


def test_a_frame_rate_that_changes_ends_no_pass_twice(tmp_path: Path, street: list[Image], plate: str) -> None:
    slow = [3 * number for number in range(10)]
    fast = [slow[-1] + 1 + number for number in range(len(street) - 10)]
    reads, _, turns = read(encoded(tmp_path / "varies.mp4", street, times=slow + fast))
    assert turns == len(street)
    assert [one.text for one in reads].count(plate) == 1


def test_a_plate_that_comes_back_after_minutes_is_a_new_pass(
    tmp_path: Path, street: list[Image], plate: str
) -> None:
    late = [*range(len(street)), *(6000 + number for number in range(len(street)))]
    reads, recorder, _ = read(encoded(tmp_path / "jumps.mkv", [*street, *street], times=late))
    assert [one.text for one in reads].count(plate) == 2
    assert recorder.seconds > 600


def test_frames_are_numbered_by_their_place_though_some_are_broken(
    tmp_path: Path, street: list[Image], plate: str
) -> None:
    whole = next(one for one in read(write(tmp_path, street))[0] if one.text == plate)
    for number in range(5):
        (tmp_path / f"{number:04}.png").write_bytes(b"broken")
    rest = next(one for one in read(tmp_path)[0] if one.text == plate)
    assert whole.captured_frame > 5
    assert (rest.captured_frame, rest.frame_numbers[1]) == (whole.captured_frame, whole.frame_numbers[1])

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.camera.files import FilesCamera
from edge_agent.camera.pace import Pace
from edge_agent.domain import Frame, Stamp
from edge_agent.errors import CameraError
from tests import fakes


class Clock:
    """Stands still but when slept."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> Stamp:
        return fakes.stamp(self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def camera(path: Path, clock: Clock, pace: Pace = "fast") -> FilesCamera:
    return FilesCamera(name="front", path=path, pace=pace, now=clock.now, sleep=clock.sleep)


def play(path: Path, clock: Clock | None = None, pace: Pace = "fast") -> list[Frame]:
    source = camera(path, clock or Clock(), pace)
    source.open()
    frames = list(iter(source.read, None))
    source.close()
    return frames


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Thirty frames at 20 a second, each a little brighter."""
    path = tmp_path / "drive.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 20, (320, 240))
    for number in range(30):
        noise = np.random.default_rng(number).integers(0, 60, (240, 320, 3), dtype=np.uint8)
        writer.write(noise + np.uint8(number * 6))
    writer.release()
    return path


def test_a_video_gives_all_frames_with_their_recorded_times(video: Path) -> None:
    frames = play(video)
    assert [frame.number for frame in frames] == list(range(30))
    assert np.diff([frame.stamp.monotonic_s for frame in frames]) == pytest.approx(0.05, abs=0.002)
    assert frames[-1].size == (320, 240)


def test_recorded_pace_waits_and_fast_does_not(video: Path) -> None:
    slow, fast = Clock(), Clock()
    play(video, slow, "recorded")
    play(video, fast, "fast")
    assert slow.seconds - 100 == pytest.approx(29 / 20, abs=0.01)
    assert fast.seconds == 100


def test_it_can_be_opened_again_from_the_beginning(video: Path) -> None:
    source = camera(video, Clock())
    for _ in range(2):
        source.open()
        frame = source.read()
        assert frame is not None
        assert frame.number == 0
        source.close()


def test_a_video_that_ends_in_the_middle_gives_what_is_there_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 20, (320, 240))
    for number in range(40):
        writer.write(np.random.default_rng(number).integers(0, 255, (240, 320, 3), dtype=np.uint8))
    writer.release()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with caplog.at_level(logging.WARNING):
        frames = play(cut)
    assert 5 < len(frames) < 40
    assert "cut off" in caplog.text


def test_a_video_that_is_damaged_in_the_middle_goes_on_behind_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "drive.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 20, (320, 240))
    for number in range(60):
        noise = np.random.default_rng(number).integers(0, 60, (240, 320, 3), dtype=np.uint8)
        writer.write(noise + np.uint8(number * 3))
    writer.release()
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 40_000] = np.random.default_rng(0).bytes(40_000)
    path.write_bytes(content)
    frames = play(path)
    assert 40 < len(frames) < 60
    assert f"gives {len(frames)} of 60 frames" in caplog.text
    assert frames[-1].stamp.monotonic_s - frames[0].stamp.monotonic_s == pytest.approx(59 / 20, abs=0.1)
    assert int(frames[-1].image.mean()) == pytest.approx(59 * 3 + 30, abs=8)


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 200])
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "drive.mp4"
    path.write_bytes(content)
    with pytest.raises(CameraError, match="not a video that can be played") as error:
        camera(path, Clock()).open()
    assert "\n" not in str(error.value)


def test_nothing_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="there is no such file or directory"):
        camera(tmp_path / "nowhere", Clock()).open()


def test_a_directory_without_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CameraError, match=r"holds no picture \(1 other file\)"):
        camera(tmp_path, Clock()).open()


def test_a_directory_is_played_in_order_and_a_damaged_picture_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, gray in (("1.png", 10), ("3.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((20, 20), gray, np.uint8))
    (tmp_path / "2.png").write_bytes(b"damaged")
    frames = play(tmp_path)
    assert [int(frame.image[0, 0]) for frame in frames] == [10, 30]
    assert [frame.number for frame in frames] == [0, 2]
    assert "2.png" in caplog.text


def test_one_picture_is_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((20, 20), 7, np.uint8))
    assert len(play(tmp_path / "1.png")) == 1

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.camera.v4l2 import V4l2Camera, open_v4l2
from edge_agent.errors import CameraError
from tests import fakes

PICTURE = np.full((1080, 1920, 3), 80, np.uint8)


class FakeDevice:
    """Takes every setting, but for those it holds on to; gives its pictures, then none."""

    def __init__(self, *, opened: bool = True, stubborn: dict[int, float] | None = None, pictures: int = 2) -> None:
        self.opened = opened
        self.stubborn = stubborn or {}
        self.pictures = pictures
        self.settings: dict[int, float] = {}
        self.released = 0

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.settings[propId] = value
        return propId not in self.stubborn

    def get(self, propId: int) -> float:  # noqa: N803
        return self.stubborn.get(propId, self.settings.get(propId, 0.0))

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.pictures -= 1
        return (True, PICTURE) if self.pictures >= 0 else (False, None)

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def device_file(tmp_path: Path) -> Path:
    path = tmp_path / "usb-front-video-index0"
    path.touch()
    return path


def camera(path: Path, device: FakeDevice, **settings: Any) -> V4l2Camera:  # noqa: ANN401 - any of its settings
    return V4l2Camera(
        name="front", device=path, now=lambda: fakes.stamp(5), open_device=lambda _: device, **settings
    )


def test_frames_are_stamped_and_counted(device_file: Path) -> None:
    source = camera(device_file, FakeDevice())
    source.open()
    first, second = source.read(), source.read()
    assert (first.number, second.number) == (0, 1)
    assert first.stamp == fakes.stamp(5)
    assert first.size == (1920, 1080)


def test_every_setting_reaches_the_device_in_order(device_file: Path) -> None:
    device = FakeDevice()
    source = camera(device_file, device, format="YUYV", width=1280, height=720, rate_fps=15, exposure=10, gain=40)
    source.open()
    assert list(device.settings.items()) == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 15),
        (cv2.CAP_PROP_AUTO_EXPOSURE, 1),
        (cv2.CAP_PROP_EXPOSURE, 10),
        (cv2.CAP_PROP_GAIN, 40),
    ]


def test_automatic_exposure_leaves_time_and_gain_to_the_device(device_file: Path) -> None:
    device = FakeDevice()
    camera(device_file, device).open()
    assert device.settings[cv2.CAP_PROP_AUTO_EXPOSURE] == 3
    assert cv2.CAP_PROP_EXPOSURE not in device.settings
    assert cv2.CAP_PROP_GAIN not in device.settings


def test_what_the_device_does_not_take_is_told_in_one_line(
    device_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stubborn = {
        cv2.CAP_PROP_FPS: 15.0,
        cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")),
        cv2.CAP_PROP_EXPOSURE: 156.0,
    }
    with caplog.at_level(logging.WARNING):
        camera(device_file, FakeDevice(stubborn=stubborn), exposure=10).open()
    refused = "format MJPG (it has YUYV), rate_fps 30 (it has 15), exposure 10 (it has 156)"
    assert [record.message for record in caplog.records] == [f"camera front: {device_file} does not take {refused}"]


def test_a_rate_that_the_driver_rounds_is_not_told(device_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    camera(device_file, FakeDevice(stubborn={cv2.CAP_PROP_FPS: 29.97})).open()
    assert not caplog.records


def test_a_device_that_cannot_be_opened_is_told_and_let_go(
    device_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.camera.v4l2.why_no_camera", lambda _: None)  # no camera is at hand
    device = FakeDevice(opened=False)
    with pytest.raises(CameraError, match="in use by another program, or this user is not in group video"):
        camera(device_file, device).open()
    assert device.released == 1


def test_a_device_that_stops_is_told_and_can_be_opened_again(device_file: Path) -> None:
    device = FakeDevice(pictures=1)
    source = camera(device_file, device)
    source.open()
    source.read()
    with pytest.raises(CameraError, match="gives no pictures"):
        source.read()
    source.close()
    assert device.released == 1
    device.pictures = 1
    source.open()
    assert source.read().number == 1


def test_reading_a_closed_camera_is_an_error(device_file: Path) -> None:
    with pytest.raises(CameraError, match="read before it was opened"):
        camera(device_file, FakeDevice()).read()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("video9", "there is no such device"),
        ("usb-front-video-index0", "is not a video device"),
        ("/dev/null", "is not a video device"),
    ],
)
def test_what_is_no_camera_is_refused_without_a_word_from_opencv(
    device_file: Path, name: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    device = device_file.parent / name
    with pytest.raises(CameraError, match=f"camera front: {device}: {said}"):
        V4l2Camera(name="front", device=device, now=lambda: fakes.stamp(0), open_device=open_v4l2).open()
    assert capfd.readouterr() == ("", "")

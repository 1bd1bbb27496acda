"""A camera on this computer's USB or video input, through OpenCV's V4L2 backend."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np

from edge_agent.camera.quiet import hush
from edge_agent.domain import Frame, Now
from edge_agent.errors import CameraError

hush()
log = logging.getLogger(__name__)

_MANUAL, _AUTOMATIC = 1.0, 3.0  # V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY
_TOLERANCE = 0.02  # drivers round rates: 29.97 is 30
_VIDEO_MAJOR = 81  # of every video device, says the kernel's devices.txt


class VideoDevice(Protocol):
    """What is used of an opened device: OpenCV's VideoCapture."""

    def isOpened(self) -> bool: ...  # noqa: N802 - OpenCV's name

    def set(self, propId: int, value: float) -> bool: ...  # noqa: N803 - OpenCV's name

    def get(self, propId: int) -> float: ...  # noqa: N803 - OpenCV's name

    def read(self) -> tuple[bool, Any]: ...

    def release(self) -> None: ...


def open_v4l2(device: str) -> VideoDevice:
    """Open a device file."""
    return cv2.VideoCapture(device, cv2.CAP_V4L2)


def why_no_camera(device: Path) -> str | None:
    """Say without opening it why a device can be no camera; None where it may be one."""
    try:
        status = device.stat()
    except OSError:
        return "there is no such device: plugged in? `ls /dev/v4l/by-id` names those there are"
    if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != _VIDEO_MAJOR:
        return "is not a video device: `ls /dev/v4l/by-id` names those there are"
    return None


class V4l2Camera:
    """One device; what it does not take of the settings is said once, when it is opened."""

    def __init__(
        self,
        *,
        name: str,
        device: Path,
        now: Now,
        format: str = "MJPG",  # noqa: A002 - the setting's name
        width: int = 1920,
        height: int = 1080,
        rate_fps: float = 30.0,
        exposure: Literal["auto"] | int = "auto",
        gain: int | None = None,
        open_device: Callable[[str], VideoDevice] = open_v4l2,
    ) -> None:
        self._name = name
        self._device = device
        self._now = now
        self._format = format
        self._size = (width, height)
        self._rate_fps = rate_fps
        self._exposure = exposure
        self._gain = gain
        self._open_device = open_device
        self._opened: VideoDevice | None = None
        self._number = 0

    def open(self) -> None:
        """Open and set the device. Raises CameraError."""
        device = self._open_device(str(self._device))
        if not device.isOpened():
            device.release()
            raise self._error(
                why_no_camera(self._device)
                or "cannot be opened: in use by another program, or this user is not in group video"
            )
        self._opened = device
        refused = [line for line in (self._set(device, *wish) for wish in self._wishes()) if line]
        if refused:
            log.warning("camera %s: %s does not take %s", self._name, self._device, ", ".join(refused))

    def read(self) -> Frame:
        """Wait for the next frame; the backend gives up after 10 s. Raises CameraError."""
        if self._opened is None:
            raise self._error("read before it was opened")
        there, image = self._opened.read()
        stamp = self._now()
        if not there:
            raise self._error("gives no pictures: unplugged, or the format and size are not its own")
        frame = Frame(self._name, self._number, stamp, np.asarray(image, np.uint8))
        self._number += 1
        return frame

    def close(self) -> None:
        """Give the device back."""
        if self._opened is not None:
            self._opened.release()
            self._opened = None

    def _wishes(self) -> list[tuple[str, int, float]]:
        """Give name, property and value in the order drivers want: format, then size, then rate."""
        wishes = [
            ("format", cv2.CAP_PROP_FOURCC, float(cv2.VideoWriter.fourcc(*self._format))),
            ("width", cv2.CAP_PROP_FRAME_WIDTH, float(self._size[0])),
            ("height", cv2.CAP_PROP_FRAME_HEIGHT, float(self._size[1])),
            ("rate_fps", cv2.CAP_PROP_FPS, self._rate_fps),
            ("automatic exposure", cv2.CAP_PROP_AUTO_EXPOSURE, _AUTOMATIC if self._exposure == "auto" else _MANUAL),
        ]
        if self._exposure != "auto":
            wishes.append(("exposure", cv2.CAP_PROP_EXPOSURE, float(self._exposure)))
        if self._gain is not None:
            wishes.append(("gain", cv2.CAP_PROP_GAIN, float(self._gain)))
        return wishes

    def _set(self, device: VideoDevice, name: str, number: int, value: float) -> str | None:
        """Set one property and read it back; gives what to tell where the device has something else."""
        device.set(number, value)
        taken = device.get(number)
        if abs(taken - value) <= _TOLERANCE * abs(value):
            return None
        if number == cv2.CAP_PROP_FOURCC:
            return f"format {self._format} (it has {_four_characters(taken)})"
        return f"{name} {value:g} (it has {taken:g})"

    def _error(self, what: str) -> CameraError:
        return CameraError(f"camera {self._name}: {self._device}: {what}")


def _four_characters(code: float) -> str:
    letters = int(code).to_bytes(4, "little", signed=code < 0).decode("latin-1")
    return letters if letters.isprintable() else "none"

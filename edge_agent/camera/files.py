"""A camera that plays files: a directory of pictures, one picture or a video."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_agent.camera.pace import Pace, Pacer
from edge_agent.camera.pictures import SUFFIXES, decode, list_pictures
from edge_agent.camera.quiet import hush
from edge_agent.domain import Frame, Image, Now, counted
from edge_agent.errors import CameraError, PictureError

hush()
log = logging.getLogger(__name__)

PICTURES_FPS = 10.0
"""Pictures of a directory have no recorded time: they count as so many a second."""

MOST_MISSING = 300
"""Frames in a row that may be damaged; what follows so many is taken for the end."""


@dataclass(frozen=True, slots=True, eq=False)
class _Recorded:
    """A picture and its place in the recording."""

    at_s: float
    image: Image


class FilesCamera:
    """Plays what is on the disk, as it was recorded or as fast as it is asked for."""

    def __init__(
        self, *, name: str, path: Path, pace: Pace, now: Now, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._name = name
        self._path = path
        self._pace = pace
        self._now = now
        self._sleep = sleep
        self._recording: Iterator[_Recorded] | None = None
        self._pacer: Pacer | None = None
        self._number = 0
        self.length: int | None = None
        """Frames in the recording, as far as it says."""
        self.damaged = False
        """Whether something of it could not be read."""

    def open(self) -> None:
        """Start from the beginning. Raises CameraError."""
        if not self._path.exists():
            raise CameraError(f"camera {self._name}: {self._path}: there is no such file or directory")
        if self._path.is_dir():
            self._recording = self._pictures(self._list())
        elif self._path.suffix.lower() in SUFFIXES:
            self.length = 1
            self._recording = self._pictures([self._path])
        else:
            self._recording = self._video(self._open_video())
        self._pacer = Pacer(pace=self._pace, now=self._now, sleep=self._sleep)
        self._number = 0

    def read(self) -> Frame | None:
        """Give the next frame, None after the last. Raises CameraError."""
        if self._recording is None or self._pacer is None:
            raise CameraError(f"camera {self._name}: is not open")
        recorded = next(self._recording, None)
        if recorded is None:
            return None
        stamp = self._pacer.stamp(recorded.at_s)
        frame = Frame(camera=self._name, number=self._number, stamp=stamp, image=recorded.image)
        self._number += 1
        return frame

    def close(self) -> None:
        self._recording = None

    def _list(self) -> list[Path]:
        try:
            pictures, others = list_pictures(self._path)
        except PictureError as error:
            raise CameraError(f"camera {self._name}: {error}") from None
        if not pictures:
            raise CameraError(
                f"camera {self._name}: {self._path}: holds no picture ({counted(others, 'other file')})"
            )
        if others:
            log.info("camera %s: %s of %s left alone: no pictures", self._name, counted(others, "file"), self._path)
        self.length = len(pictures)
        return pictures

    def _pictures(self, paths: list[Path]) -> Iterator[_Recorded]:
        for number, path in enumerate(paths):
            try:
                yield _Recorded(at_s=number / PICTURES_FPS, image=decode(path))
            except PictureError as error:
                self.damaged = True
                log.warning("camera %s: %s", self._name, error)

    def _open_video(self) -> cv2.VideoCapture:
        video = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not video.isOpened():
            raise CameraError(f"camera {self._name}: {self._path}: not a video that can be played, or damaged")
        frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        self.length = frames if frames > 0 else None
        return video

    def _video(self, video: cv2.VideoCapture) -> Iterator[_Recorded]:
        """Times are the video's own; where they stand still or jump back, its frame rate fills in."""
        fps = video.get(cv2.CAP_PROP_FPS)
        step_s = 1 / fps if 1 <= fps <= 1000 else 1 / PICTURES_FPS
        at_s, count, missing, in_a_row = -step_s, 0, 0, 0
        try:
            while in_a_row <= MOST_MISSING:
                there, image = video.read()
                if not there:
                    if self.length is None or count + missing >= self.length:
                        break
                    missing, in_a_row = missing + 1, in_a_row + 1
                    continue
                written_s = video.get(cv2.CAP_PROP_POS_MSEC) / 1e3
                at_s = written_s if at_s < written_s <= at_s + 10 else at_s + step_s * (in_a_row + 1)
                count, in_a_row = count + 1, 0
                yield _Recorded(at_s=max(0.0, at_s), image=np.asarray(image, np.uint8))
        finally:
            video.release()
        if self.length is not None and count < self.length:
            self.damaged = True
            log.warning(
                "camera %s: %s gives %d of %d frames: the file is cut off or damaged",
                self._name, self._path, count, self.length,
            )  # fmt: skip

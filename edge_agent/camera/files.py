"""A camera that plays files: a directory of pictures, one picture or a video."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agent.camera.pace import Pace, Pacer
from edge_agent.camera.pictures import SUFFIXES, decode, list_pictures
from edge_agent.camera.video import Recorded, Video
from edge_agent.domain import Frame, Now, counted
from edge_agent.errors import CameraError, PictureError

log = logging.getLogger(__name__)

PICTURES_FPS = 10.0
"""Pictures of a directory have no recorded time: they count as so many a second."""

MOVING = frozenset({".gif"})
"""Pictures that may be videos, as which one that is named itself is played."""


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
        self._recording: Iterator[Recorded] | None = None
        self._pacer: Pacer | None = None
        self.length: int | None = None
        """Frames in the recording, as far as it says."""
        self.done = 0.0
        """How much of that length has been read."""
        self.damaged = False
        """Whether something of it could not be read."""

    def open(self) -> None:
        """Start from the beginning. Raises CameraError."""
        if not self._path.exists():
            raise CameraError(f"camera {self._name}: {self._path}: there is no such file or directory")
        if self._path.is_dir():
            self._recording = self._pictures(self._list())
        elif self._path.suffix.lower() in SUFFIXES - MOVING:
            self.length = 1
            self._recording = self._pictures([self._path])
        else:
            self._recording = self._video(self._open_video())
        self._pacer = Pacer(pace=self._pace, now=self._now, sleep=self._sleep)

    def read(self) -> Frame | None:
        """Give the next frame, numbered by its place in the recording; None after the last. Raises CameraError."""
        if self._recording is None or self._pacer is None:
            raise CameraError(f"camera {self._name}: is not open")
        recorded = next(self._recording, None)
        if recorded is None:
            return None
        stamp = self._pacer.stamp(recorded.at_s)
        return Frame(camera=self._name, number=recorded.number, stamp=stamp, image=recorded.image)

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

    def _pictures(self, paths: list[Path]) -> Iterator[Recorded]:
        for number, path in enumerate(paths):
            self.done = number + 1
            try:
                yield Recorded(number=number, at_s=number / PICTURES_FPS, image=decode(path))
            except PictureError as error:
                self.damaged = True
                log.warning("camera %s: %s", self._name, error)

    def _video(self, video: Video) -> Iterator[Recorded]:
        for one in video.pictures():
            self.done = video.done(one.at_s)
            yield one
        if fault := video.fault:
            self.damaged = True
            log.warning("camera %s: %s %s", self._name, self._path, fault)

    def _open_video(self) -> Video:
        try:
            video = Video(self._path)
        except OSError as error:
            raise CameraError(f"camera {self._name}: {self._path}: {error.strerror}") from None
        except ValueError as error:
            raise CameraError(f"camera {self._name}: {self._path}: {error}") from None
        self.length = video.length
        return video

"""The pictures of a video file, each with its time and its place; what cannot be decoded is passed over."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_agent.camera.container import inspect
from edge_agent.camera.quiet import hush
from edge_agent.domain import Image, counted

hush()

UNKNOWN_FPS = 10.0
FASTEST_FPS = 240.0
"""A frame rate beyond is the unit of the container's clock, not a rate."""

LONGEST_GAP_S = 86_400.0
"""A time stamp further ahead of the one before is a fault: no car's recording has a day without a picture."""

MOST_MISSING = 300
"""Frames in a row that may be damaged; what follows so many is taken for the end."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A picture, its place among all of the recording, and its time from the beginning in seconds."""

    number: int
    at_s: float
    image: Image


class Video:
    """A video that is played once."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises OSError, ValueError where it is not a video."""
        self._container = inspect(path)
        self._video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._video.isOpened():
            raise ValueError("not a video that can be played, or damaged")
        count, fps = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT)), self._video.get(cv2.CAP_PROP_FPS)
        self.length: int | None = count if count > 0 else None
        """Frames as the container counts them, or its duration by its frame rate; None where it tells neither."""
        self._seconds = count / fps if count > 0 and fps > 0 else None
        self._step_s = 1 / fps if 0 < fps <= FASTEST_FPS else 1 / UNKNOWN_FPS
        self._given = 0
        self._lost = False

    @property
    def fault(self) -> str | None:
        """Once it was played: what is missing of it, None where nothing is."""
        most = self.length if self._container.counts else None
        short = most is not None and self._given < most
        incomplete = self._container.cut_off or self._container.broken
        if not (short or self._lost or incomplete or not self._given):
            return None
        given = f"{self._given} of {most} frames" if short else counted(self._given, "frame")
        return f"gives {given}: the file is cut off or damaged"

    def done(self, at_s: float) -> float:
        """How much of `length` lies before a time."""
        return min(1.0, at_s / self._seconds) * self.length if self.length and self._seconds else 0.0

    def pictures(self) -> Iterator[Recorded]:
        """Give what can be decoded.

        Times are the video's own, however far ahead they jump; where they stand still, jump back or make no sense,
        its frame rate fills in. Places are counted; behind a damaged part the time tells how many are missing, in a
        container that is broken behind each gap: what was there the decoder passes over without a word.
        """
        number, at_s, missing = -1, -self._step_s, 0
        try:
            while missing <= MOST_MISSING:
                there, image = self._video.read()
                if not there:
                    missing += 1
                    continue
                written_s = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1e3
                known = at_s < written_s <= at_s + LONGEST_GAP_S
                after_s = written_s - at_s if known else self._step_s * (missing + 1)
                gone = max(1, round(after_s / self._step_s))
                told = missing or (self._container.broken and gone <= MOST_MISSING)
                number += gone if told else 1
                at_s, self._given, self._lost = at_s + after_s, self._given + 1, self._lost or missing > 0
                missing = 0
                yield Recorded(number=number, at_s=max(0.0, at_s), image=np.asarray(image, np.uint8))
        finally:
            self._video.release()

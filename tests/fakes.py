"""Small real classes that stand for the parts a test does not look at."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import cv2
import numpy as np

from edge_agent.domain import (
    ALPHABET,
    Box,
    CharacterProbabilities,
    Detection,
    Frame,
    Image,
    Read,
    Reading,
    Stamp,
)
from edge_agent.reading.tracker import Tracker

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def stamp(seconds: float) -> Stamp:
    """A moment so many seconds after the tests' start."""
    return Stamp(monotonic_s=seconds, utc=START + timedelta(seconds=seconds))


def frame(number: int, seconds: float, *, camera: str = "front", size: tuple[int, int] = (640, 360)) -> Frame:
    """A gray frame of one brightness."""
    image = np.full((size[1], size[0]), 90, np.uint8)
    return Frame(camera=camera, number=number, stamp=stamp(seconds), image=image)


def characters(text: str, share: float = 0.95) -> CharacterProbabilities:
    """Rows that give each character of the text the share, and the rest to all others alike."""
    table = np.full((len(text), len(ALPHABET) + 1), (1 - share) / len(ALPHABET), np.float32)
    for place, character in enumerate(text):
        table[place, ALPHABET.index(character) + 1] = share
    return CharacterProbabilities(table)


def reading(
    text: str, *, x: float = 100, y: float = 100, width: float = 100, share: float = 0.95, found: float = 0.9
) -> Reading:
    """A plate read at a place of the frame."""
    box = Box(x, y, x + width, y + width / 2)
    return Reading(detection=Detection(box=box, confidence=found), characters=characters(text, share))


def draw(frame: Frame, readings: Sequence[Reading]) -> None:
    """Give each text a look of its own in its box, as far as that lies in the picture."""
    for one in readings:
        x1, y1, x2, y2 = (round(edge) for edge in one.detection.box)
        cells = np.random.default_rng([*one.characters.text().encode()]).integers(0, 255, (4, 8), np.uint8)
        into = frame.image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
        if into.size:
            drawn = np.asarray(cv2.resize(cells, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR), np.uint8)
            into[:] = drawn[max(0, -y1) :, max(0, -x1) :][: into.shape[0], : into.shape[1]]


def shown(tracker: Tracker, frame: Frame, readings: Sequence[Reading]) -> list[Read]:
    """Take a tracker one frame further as the pipeline does: what it wants to be read is read."""
    draw(frame, readings)
    to_read = tracker.follow(frame, [one.detection for one in readings])
    return tracker.update(frame, [one for one in readings if one.detection in to_read])


class CountingIds:
    """Ids 1, 2, 3..."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, captured: datetime) -> UUID:
        self.made += 1
        return UUID(int=self.made)


class PlatesGiven:
    """A detector and reader in one that see what they are told."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.readings = list(readings)
        self.quarters: list[int] = []
        """Those that were looked at too, one after the other."""

    def find(self, image: Image, *, quarters: Iterable[int]) -> list[Detection]:
        self.quarters += quarters
        return [one.detection for one in self.readings]

    def read(self, image: Image, detections: Sequence[Detection]) -> list[Reading]:
        return [one for one in self.readings if one.detection in detections]

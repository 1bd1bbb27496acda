"""The shipped networks, run by the agent's own code, for measuring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_agent.config.settings import ReadingSettings
from edge_agent.domain import Box, Detection
from edge_agent.vision.detector import CentreMapDetector
from edge_agent.vision.models import Runtime, load_manifest
from edge_agent.vision.reader import CtcReader
from training import boxes
from training.data import read_gray

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.domain import Image, Reading
    from training.boxes import Found
    from training.data import Gray, PlateText


LEAST_CONFIDENCE = 0.1  # of a detection, to choose thresholds by
UNSURE_BELOW = ReadingSettings().unsure_below


class Models:
    """The two shipped networks, run by the agent's own code, one thread each."""

    def __init__(self, folder: Path) -> None:
        manifest, runtime = load_manifest(folder), Runtime(threads=1)
        self.region_from = manifest.reader.region_from
        self._detector = CentreMapDetector.load(manifest.detector, runtime=runtime)
        doubting = replace(manifest.detector, threshold_if_read=LEAST_CONFIDENCE)
        self._doubting = CentreMapDetector.load(doubting, runtime=runtime)
        self._reader = CtcReader.load(manifest.reader, runtime=runtime)
        self._glance = CtcReader.load(manifest.reader, runtime=runtime, again_below=0.0)

    def find(self, image: Gray) -> list[Found]:
        """Boxes in a gray picture, in its own pixels."""
        return [box for box, _ in self.look(image)]

    def look(self, image: Image) -> list[tuple[Found, str]]:
        """Boxes in a picture, gray or colour, in its own pixels, and their texts."""
        return [(found(one.detection), text(one)) for one in self.readings(image) if one.believed]

    def readings(self, image: Image) -> list[Reading]:
        """All that the detector finds, read."""
        return self._reader.read(image, self._detector.find(image))

    def doubted(self, image: Gray) -> list[Reading]:
        """All that the detector gives at least LEAST_CONFIDENCE, read."""
        return self._reader.read(image, self._doubting.find(image))

    def read_plate(
        self, plate: PlateText, move: tuple[float, float, float] = (0, 0, 0), *, once: bool = False
    ) -> Reading:
        """A labelled plate read at its true box, or that moved right, down, grown by shares of it.

        `once`: what is in doubt is not looked at again.
        """
        image = read_gray(plate.image)
        x, y, w, h = plate.box or (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        right, down, more = move
        x, y = x + (right - more / 2) * w, y + (down - more / 2) * h
        box = Box(x, y, x + w * (1 + more), y + h * (1 + more))
        reader = self._glance if once else self._reader
        return reader.read(image, [Detection(box=box, confidence=1.0)])[0]

    def read_whole(self, plate: Gray) -> Reading:
        """A picture that is the plate."""
        box = Box(0, 0, plate.shape[1], plate.shape[0])
        return self._reader.read(plate, [Detection(box=box, confidence=1.0)])[0]


def found(detection: Detection) -> Found:
    box = detection.box
    return boxes.Found(box.x1, box.y1, box.x2, box.y2, detection.confidence)


def text(reading: Reading) -> str:
    return reading.characters.plate_text(unsure_below=UNSURE_BELOW)

"""Measure models/ on labelled sets: python -m training.evaluate --data DIR [--models DIR] [SET ...].

A set is DIR/eval/SET.csv with its pictures. Found is IoU >= 0.3; read is every character right,
letter O and digit 0 counted as one, over plates whose text is sure. One thread, the agent's own code.
What begins with `validation` is held out of the training tables: checkpoints, thresholds and margins
may be chosen by it.
"""

from __future__ import annotations

import training.needs  # noqa: F401 - first of all: it says what is missing

# isort: split

import argparse
import csv
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_agent.domain import LEAST_CHARACTERS, Box, Detection
from edge_agent.errors import ModelError
from edge_agent.vision.detector import CentreMapDetector
from edge_agent.vision.models import Runtime, load_manifest
from edge_agent.vision.reader import CtcReader
from training import boxes, ctc
from training.data import DataError, data_folder, photographs, pictures_in, read_gray
from training.detector import chosen, in_training
from training.manifest import record
from training.reader import kind, validation_plates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.domain import CharacterProbabilities
    from training.boxes import Found
    from training.data import Gray, PlateText

SETS = ("us", "eu", "br", "dashcam", "world-val")
CAPTURED = 0.3  # overlap that counts as found
APART = 0.2  # overlap under which a box belongs to no labelled plate
UNSURE = ("bad", "doubtful")
PLATES, BOXES = "validation-plates", "validation-boxes"
PHOTOGRAPHS, NEGATIVES = "validation-photographs", "validation-negatives"
MOVES = {
    "true box": (0.0, 0.0, 0.0),
    "5 % left": (-0.05, 0.0, 0.0),
    "5 % right": (0.05, 0.0, 0.0),
    "5 % up": (0.0, -0.05, 0.0),
    "5 % down": (0.0, 0.05, 0.0),
    "10 % larger": (0.0, 0.0, 0.1),
}
HIDDEN_BELOW = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6)
WIDTHS_PX = ((20.0, "under 20 px"), (30.0, "20..30 px"), (190.0, "30..190 px"), (math.inf, "over 190 px"))


@dataclass(frozen=True, slots=True)
class Truth:
    """One labelled plate; text is empty where it is not known for sure."""

    box: Found
    text: str


class Models:
    """The two shipped networks, run by the agent's own code, one thread each."""

    def __init__(self, folder: Path) -> None:
        manifest, runtime = load_manifest(folder), Runtime(threads=1)
        self._detector = CentreMapDetector.load(manifest.detector, runtime=runtime)
        self._reader = CtcReader.load(manifest.reader, runtime=runtime)

    def find(self, image: Gray) -> list[Found]:
        """Boxes in a gray picture, in its own pixels."""
        return [_found(one) for one in self._detector.find(image)]

    def look(self, image: Gray) -> list[tuple[Found, str]]:
        """Boxes in a gray picture, in its own pixels, and their texts."""
        readings = self._reader.read(image, self._detector.find(image))
        return [(_found(one.detection), one.characters.text()) for one in readings]

    def read_plate(self, plate: PlateText, move: tuple[float, float, float] = (0, 0, 0)) -> CharacterProbabilities:
        """The characters of a labelled plate at its true box, or that moved right, down, grown by shares of it."""
        image = read_gray(plate.image)
        x, y, w, h = plate.box or (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        right, down, more = move
        x, y = x + (right - more / 2) * w, y + (down - more / 2) * h
        box = Box(x, y, x + w * (1 + more), y + h * (1 + more))
        return self._reader.read(image, [Detection(box=box, confidence=1.0)])[0].characters


def _found(detection: Detection) -> Found:
    box = detection.box
    return boxes.Found(box.x1, box.y1, box.x2, box.y2, detection.confidence)


def truths(table: Path) -> dict[str, list[Truth]]:
    """The labelled plates of each picture of a set."""
    out: dict[str, list[Truth]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[k]) for k in ("x", "y", "w", "h"))
            quality = row.get("quality") or ""
            sure = quality not in UNSURE and not quality.startswith("label")
            text = (row.get("text") or "") if sure else ""
            out.setdefault(row["image"], []).append(Truth(boxes.Found(x, y, x + w, y + h, 1.0), text))
    return out


def measure_set(models: Models, folder: Path, name: str, wrong: list[str] | None = None) -> dict[str, Any]:
    """Capture, share read, extra boxes and time over one set of whole pictures."""
    plates = found = texts = right = extra = 0
    spent_s = []
    pictures = truths(folder / "eval" / f"{name}.csv")
    for picture, labelled in pictures.items():
        image = read_gray(folder / "eval" / picture)
        began = time.perf_counter()
        looked = models.look(image)
        spent_s.append(time.perf_counter() - began)
        seen, said = [box for box, _ in looked], [text for _, text in looked]
        extra += sum(all(boxes.overlap(b, t.box) < APART for t in labelled) for b in seen)
        for truth in labelled:
            best = max(range(len(seen)), key=lambda k: boxes.overlap(seen[k], truth.box), default=None)
            hit = best is not None and boxes.overlap(seen[best], truth.box) >= CAPTURED
            plates, found, texts = plates + 1, found + hit, texts + bool(truth.text)
            ok = bool(truth.text and hit and best is not None and ctc.fold(said[best]) == ctc.fold(truth.text))
            right += ok
            if wrong is not None and truth.text and not ok:
                wrong.append(f"{picture} {truth.text} {said[best] if hit and best is not None else '-'}")
    out: dict[str, Any] = {"set": name, "plates": plates, "capture": round(found / max(1, plates), 4)}
    if texts:
        out |= {"texts": texts, "end_to_end": round(right / texts, 4)}
    return out | {
        "extra_per_image": round(extra / len(pictures), 3),
        "ms": round(1000 * float(np.median(spent_s)), 2),
    }


def measure_plates(models: Models, folder: Path) -> dict[str, Any]:
    """Share of validation plates read right at their true boxes, by kind; and which characters to doubt.

    `share_right` tells how often a character of a share from 0.3 to 0.4 (and so on) is the true one, and of how
    many; `right_hidden_below` how many plates are right when characters under a share are hidden.
    """
    right: dict[str, list[bool]] = {}
    by_share: dict[float, list[bool]] = {}
    hidden: dict[float, list[bool]] = {share: [] for share in HIDDEN_BELOW}
    for plate in validation_plates(folder):
        characters = models.read_plate(plate)
        truth, said = ctc.fold(plate.text), characters.text().replace("O", "0")
        right.setdefault(kind(plate), []).append(said == truth)
        for share, known in hidden.items():
            known.append(characters.text(unsure_below=share).replace("O", "0") == truth)
        if len(said) == len(truth):
            for one, other, share in zip(said, truth, characters.confidences, strict=True):
                by_share.setdefault(int(share * 10) / 10, []).append(one == other)
    return {
        "set": PLATES,
        **{name: [_share(v), len(v)] for name, v in sorted(right.items())},
        "share_right": {f"{share:.1f}": [_share(v), len(v)] for share, v in sorted(by_share.items())},
        "right_hidden_below": {str(share): _share(v) for share, v in hidden.items()},
    }


def measure_photographs(models: Models, folder: Path) -> dict[str, Any]:
    """Share of the plates found in validation photographs, by their width in a picture 640 pixels wide."""
    hits: dict[str, list[bool]] = {}
    extra = pictures = 0
    for photograph in chosen(photographs(folder), validation=True):
        image = read_gray(photograph.image)
        seen = models.find(image)
        truth = [boxes.Found(x, y, x + w, y + h, 1.0) for x, y, w, h in photograph.boxes]
        pictures += 1
        extra += sum(all(boxes.overlap(b, t) < APART for t in truth) for b in seen)
        for one in truth:
            width = (one.x1 - one.x0) * 640 / image.shape[1]
            group = next(name for limit, name in WIDTHS_PX if width < limit)
            hits.setdefault(group, []).append(any(boxes.overlap(one, b) >= CAPTURED for b in seen))
    return {
        "set": PHOTOGRAPHS,
        **{name: [_share(hits[name]), len(hits[name])] for _, name in WIDTHS_PX if name in hits},
        "extra_per_image": round(extra / max(1, pictures), 3),
    }


def measure_boxes(models: Models, folder: Path) -> dict[str, Any]:
    """Share of validation plates read right where the box is not the true one: how far the read hangs on it."""
    plates = [plate for plate in validation_plates(folder) if plate.box]
    return {"set": BOXES, "plates": len(plates)} | {
        name: _share([
            models.read_plate(plate, move).text().replace("O", "0") == ctc.fold(plate.text) for plate in plates
        ])
        for name, move in MOVES.items()
    }  # fmt: skip


def measure_negatives(models: Models, folder: Path) -> dict[str, Any]:
    """Pictures without a plate, held out of the detector's training, in which a text is read."""
    pictures = [p for k, p in enumerate(pictures_in(folder / "negatives")) if not in_training(k)]
    texts = [[t for _, t in models.look(read_gray(p)) if len(t) >= LEAST_CHARACTERS] for p in pictures]
    return {"set": NEGATIVES, "pictures": len(pictures), "with_text": sum(map(bool, texts)), "texts": texts}


def _share(known: Sequence[bool]) -> float:
    return round(float(np.mean(known)), 4)


def summary(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """One line a model for the manifest."""
    capture = [f"{line['set']} {line['capture']}" for line in lines if "capture" in line]
    read = [f"{line['set']} {line['end_to_end']}" for line in lines if "end_to_end" in line]
    return {"detector": "capture: " + ", ".join(capture), "reader": "end to end, O as 0: " + ", ".join(read)}


MEASURES = {
    PLATES: measure_plates,
    BOXES: measure_boxes,
    PHOTOGRAPHS: measure_photographs,
    NEGATIVES: measure_negatives,
}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), help=f"names, {', '.join(MEASURES)}")
    parser.add_argument("--data", help="labelled folder; default: $EDGE_AGENT_DATA")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--record", action="store_true", help="write the figures into the manifest")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        folder = data_folder(options.data)
        models = Models(options.models)
        lines = []
        for name in options.sets:
            measure = MEASURES.get(name)
            lines.append(measure(models, folder) if measure else measure_set(models, folder, name))
            print(json.dumps(lines[-1]), flush=True)
        if options.record:
            record(options.models, summary(lines))
    except (DataError, ModelError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Measure models/ on labelled sets: python -m training.evaluate --data DIR [--models DIR] [SET ...].

A set is DIR/eval/SET.csv with its pictures. Found is IoU >= 0.3; read is every character right,
letter O and digit 0 counted as one, over plates whose text is sure. One thread.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnxruntime

from training import boxes, ctc
from training.data import DataError, data_folder, read_gray
from training.manifest import record
from training.reader import kind, validation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.boxes import Found
    from training.data import Gray

SETS = ("us", "eu", "br", "dashcam", "world-val")
CAPTURED = 0.3  # overlap that counts as found
APART = 0.2  # overlap under which a box belongs to no labelled plate
UNSURE = ("bad", "doubtful")


@dataclass(frozen=True, slots=True)
class Truth:
    """One labelled plate; text is empty where it is not known for sure."""

    box: Found
    text: str


class Models:
    """The two shipped networks, one thread each, as the agent uses them."""

    def __init__(self, folder: Path) -> None:
        manifest = tomllib.loads((folder / "models.toml").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._detector, self._reader = (
            onnxruntime.InferenceSession(str(folder / manifest[k]["file"]), options, ["CPUExecutionProvider"])
            for k in ("detector", "reader")
        )
        self._size = tuple(manifest["detector"]["input"])
        self._threshold = float(manifest["detector"]["threshold"])
        self._plate_size = tuple(manifest["reader"]["input"])
        self._margin = float(manifest["reader"]["margin"])

    def find(self, image: Gray) -> list[Found]:
        """Boxes in a gray picture, in its own pixels."""
        fitted, scale = boxes.letterbox(image, (self._size[0], self._size[1]))
        x = fitted[None, None].astype(np.float32) / 255
        output = self._detector.run(None, {"image": x})[0][0]
        return [b.scaled(1 / scale) for b in boxes.decode(output, self._threshold)]

    def read(self, image: Gray, found: Sequence[Found], margin: float | None = None) -> list[str]:
        """Texts of boxes of a gray picture."""
        if not found:
            return []
        crops = np.stack([self._cut(image, b, self._margin if margin is None else margin) for b in found])
        return self.read_crops(crops)

    def read_crops(self, crops: NDArray[np.uint8]) -> list[str]:
        """Texts of gray crops [n,h,w] of the reader's size."""
        output = self._reader.run(None, {"plate": crops[:, None].astype(np.float32) / 255})[0]
        return [ctc.decode(row.tolist()) for row in output.argmax(-1)]

    def _cut(self, image: Gray, b: Found, margin: float) -> Gray:
        dx, dy = margin * (b.x1 - b.x0), margin * (b.y1 - b.y0)
        height, width = image.shape
        x0, x1 = max(0, round(b.x0 - dx)), min(width, round(b.x1 + dx))
        y0, y1 = max(0, round(b.y0 - dy)), min(height, round(b.y1 + dy))
        part = image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        return np.asarray(cv2.resize(part, (self._plate_size[1], self._plate_size[0])), np.uint8)


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
        seen = models.find(image)
        said = models.read(image, seen)
        spent_s.append(time.perf_counter() - began)
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


def measure_validation(models: Models, folder: Path) -> dict[str, Any]:
    """Share of validation plates read right at their true boxes, by kind."""
    right: dict[str, list[bool]] = {}
    for crop, plate in validation(folder):
        ok = ctc.fold(models.read_crops(crop[None])[0]) == ctc.fold(plate.text)
        right.setdefault(kind(plate), []).append(ok)
    return {"set": "validation"} | {k: round(float(np.mean(v)), 4) for k, v in sorted(right.items())}


def summary(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """One line a model for the manifest."""
    capture = [f"{line['set']} {line['capture']}" for line in lines if "capture" in line]
    read = [f"{line['set']} {line['end_to_end']}" for line in lines if "end_to_end" in line]
    return {"detector": "capture: " + ", ".join(capture), "reader": "end to end, O as 0: " + ", ".join(read)}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), help="names, or `validation`")
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
            whole = name != "validation"
            lines.append(measure_set(models, folder, name) if whole else measure_validation(models, folder))
            print(json.dumps(lines[-1]), flush=True)
        if options.record:
            record(options.models, summary(lines))
    except (DataError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

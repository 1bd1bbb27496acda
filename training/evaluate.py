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
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_agent.camera.pictures import decode
from edge_agent.domain import folded
from edge_agent.errors import ModelError, PictureError
from training import boxes, plots
from training.data import DataError, data_folder
from training.files import plain
from training.manifest import record
from training.shipped import Models
from training.validation import APART, CAPTURED, MEASURES, PLATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.boxes import Found

SETS = ("us", "eu", "br", "dashcam", "world-val")
UNSURE = ("bad", "doubtful")
COLUMNS = ("image", "x", "y", "w", "h")


@dataclass(frozen=True, slots=True)
class Truth:
    """One labelled plate; text is empty where it is not known for sure."""

    box: Found
    text: str


def truths(table: Path) -> dict[str, list[Truth]]:
    """The labelled plates of each picture of a set. Raises DataError, OSError."""
    out: dict[str, list[Truth]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
            message = f"{table}: column missing: {', '.join(missing)}"
            raise DataError(message)
        for row in rows:
            try:
                x, y, w, h = (float(row[k] or "") for k in ("x", "y", "w", "h"))
            except ValueError:
                message = f"{table}:{rows.line_num}: x, y, w and h should be numbers"
                raise DataError(message) from None
            quality = row.get("quality") or ""
            sure = quality not in UNSURE and not quality.startswith("label")
            text = (row.get("text") or "") if sure else ""
            out.setdefault(row["image"], []).append(Truth(boxes.Found(x, y, x + w, y + h, 1.0), text))
    if not out:
        message = f"{table}: no rows"
        raise DataError(message)
    return out


def measure_set(models: Models, folder: Path, name: str, wrong: list[str] | None = None) -> dict[str, Any]:
    """Capture, share read, extra boxes and time over one set of whole pictures."""
    plates = found = texts = right = extra = 0
    spent_s = []
    pictures = truths(folder / "eval" / f"{name}.csv")
    for picture, labelled in pictures.items():
        image = decode(folder / "eval" / picture)  # as the program does: not quite what is learned from
        began = time.perf_counter()
        looked = models.look(image)
        spent_s.append(time.perf_counter() - began)
        seen, said = [box for box, _ in looked], [text for _, text in looked]
        extra += sum(all(boxes.overlap(b, t.box) < APART for t in labelled) for b in seen)
        for truth in labelled:
            best = max(range(len(seen)), key=lambda k: boxes.overlap(seen[k], truth.box), default=None)
            hit = best is not None and boxes.overlap(seen[best], truth.box) >= CAPTURED
            plates, found, texts = plates + 1, found + hit, texts + bool(truth.text)
            ok = bool(truth.text and hit and best is not None and folded(said[best]) == folded(truth.text))
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


def summary(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """One line a model for the manifest."""
    capture = [f"{line['set']} {line['capture']}" for line in lines if "capture" in line]
    read = [f"{line['set']} {line['end_to_end']}" for line in lines if "end_to_end" in line]
    return {"detector": "capture: " + ", ".join(capture), "reader": "end to end, O as 0: " + ", ".join(read)}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sets", nargs="*", default=list(SETS), help=f"{', '.join((*SETS, *MEASURES))}; default: the first five"
    )
    parser.add_argument("--data", help="labelled folder; default: $EDGE_AGENT_DATA")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of models")
    parser.add_argument("--record", action="store_true", help="write the figures into the manifest")
    parser.add_argument(
        "--plot", type=plots.picture, help=f"draw what the confidence of {PLATES} is worth (.svg, .png)"
    )
    options = parser.parse_args()
    if strange := [name for name in options.sets if name not in (*SETS, *MEASURES)]:
        parser.error(f"{strange[0]}: no such set; there are {', '.join((*SETS, *MEASURES))}")
    if options.record and not set(SETS) <= set(options.sets):
        parser.error("--record writes the figures of all sets: name none, or all of them")
    if options.plot and PLATES not in options.sets:
        parser.error(f"--plot draws what {PLATES} measures: name it")
    cv2.setNumThreads(1)
    try:
        folder = data_folder(options.data)
        models = Models(options.models)
        lines = []
        for name in options.sets:
            measure = MEASURES.get(name)
            lines.append(measure(models, folder) if measure else measure_set(models, folder, name))
            print(json.dumps(lines[-1]), flush=True)
        for line in lines:
            if options.plot and line["set"] == PLATES:
                plots.reliability(line, options.plot)
        if options.record:
            record(options.models, summary(lines))
    except (DataError, ModelError, PictureError, OSError) as error:
        sys.stderr.write(f"{plain(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

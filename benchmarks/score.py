"""What of a labelled picture set was found and read right."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from benchmarks.lines import Picture
from edge_agent.domain import Box, Image, folded
from edge_agent.errors import EdgeAgentError

CAPTURED_IOU, APART_IOU = 0.3, 0.2
UNSURE = ("bad", "doubtful")
"""Labels of these qualities, and those that begin with `label`, do not count for the reading."""


@dataclass(frozen=True, slots=True)
class TruePlate:
    """One labelled plate; text is empty where it is not known for sure."""

    box: Box
    text: str


@dataclass(frozen=True, slots=True)
class Score:
    """Captured of plates (found, IoU >= 0.3); right of texts (found, and every character right, O and 0 as one).

    Distinct are the texts that differ, distinct_right those of them read right in at least one picture.
    Extra are boxes apart from every labelled plate (IoU < 0.2): other plates, or none.
    """

    plates: int
    captured: int
    texts: int
    right: int
    distinct: int
    distinct_right: int
    extra: int


def key(path: str) -> str:
    """A picture's name in a truth table: the last two parts of its path."""
    return "/".join(PurePath(path.replace("\\", "/")).parts[-2:])


def load_truth(path: Path) -> dict[str, list[TruePlate]]:
    """Read a table of image, x, y, w, h (pixels), maybe text and quality, by key. Raises EdgeAgentError."""
    truth: dict[str, list[TruePlate]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            absent = {"image", "x", "y", "w", "h"} - set(rows.fieldnames or ())
            if absent:
                raise EdgeAgentError(f"{path}: is no truth table: without the column {', '.join(sorted(absent))}")
            for row in rows:
                try:
                    truth.setdefault(key(row["image"]), []).append(_plate(row))
                except ValueError as error:
                    raise EdgeAgentError(f"{path}:{rows.line_num}: {error}") from None
    except OSError as error:
        raise EdgeAgentError(f"{path}: the truth cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise EdgeAgentError(f"{path}: is no truth table: not text with commas") from None
    return truth


def _plate(row: Mapping[str, str | None]) -> TruePlate:
    """Raises ValueError with what is wrong."""
    try:
        x, y, width, height = (float(row[column] or "") for column in ("x", "y", "w", "h"))
    except ValueError:
        raise ValueError("x, y, w and h should be numbers") from None
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise ValueError("w and h should be more than 0, x and y finite")
    quality = row.get("quality") or ""
    is_sure = quality not in UNSURE and not quality.startswith("label")
    return TruePlate(Box(x, y, x + width, y + height), (row.get("text") or "") if is_sure else "")


def check_places(name: str, plates: Iterable[TruePlate], image: Image) -> None:
    """Refuse a label whose middle lies outside its picture. Raises EdgeAgentError."""
    height, width = image.shape[:2]
    for plate in plates:
        x, y = plate.box.center
        if not (0 <= x <= width and 0 <= y <= height):
            box = ", ".join(f"{edge:g}" for edge in (*plate.box[:2], plate.box.width, plate.box.height))
            raise EdgeAgentError(
                f"{name}: the label at x, y, w, h {box} lies outside the {width} x {height} pixels"
            )


def score(truth: Mapping[str, Sequence[TruePlate]], pictures: Iterable[Picture]) -> Score:
    """Compare; a labelled picture that was not read counts as missed. Raises EdgeAgentError where none was read."""
    by_key = {key(one.image): one for one in pictures}
    if not by_key.keys() & truth.keys():
        example = next(iter(by_key), "folder/name.jpg")
        raise EdgeAgentError(f"the truth names none of the pictures: it should call them like {example}")
    captured = texts = right = plates = extra = 0
    distinct: dict[str, bool] = {}
    for name, labelled in truth.items():
        found = by_key[name].plates if name in by_key else ()
        extra += sum(all(one.box.iou(seen.place) < APART_IOU for one in labelled) for seen in found)
        for plate in labelled:
            best = max(found, key=lambda one: plate.box.iou(one.place), default=None)
            hit = best is not None and plate.box.iou(best.place) >= CAPTURED_IOU
            plates += 1
            captured += hit
            if plate.text:
                text = folded(plate.text)
                is_right = hit and best is not None and folded(best.text) == text
                texts += 1
                right += is_right
                distinct[text] = distinct.get(text, False) or is_right
    return Score(
        plates=plates,
        captured=captured,
        texts=texts,
        right=right,
        distinct=len(distinct),
        distinct_right=sum(distinct.values()),
        extra=extra,
    )

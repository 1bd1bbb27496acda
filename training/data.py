"""Labelled folders: read their tables, check them, say in one line what is wrong."""

from __future__ import annotations

import csv
import io
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_agent.camera.damage import damage
from training.regions import label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Gray = NDArray[np.uint8]

log = logging.getLogger("training")

CHARSET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DATA_VARIABLE = "EDGE_AGENT_DATA"
SHORTEST, LONGEST = 2, 10
READER_COLUMNS = ("image", "x", "y", "w", "h", "text")
DETECTOR_COLUMNS = ("image", "width", "height", "x", "y", "w", "h")
SPLITS = ("train", "val")
UNUSABLE_FLAGS = ("trunc", "occluded", "symbol", "noisy")
FLAGS = frozenset({*UNUSABLE_FLAGS, "o0", "twoline"})
FOR_PEOPLE = frozenset({"dashcam", "oword", "slash0", "stacked", "temp", "umlaut", "usgov"})  # change nothing
MIXED_REGIONS = ("world", "mixed")  # what a table says of photographs from several countries
NEGATIVES_HELD_OUT = 10  # one picture without plates in so many
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SLACK_PX = 2.0  # labels may stand this far outside their picture: rounding

Box = tuple[float, float, float, float]  # x, y, w, h in pixels of the picture


class DataError(Exception):
    """The labelled folder cannot be trained on; the message is one line for its owner."""


@dataclass(frozen=True, slots=True)
class PlateText:
    """One plate whose characters are known; without a box the picture is the plate."""

    image: Path
    box: Box | None
    text: str
    region: str  # as regions.label gives it
    source: str
    quality: str
    folded: bool  # the label writes letter O as digit 0
    two_lines: bool  # the text is the upper line, then the lower one
    place: str  # in its table, for messages: reader.csv:12


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph, its size (width, height) in pixels, and all of its plates' boxes, perhaps none."""

    image: Path
    size: tuple[float, float]
    boxes: tuple[Box, ...]
    source: str
    group: str
    region: str
    """The country's code in small letters; empty where the table does not say one."""


def data_folder(given: str | None) -> Path:
    """The labelled folder named on the command line or by EDGE_AGENT_DATA."""
    name = given or os.environ.get(DATA_VARIABLE)
    if not name:
        message = f"no labelled folder: give --data DIR or set {DATA_VARIABLE}"
        raise DataError(message)
    folder = Path(name)
    if not folder.is_dir():
        message = f"{folder}: no such folder"
        raise DataError(message)
    return folder


def data_folders(given: Sequence[str] | None) -> list[Path]:
    """The labelled folders to train on; what is held out for validation is the first one's."""
    return [data_folder(one) for one in given] if given else [data_folder(None)]


def read_gray(path: Path) -> Gray:
    """The picture as gray [h,w] uint8. Raises DataError where it is damaged or cannot be decoded."""
    if wrong := damage(path.read_bytes()):
        message = f"{path}: {wrong}"
        raise DataError(message)
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        message = f"{path}: not a picture that OpenCV can read"
        raise DataError(message)
    return np.asarray(image, np.uint8)


def clean(text: str) -> str:
    """Letters and digits alone, upper case."""
    return "".join(c for c in text.upper() if c.isalnum())


def plate_texts(folder: Path, split: str | None, *, noisy: bool = False) -> list[PlateText]:
    """The usable plates of reader.csv in one split (None: all). Raises DataError."""
    table = folder / "reader.csv"
    found: list[PlateText] = []
    strange = 0
    for place, row in _rows(table, READER_COLUMNS):
        flags = _flags(row, place)
        if split not in (None, _split(row, place)):
            continue
        text = clean(row["text"])
        if not text:
            message = f"{place}: empty text"
            raise DataError(message)
        quality = row.get("quality") or "good"
        if quality == "noisy" and not noisy:
            continue
        if flags.intersection(UNUSABLE_FLAGS):
            continue
        if not SHORTEST <= len(text) <= LONGEST or any(c not in CHARSET for c in text):
            strange += 1
            continue
        found.append(
            PlateText(
                image=_picture(folder, row, place),
                box=_box(row, place),
                text=text,
                region=label(row.get("region") or "", row.get("state") or ""),
                source=row.get("source") or "",
                quality=quality,
                folded="o0" in flags,
                two_lines="twoline" in flags,
                place=place,
            )
        )
    if strange:
        log.info("%s: %d left out: not %d to %d of A-Z and 0-9", table, strange, SHORTEST, LONGEST)
    if not found:
        message = f"{table}: no usable plate" + (f" whose column split says {split}" if split else "")
        raise DataError(message)
    return found


def photographs(folder: Path) -> list[Photograph]:
    """Every photograph of detector.csv with its boxes. Raises DataError."""
    table = folder / "detector.csv"
    boxes: dict[str, list[Box]] = {}
    first: dict[str, tuple[Path, tuple[float, float], str, str, str]] = {}
    for place, row in _rows(table, DETECTOR_COLUMNS):
        name = row["image"]
        if name not in first:
            first[name] = (
                _picture(folder, row, place),
                _size(row, place),
                row.get("source") or "",
                row.get("group") or name,
                "" if (region := (row.get("region") or "").lower()) in MIXED_REGIONS else region,
            )
        box = _box(row, place, _size(row, place))
        boxes.setdefault(name, []).extend([] if box is None else [box])
    if not first:
        message = f"{table}: no rows"
        raise DataError(message)
    return [Photograph(*first[n][:2], tuple(boxes[n]), *first[n][2:]) for n in first]


def taken(photograph: Photograph) -> Gray:
    """The photograph as gray [h,w] uint8. Raises DataError where it is not of the size that its boxes are for."""
    image = read_gray(photograph.image)
    width, height = photograph.size
    if abs(image.shape[1] - width) > SLACK_PX or abs(image.shape[0] - height) > SLACK_PX:
        is_, said = f"{image.shape[1]} x {image.shape[0]}", f"{width:.0f} x {height:.0f}"
        message = f"{photograph.image}: the picture is {is_} pixels, the table says {said}"
        raise DataError(message)
    return image


def without_plates(folder: Path, *, validation: bool = False) -> list[Gray]:
    """The pictures without plates of one side; every tenth is held out."""
    found = pictures_in(folder / "negatives")
    return [read_gray(one) for k, one in enumerate(found) if (k % NEGATIVES_HELD_OUT == 0) == validation]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in order of name; empty where there is no folder."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES) if folder.is_dir() else []


def _rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    if not table.is_file():
        message = f"{table}: no such file"
        raise DataError(message)
    try:
        reader = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"), newline=""))
        rows = [(f"{table}:{reader.line_num}", row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"{table}: not a table in UTF-8: {error}"
        raise DataError(message) from error
    missing = [c for c in columns if c not in (reader.fieldnames or ())]
    if missing:
        message = f"{table}: column missing: {', '.join(missing)}"
        raise DataError(message)
    for place, row in rows:
        if any(row[column] is None for column in columns):
            message = f"{place}: too few columns"
            raise DataError(message)
        yield place, {name: value or "" for name, value in row.items() if name is not None}


def _picture(folder: Path, row: Mapping[str, str], place: str) -> Path:
    path = folder / row["image"]
    if not row["image"] or not path.is_file():
        message = f"{place}: picture missing: {row['image']!r}"
        raise DataError(message)
    return path


def _split(row: Mapping[str, str], place: str) -> str:
    split = row.get("split") or SPLITS[0]
    if split not in SPLITS:
        message = f"{place}: split should be {' or '.join(SPLITS)}, got {split!r}"
        raise DataError(message)
    return split


def _flags(row: Mapping[str, str], place: str) -> set[str]:
    flags = set((row.get("flags") or "").replace(";", " ").split())
    if strange := sorted(flags - FLAGS - FOR_PEOPLE):
        message = f"{place}: unknown flag {strange[0]!r}. Known: {', '.join(sorted(FLAGS | FOR_PEOPLE))}"
        raise DataError(message)
    return flags


def _size(row: Mapping[str, str], place: str) -> tuple[float, float]:
    try:
        return float(row["width"]), float(row["height"])
    except ValueError:
        message = f"{place}: width and height are not numbers"
        raise DataError(message) from None


def _box(row: Mapping[str, str], place: str, size: tuple[float, float] | None = None) -> Box | None:
    values = [row[k] for k in ("x", "y", "w", "h")]
    if not any(values):
        return None
    try:
        x, y, w, h = (float(v) for v in values)
    except ValueError:
        message = f"{place}: box is not four numbers: {','.join(values)}"
        raise DataError(message) from None
    if not all(math.isfinite(v) for v in (x, y, w, h)):
        message = f"{place}: box is not four numbers: {','.join(values)}"
        raise DataError(message)
    if w <= 0 or h <= 0:
        message = f"{place}: box without area"
        raise DataError(message)
    if min(x, y) < -SLACK_PX or (size is not None and (x + w > size[0] + SLACK_PX or y + h > size[1] + SLACK_PX)):
        message = f"{place}: box outside the picture"
        raise DataError(message)
    return (x, y, w, h)

"""Reads still pictures: `edge-agent read`."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_agent.camera.pictures import decode, list_pictures
from edge_agent.domain import Reading, counted
from edge_agent.errors import PictureError
from edge_agent.pipeline import Pipeline
from edge_agent.vision.annotate import annotate
from edge_agent.vision.far import QUARTERS
from edge_agent.vision.patch import jpeg

ANNOTATED = ".annotated.jpg"
"""How the names of annotated pictures end: a directory's are not read again as pictures of it."""


@dataclass(frozen=True, slots=True)
class Still:
    """One picture to read; `relative` is where it lies below the path that was given.

    fault: the line that says why there is none, for a directory that gives no picture.
    """

    path: Path
    relative: Path
    fault: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StillResult:
    """What one picture shows, or the one line that says why it cannot be read."""

    path: Path
    readings: tuple[Reading, ...] = ()
    error: str | None = None
    decode_ms: float = 0.0
    detect_ms: float = 0.0
    read_ms: float = 0.0


def gather(paths: Sequence[Path]) -> tuple[list[Still], int]:
    """Walk the paths: the pictures in order, and how many other files the directories hold."""
    stills: list[Still] = []
    others = 0
    for path in paths:
        if path.is_dir():
            try:
                pictures, ignored = list_pictures(path, without=ANNOTATED)
            except PictureError as error:
                stills.append(Still(path=path, relative=Path(path.name), fault=str(error)))
                continue
            if not pictures:
                fault = f"{path}: holds no picture ({counted(ignored, 'other file')})"
                stills.append(Still(path=path, relative=Path(path.name), fault=fault))
            stills += [Still(path=one, relative=one.relative_to(path)) for one in pictures]
            others += ignored if pictures else 0
        else:
            stills.append(Still(path=path, relative=Path(path.name)))
    return stills, others


def read_stills(
    stills: Sequence[Still],
    *,
    pipeline: Pipeline,
    unsure_below: float,
    far_plates: bool,
    annotate_into: Path | None,
) -> Iterator[StillResult]:
    """Read each picture; one that cannot be read does not stop the others."""
    quarters = range(QUARTERS if far_plates else 0)
    written: set[Path] = set()
    for still in stills:
        if still.fault is not None:
            yield StillResult(path=still.path, error=still.fault)
            continue
        started = time.perf_counter()
        try:
            image = decode(still.path)
        except PictureError as error:
            yield StillResult(path=still.path, error=str(error))
            continue
        decode_ms = (time.perf_counter() - started) * 1e3
        look = pipeline.look(image, quarters=quarters)
        if annotate_into is not None:
            picture = annotate(image, look.readings, unsure_below=unsure_below)
            _save(_unused(annotate_into / still.relative, written), jpeg(picture))
        yield StillResult(
            path=still.path,
            readings=look.readings,
            decode_ms=decode_ms,
            detect_ms=look.detect_ms,
            read_ms=look.read_ms,
        )


def as_json(result: StillResult, *, unsure_below: float) -> str:
    r"""One line of `read --jsonl`; bytes of a name that are no UTF-8 are written as \xff."""
    line: dict[str, Any] = {"image": _utf8(str(result.path)), "plates": []}
    if result.error is not None:
        line["error"] = _utf8(result.error)
    else:
        line["plates"] = [_plate(reading, unsure_below) for reading in result.readings]
        line["timing_ms"] = {
            "decode": round(result.decode_ms, 2),
            "detect": round(result.detect_ms, 2),
            "ocr": round(result.read_ms, 2),
        }
    return json.dumps(line, ensure_ascii=False)


def _utf8(text: str) -> str:
    """A text in which a name's bytes that are no UTF-8 are written as in the shell."""
    return os.fsencode(text).decode(errors="backslashreplace")


def _plate(reading: Reading, unsure_below: float) -> dict[str, Any]:
    characters = reading.characters
    return {
        "box": [round(edge, 1) for edge in reading.detection.box],
        "detection_confidence": round(reading.detection.confidence, 3),
        "text": characters.plate_text(unsure_below=unsure_below),
        "confidence": round(characters.confidence, 3),
        "characters": [round(share, 3) for share in characters.confidences],
        "region": asdict(region) if (region := reading.regions.region) else None,
    }


def as_lines(result: StillResult, *, unsure_below: float) -> list[str]:
    """What a person is shown: a line a plate."""
    name = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(result.path))
    if not result.readings:
        return [f"{name}: no plate"]
    return [
        f"{name}: {r.characters.plate_text(unsure_below=unsure_below) or 'not readable'}"
        f"  confidence {r.characters.confidence:.2f}"
        f"{f'  {region.code} {region.confidence:.2f}' if (region := r.regions.region) else ''}"
        f"  plate {r.detection.box.width:.0f}x{r.detection.box.height:.0f} px"
        for r in result.readings
    ]


def _unused(path: Path, written: set[Path]) -> Path:
    """The name of an annotated picture: never the original's, never one that this run has written."""
    target = path.with_name(f"{path.name}{ANNOTATED}")
    count = 1
    while target in written:
        count += 1
        target = path.with_name(f"{path.name}.{count}{ANNOTATED}")
    written.add(target)
    return target


def _save(target: Path, content: bytes) -> None:
    """Write a file and the directories to it. Raises PictureError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as error:
        raise PictureError(f"{target}: the annotated picture cannot be written: {error.strerror}") from error

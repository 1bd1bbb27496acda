"""A labelled folder out of another program's reads: python -m training.agreed --reads READS.jsonl --out DIR.

Photographs of plates are many, texts of them few. What another reader says of the photographs in detector.csv
becomes noisy labels: `training.reader --start WEIGHTS --data DATA --data DIR` believes those that the network reads
the same. No text of an evaluation set gets in, none that reader.csv has already, none of a source left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge_agent.domain import folded
from training.boxes import Found, overlap
from training.data import SHORTEST, DataError, clean, data_folder, photographs, read_gray
from training.files import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from training.data import Box, Photograph

log = logging.getLogger("training")

COLUMNS = ("image", "x", "y", "w", "h", "text", "region", "source", "quality", "split")
PICTURES = "plates"
MARGIN = 0.25  # of the box, around it
SAME = 0.5  # overlap of the program's box with the labelled one
NARROWEST_PX = 36.0


def reads(path: Path) -> dict[str, list[tuple[Found, str]]]:
    """Boxes and texts by the picture's last two names; lines as `edge-agent read --jsonl` gives them."""
    out: dict[str, list[tuple[Found, str]]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                told = json.loads(line)
                seen = [(_box(one["box"]), clean(one["text"])) for one in told["plates"]]
                out[_key(Path(told["image"]))] = seen
            except json.JSONDecodeError as error:
                message = f"{path}:{number}: not a line of reads: not JSON"
                raise DataError(message) from error
            except KeyError as error:
                message = f"{path}:{number}: not a line of reads: without {error}"
                raise DataError(message) from error
            except (ValueError, TypeError, AttributeError) as error:
                message = f"{path}:{number}: not a line of reads as `edge-agent read --jsonl` prints them"
                raise DataError(message) from error
    return out


def labelled(
    found: list[Photograph], said: dict[str, list[tuple[Found, str]]], known: set[str]
) -> Iterator[tuple[Photograph, Box, str]]:
    """Labelled boxes with what the program says of them; known texts, O as 0, are left out."""
    for photograph in found:
        for box in photograph.boxes:
            x, y, w, h = box
            truth = Found(x, y, x + w, y + h, 1.0)
            text = next((t for b, t in said.get(_key(photograph.image), ()) if overlap(b, truth) >= SAME), "")
            if w >= NARROWEST_PX and len(text) >= SHORTEST and folded(text) not in known:
                yield photograph, box, text


def write(plates: Iterable[tuple[Photograph, Box, str]], folder: Path) -> int:
    """The plates with a margin around them as a folder's pictures and reader.csv; how many they are."""
    if (folder / "reader.csv").exists():
        message = f"{folder / 'reader.csv'}: is there already: give --out a folder that is new"
        raise DataError(message)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    count = 0
    with (folder / "reader.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for count, (photograph, (x, y, w, h), text) in enumerate(plates, 1):
            left, top = max(0, round(x - MARGIN * w)), max(0, round(y - MARGIN * h))
            right, bottom = round(x + (1 + MARGIN) * w), round(y + (1 + MARGIN) * h)
            name = f"{PICTURES}/{count:05d}.webp"
            if not cv2.imwrite(str(folder / name), read_gray(photograph.image)[top:bottom, left:right]):
                message = f"{folder / name}: cannot be written"
                raise DataError(message)
            about = (photograph.region, photograph.source, "noisy", "train")
            table.writerow((name, x - left, y - top, w, h, text, *about))
    return count


def known_texts(folder: Path) -> set[str]:
    """The texts, O as 0, of reader.csv and of every evaluation set."""
    out = set()
    for table in (folder / "reader.csv", *(folder / "eval").glob("*.csv")):
        with table.open(newline="", encoding="utf-8") as file:
            out |= {folded(row.get("text") or "") for row in csv.DictReader(file)}
    return out


def _box(corners: list[float]) -> Found:
    x0, y0, x1, y1 = corners
    return Found(x0, y0, x1, y1, 1.0)


def _key(picture: Path) -> str:
    return "/".join(picture.parts[-2:])


def main() -> int:
    """Command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="labelled folder; default: $EDGE_AGENT_DATA")
    parser.add_argument(
        "--reads", type=Path, required=True, help="another program's reads, as `read --jsonl` prints"
    )
    parser.add_argument("--without", action="append", default=[], help="a source to leave out")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        folder = data_folder(options.data)
        found = [one for one in photographs(folder) if one.source not in options.without]
        count = write(labelled(found, reads(options.reads), known_texts(folder)), options.out)
    except (DataError, OSError) as error:
        log.error("%s", plain(error))  # noqa: TRY400
        return 1
    log.info("%d plates, noisy labels", count)
    return 0


if __name__ == "__main__":
    sys.exit(main())

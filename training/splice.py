"""New texts from photographs of plates: a plate's own characters in another order, and those of its kin.

A few thousand photographs cannot say every text, and a network that sees each of them a hundred
times learns them by heart. Their characters put together anew keep the real font, light and dirt.
Kin are plates of the same issuer: its dies' 8 stands on a few of them, and belongs on all.
Now and then a character gives way to an emblem, which is not to be read.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.glyphs import emblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data import Box, Gray

    Floats = NDArray[np.float32]

SLOPES = np.linspace(-0.36, 0.36, 37)  # of the row of characters, pixels down a pixel to the right
NARROWEST = 0.45  # of the usual width: the least that a piece may be wide
RARE = "IOQ"  # many countries do not issue them, and they are easily taken for others
EMBLEMS = 0.15  # of the new texts
FEWEST = 5  # characters of a plate that may lose one to an emblem
ACROSS_PX = 96  # the width at which the slope is looked for
FROM_KIN = 0.5  # of the characters of a plate that has kin
TONES = (5, 90)  # percentiles: ink and ground, or ground and ink
LEVEL = 0.05  # the greatest slope of a row that lends


@dataclass(frozen=True, slots=True)
class Cut:
    """Columns before, between and after the characters, n + 1 of them, and the slope of their row; pixels."""

    columns: tuple[int, ...]
    falls: float


@dataclass(frozen=True, slots=True)
class Parted:
    """A gray picture, the plate's box in it, what it says and where its characters part."""

    image: Gray
    box: Box
    text: str
    cut: Cut

    @property
    def rows(self) -> slice:
        """Of the picture: those that the characters stand in."""
        _, y, _, h = self.box
        return slice(max(0, round(y - 0.05 * h)), min(self.image.shape[0], round(y + 1.05 * h)))

    @property
    def row(self) -> Gray:
        """Its characters and what is between them."""
        return self.image[self.rows, self.cut.columns[0] : self.cut.columns[-1]]


def cut(image: Gray, box: Box, centres: Sequence[float]) -> Cut | None:
    """Where to part the characters at these centres; None where the pieces could not each be one of them.

    Between two of them it is where the picture changes least from top to bottom.
    """
    if len(centres) < 2:
        return None
    pitch = float(np.median(np.diff(centres)))
    first, last = centres[0], centres[-1]
    ranges = [
        (first - 0.75 * pitch, first - 0.35 * pitch),
        *((a + 0.3 * (b - a), b - 0.3 * (b - a)) for a, b in itertools.pairwise(centres)),
        (last + 0.35 * pitch, last + 0.75 * pitch),
    ]
    _, y, _, h = box
    band = image[max(0, int(y + 0.25 * h)) : max(1, int(y + 0.75 * h)) + 1].astype(np.float32)
    columns = tuple(_calmest(band, low, high) for low, high in ranges)
    wide = np.diff(columns)
    inside = columns[0] >= 0 and columns[-1] <= image.shape[1]
    if not inside or wide.min() < 2 or wide.min() <= NARROWEST * np.median(wide):
        return None
    return Cut(columns, slope(image[max(0, round(y)) : round(y + h), columns[0] : columns[-1]]))


def slope(part: Gray) -> float:
    """How far a row of characters falls, pixels a pixel: that which parts its lines best when taken back."""
    scale = min(1.0, ACROSS_PX / part.shape[1])
    seen = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)
    size = (seen.shape[1], seen.shape[0])
    parted = []
    for one in SLOPES:
        back = np.array([[1, 0, 0], [-one, 1, one * size[0] / 2]], np.float32)
        rows = cv2.warpAffine(seen, back, size, borderMode=cv2.BORDER_REPLICATE).mean(1)
        parted.append(float(np.square(np.diff(rows)).sum()))
    return float(SLOPES[int(np.argmax(parted))])


def spliced(plate: Parted, kin: Sequence[Parted], rng: np.random.Generator) -> tuple[Gray, str]:
    """The picture with letters in the places of letters and digits in those of digits, its own and its kin's.

    The serial pattern stays as it was: it tells I from 1 where a font draws them alike.
    """
    edges = plate.cut.columns
    pieces, said = [], []
    for place in range(len(plate.text)):
        lent = _lent(plate, place, kin, rng) if kin and rng.random() < FROM_KIN else None
        if lent is None:
            k = _like(plate.text, place, rng)
            lent = _piece(plate, k, edges[place]), plate.text[k]
        pieces.append(lent[0])
        said.append(lent[1])
    row = np.hstack(pieces)
    if len(said) >= FEWEST and rng.random() < EMBLEMS:
        place = int(rng.integers(len(said)))
        first = sum(piece.shape[1] for piece in pieces[:place])
        row = _with_emblem(row, first, first + pieces[place].shape[1], rng)
        del said[place]
    out = plate.image.copy()
    written = out[plate.rows, edges[0] : edges[-1]]
    written[:] = cv2.resize(row, written.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return out, "".join(said)


def _piece(plate: Parted, k: int, column: int) -> Gray:
    """Its k-th character as it would stand from that column on."""
    first, last = plate.cut.columns[k : k + 2]
    return _moved(plate.image[:, first:last], round(plate.cut.falls * (column - first)))[plate.rows]


def _lent(plate: Parted, place: int, kin: Sequence[Parted], rng: np.random.Generator) -> tuple[Gray, str] | None:
    """A character of one of its kin, in this plate's size and tones; None where the two are too unlike."""
    other = kin[int(rng.integers(len(kin)))]
    places = [k for k, c in enumerate(other.text) if c.isalpha() == plate.text[place].isalpha()]
    theirs, ours = _tones(other.row), _tones(plate.row)
    if not places or abs(other.cut.falls) > LEVEL or ours.dark_on_bright != theirs.dark_on_bright:
        return None
    k = places[int(rng.integers(len(places)))]
    scale = plate.row.shape[0] / other.row.shape[0]
    piece = _piece(other, k, other.cut.columns[k])
    wide = max(2, round(piece.shape[1] * scale))
    piece = cv2.resize(piece, (wide, plate.row.shape[0]), interpolation=cv2.INTER_AREA).astype(np.float32)
    piece = np.clip((piece - theirs.low) * (ours.range / theirs.range) + ours.low, 0, 255).astype(np.uint8)
    middle = (plate.cut.columns[0] + plate.cut.columns[-1]) / 2
    return _moved(piece, round(plate.cut.falls * (plate.cut.columns[place] - middle))), other.text[k]


@dataclass(frozen=True, slots=True)
class _Tones:
    low: float
    range: float
    dark_on_bright: bool


def _tones(row: Gray) -> _Tones:
    low, middle, high = np.percentile(row, (TONES[0], 50, TONES[1]))
    return _Tones(low, max(1.0, high - low), middle > (low + high) / 2)


def _with_emblem(row: Gray, first: int, last: int, rng: np.random.Generator) -> Gray:
    """An emblem in place of the character in these columns: its ground from their edges, its tone from its ink."""
    canvas = row.astype(np.float32)
    part = canvas[:, first:last]
    ground = np.linspace(part[:, 0], part[:, -1], part.shape[1], axis=1)
    ink = part.flat[np.abs(part - ground).argmax()]
    part[:] = ground
    tone = float(ink + (ground.mean() - ink) * rng.uniform(0, 0.5))
    tall = row.shape[0] * rng.uniform(0.35, 0.75)
    wide = (last - first) * rng.uniform(0.7, 1.25)  # it may touch its neighbours
    x = (first + last - wide) / 2
    emblem(canvas, (x, rng.uniform(0.1, 0.95) * (row.shape[0] - tall), wide, tall), tone, rng)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _calmest(band: Floats, low: float, high: float) -> int:
    first, last = max(0, round(low)), min(band.shape[1], round(high) + 1)
    if last - first < 2 or band.shape[0] < 2:
        return round((low + high) / 2)
    return first + int(np.abs(np.diff(band[:, first:last], axis=0)).mean(0).argmin())


def _moved(piece: Gray, down: int) -> Gray:
    """The piece so many pixels further down, its edge repeated."""
    if not down:
        return piece
    rows = np.clip(np.arange(piece.shape[0]) - down, 0, piece.shape[0] - 1)
    return np.asarray(piece[rows], np.uint8)


def _like(text: str, place: int, rng: np.random.Generator) -> int:
    """A place of the text that holds a letter where this one does, else a digit; rare letters more often."""
    same = [k for k, character in enumerate(text) if character.isalpha() == text[place].isalpha()]
    same += 2 * [k for k in same if text[k] in RARE]
    return same[int(rng.integers(len(same)))]

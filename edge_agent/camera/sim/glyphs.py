"""Letters of a number plate as strokes, the way an embossing die draws them: no font file is needed."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.domain import Image

STROKES: dict[str, tuple[str, ...]] = {
    "0": ("(.09,0) (.91,0) (.91,1) (.09,1) z",),
    "1": (".12,.2 .55,0 .55,1",),
    "2": ("0,.24 (0,0) (1,0) (1,.45) 0,1 1,1",),
    "3": ("0,.21 (0,0) (1,0) (1,.47) .35,.47", ".35,.47 (1,.47) (1,1) (0,1) 0,.79"),
    "4": (".76,1 .76,0 0,.7 1,.7",),
    "5": (".93,0 .06,0 .06,.42 (1,.36) (1,1) (0,1) 0,.79",),
    "6": ("1,.2 (1,0) (0,0) (0,1) (1,1) (1,.43) (0,.43) 0,.6",),
    "7": ("0,0 1,0 .36,1",),
    "8": ("(.06,0) (.94,0) (.94,.47) (.06,.47) z", "(0,.47) (1,.47) (1,1) (0,1) z"),
    "9": ("0,.8 (0,1) (1,1) (1,0) (0,0) (0,.57) (1,.57) 1,.4",),
    "A": ("0,1 .42,0 .58,0 1,1", ".15,.7 .85,.7"),
    "B": ("0,.47 0,0 (.95,0) (.95,.47) 0,.47", "0,.47 (1,.47) (1,1) 0,1 z"),
    "C": ("1,.24 (1,0) (0,0) (0,1) (1,1) 1,.76",),
    "D": ("0,0 (1,0) (1,1) 0,1 z",),
    "E": ("1,0 0,0 0,1 1,1", "0,.48 .82,.48"),
    "F": ("1,0 0,0 0,1", "0,.48 .82,.48"),
    "G": ("1,.24 (1,0) (0,0) (0,1) (1,1) 1,.55 .55,.55",),
    "H": ("0,0 0,1", "1,0 1,1", "0,.48 1,.48"),
    "I": (".5,0 .5,1", ".15,0 .85,0", ".15,1 .85,1"),
    "J": ("1,0 (1,1) (0,1) 0,.7",),
    "K": ("0,0 0,1", "1,0 0,.6", ".3,.42 1,1"),
    "L": ("0,0 0,1 1,1",),
    "M": ("0,1 0,0 .5,.62 1,0 1,1",),
    "N": ("0,1 0,0 1,1 1,0",),
    "O": ("(0,0) (1,0) (1,1) (0,1) z",),
    "P": ("0,1 0,0 (1,0) (1,.54) 0,.54",),
    "Q": ("(0,0) (1,0) (1,1) (0,1) z", ".58,.74 1.04,1.04"),
    "R": ("0,1 0,0 (1,0) (1,.52) 0,.52", ".45,.52 1,1"),
    "S": ("1,.21 (1,0) (0,0) (0,.47) (1,.47) (1,1) (0,1) 0,.79",),
    "T": ("0,0 1,0", ".5,0 .5,1"),
    "U": ("0,0 (0,1) (1,1) 1,0",),
    "V": ("0,0 .5,1 1,0",),
    "W": ("0,0 .19,1 .5,.5 .81,1 1,0",),
    "X": ("0,0 1,1", "1,0 0,1"),
    "Y": ("0,0 .5,.52 1,0", ".5,.52 .5,1"),
    "Z": ("0,0 1,0 0,1 1,1",),
    "-": ("0,.5 1,.5",),
    " ": (),
}
"""Each path: corners `x,y` in a box 1 wide and 1 high, y down; in brackets a rounded corner; `z` closes."""

Points = NDArray[np.float64]

_SUPERSAMPLING = 4


def _rounded(before: Points, corner: Points, after: Points, radius: float) -> list[Points]:
    """Replace a corner by an arc that leaves each side at most half-way to its neighbour."""
    ends = []
    for neighbour in (before, after):
        side = neighbour - corner
        length = float(np.hypot(*side)) or 1.0
        ends.append(corner + side * min(radius, length / 2) / length)
    steps = np.linspace(0, 1, 7)[:, None]
    # A curve of second order with the corner as its handle, bulged towards a circle's arc.
    curve = (1 - steps) ** 2 * ends[0] + 2 * steps * (1 - steps) * corner + steps**2 * ends[1]
    return list(curve + (corner - (ends[0] + ends[1]) / 2) * (0.16 * steps * (1 - steps)))


def _path(description: str, scale: Points, radius: float) -> tuple[Points, bool]:
    """Give the points of one path in pixels, and whether it is closed."""
    words = description.split()
    closed = words[-1] == "z"
    words = words[:-1] if closed else words
    corners = [np.array([float(n) for n in word.strip("()").split(",")]) * scale for word in words]
    points: list[Points] = []
    for index, (word, corner) in enumerate(zip(words, corners, strict=True)):
        if word.startswith("("):
            after = corners[(index + 1) % len(corners)]
            points += _rounded(corners[index - 1], corner, after, radius)
        else:
            points.append(corner)
    return np.array(points), closed


@cache
def glyph(character: str, width: int, height: int, stroke: float) -> Image:
    """Draw one character as a mask [height, width], 255 inside the stroke; sizes in pixels, stroke its width."""
    scaled = _SUPERSAMPLING * stroke
    mask = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.uint8)
    scale = np.array([width, height]) * _SUPERSAMPLING - scaled
    for description in STROKES[character]:
        points, closed = _path(description, scale, radius=0.5 * float(scale[0]))
        fixed = np.round((points + scaled / 2) * 16).astype(np.int32)
        cv2.polylines(mask, [fixed], closed, 255, round(scaled), cv2.LINE_AA, shift=4)
    smaller = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    smaller.setflags(write=False)
    return np.asarray(smaller, np.uint8)


def write(
    mask: Image, text: str, left: float, top: float, *, size: tuple[int, int], gap: int, stroke: float
) -> None:
    """Write a line into a mask; size is a character's width and height in pixels, a dash's half as wide."""
    width, height = size
    x, y = round(left), round(top)
    for character in text:
        if character != " ":
            drawn = glyph(character, _width(character, width), height, stroke)
            place = mask[y : y + height, x : x + drawn.shape[1]]
            np.maximum(place, drawn[: place.shape[0], : place.shape[1]], out=place)
        x += _width(character, width) + (gap if character != " " else 0)


def length(text: str, *, width: int, gap: int) -> int:
    """Give the pixels that `write` takes from the first character's left edge to the last one's right edge."""
    return sum(_width(character, width) + (gap if character != " " else 0) for character in text) - gap


def _width(character: str, width: int) -> int:
    return width // 2 if character in " -" else width

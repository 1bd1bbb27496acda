"""Number plates in the style of US states, drawn in code, with serials as the states issue them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.camera.sim import glyphs
from edge_agent.domain import Image

WIDTH_M, HEIGHT_M = 0.305, 0.152
"""A US plate: 12 by 6 inches."""

_PX = 40  # pixels an inch of the drawn plate
_SIZE = (12 * _PX, 6 * _PX)
_POOLS = {"L": "ABCDEFGHJKLMNPRSTUVWXYZ", "D": "0123456789"}  # most states leave out I, O and Q

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """How one state's plate looks; colours are blue, green, red."""

    region: str
    name: str
    slogan: str
    pattern: str
    """`L` a letter, `D` a digit; space and dash are drawn but are no characters of the plate."""
    ink: Colour
    top: Colour
    bottom: Colour
    name_ink: Colour


STYLES = (
    Style(
        "us-ct",
        "CONNECTICUT",
        "CONSTITUTION STATE",
        "LL DDDDD",
        (84, 40, 20),
        (214, 176, 138),
        (236, 236, 234),
        (84, 40, 20),
    ),
    Style(
        "us-ct",
        "CONNECTICUT",
        "CONSTITUTION STATE",
        "DLLLLD",
        (84, 40, 20),
        (214, 176, 138),
        (236, 236, 234),
        (84, 40, 20),
    ),
    Style(
        "us-ny", "NEW YORK", "EXCELSIOR", "LLL DDDD", (92, 46, 22), (238, 238, 236), (238, 238, 236), (150, 90, 30)
    ),
    Style(
        "us-ma",
        "MASSACHUSETTS",
        "THE SPIRIT OF AMERICA",
        "DLLL DD",
        (50, 34, 178),
        (240, 240, 238),
        (240, 238, 236),
        (140, 60, 30),
    ),
    Style(
        "us-nj",
        "NEW JERSEY",
        "GARDEN STATE",
        "LDD-LLL",
        (34, 30, 26),
        (120, 222, 236),
        (232, 238, 240),
        (40, 34, 30),
    ),
    Style(
        "us-pa",
        "PENNSYLVANIA",
        "VISITPA",
        "LLL-DDDD",
        (110, 50, 24),
        (238, 238, 238),
        (236, 236, 236),
        (110, 50, 24),
    ),
    Style(
        "us-ri",
        "RHODE ISLAND",
        "OCEAN STATE",
        "DL DDDD",
        (96, 40, 20),
        (236, 232, 226),
        (226, 214, 196),
        (96, 40, 20),
    ),
    Style(
        "us-me", "MAINE", "VACATIONLAND", "DDDD LL", (40, 36, 34), (238, 238, 234), (224, 236, 226), (40, 90, 40)
    ),
)
"""Connecticut twice: its two running series are the commonest on its roads."""


@dataclass(frozen=True, slots=True)
class Plate:
    """One vehicle's plate."""

    style: Style
    drawn: str
    """The characters with the style's separators."""

    @property
    def text(self) -> str:
        """The characters as a reader should give them."""
        return "".join(character for character in self.drawn if character.isalnum())


def issue(rng: Generator) -> Plate:
    """Draw a style and a serial by lot."""
    style = STYLES[int(rng.integers(len(STYLES)))]
    lots = rng.random(len(style.pattern)).tolist()
    pools = [_POOLS.get(place, place) for place in style.pattern]
    return Plate(style, "".join(pool[int(lot * len(pool))] for pool, lot in zip(pools, lots, strict=True)))


def _blend(picture: Image, mask: Image, colour: Colour) -> None:
    inside = mask > 0
    share = mask[inside, None].astype(np.float32) / 255
    picture[inside] = np.round(picture[inside] * (1 - share) + np.array(colour, np.float32) * share)


def _centred(text: str, top: float, *, size: tuple[int, int], gap: int, stroke: float) -> Image:
    mask = np.zeros((_SIZE[1], _SIZE[0]), np.uint8)
    left = (_SIZE[0] - glyphs.length(text, width=size[0], gap=gap)) / 2
    glyphs.write(mask, text, left, top, size=size, gap=gap, stroke=stroke)
    return mask


def _sheet(style: Style, rng: Generator) -> Image:
    """Draw the bare sheet: tint, weathering, rim."""
    share = np.linspace(0, 1, _SIZE[1], dtype=np.float32)[:, None, None] ** 0.8
    tint = np.array(style.top, np.float32) * (1 - share) + np.array(style.bottom, np.float32) * share
    dirt = cv2.resize(rng.normal(0, 1, (6, 12)).astype(np.float32), _SIZE, interpolation=cv2.INTER_CUBIC)
    cloud = float(rng.uniform(1, 7)) * dirt[..., None]
    return np.asarray(np.clip(np.broadcast_to(tint, (_SIZE[1], _SIZE[0], 3)) - cloud, 0, 255), np.uint8)


def draw(plate: Plate, rng: Generator) -> Image:
    """Draw a plate as a sheet of [240, 480, 3]: state above, serial embossed, slogan below, bolts, rim or frame."""
    style = plate.style
    picture = _sheet(style, rng)
    width, gap = (45, 13) if len(plate.drawn) >= 7 else (54, 16)
    serial = _centred(plate.drawn, 68, size=(width, 112), gap=gap, stroke=13.0)
    lit = cv2.GaussianBlur(serial, (0, 0), 2.0)
    raised = cv2.subtract(np.roll(lit, (-3, -3), (0, 1)), np.roll(lit, (3, 3), (0, 1)))
    _blend(picture, np.asarray(raised // 3, np.uint8), (250, 250, 250))
    _blend(picture, serial, style.ink)
    _blend(picture, _centred(style.name, 16, size=(15, 28), gap=5, stroke=4.5), style.name_ink)
    _blend(picture, _centred(style.slogan, 198, size=(9, 20), gap=4, stroke=2.8), style.name_ink)
    for x in (105, _SIZE[0] - 105):
        for y in (20, _SIZE[1] - 20):
            cv2.circle(picture, (x, y), 8, (120, 122, 124), -1, cv2.LINE_AA)
            cv2.circle(picture, (x - 1, y - 1), 4, (176, 178, 180), -1, cv2.LINE_AA)
    _rim(picture, rng)
    return picture


def _rim(picture: Image, rng: Generator) -> None:
    """Draw the raised rim, and on some plates the frame that a dealer screws over it."""
    last = (_SIZE[0] - 1, _SIZE[1] - 1)
    cv2.rectangle(picture, (4, 4), (last[0] - 4, last[1] - 4), (190, 190, 190), 2, cv2.LINE_AA)
    if rng.random() < 0.35:
        tone = int(rng.choice([24, 40, 150]))
        cv2.rectangle(picture, (0, 0), last, (tone, tone, tone), 22)

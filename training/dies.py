"""Dies of US plates: characters as strokes of one thickness, each plate's of another set of proportions.

No font of the states is free, and what parts an 8 from a B on a plate 60 px wide is how round its corners are: so
they are drawn, little or much rounded, wide or narrow, thin or thick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.glyphs import DRAWN_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Point = tuple[float, float]
    Corner = tuple[float, float, float]  # x, y, and how far it is rounded, in widths
    Floats = NDArray[np.float64]

ARC_STEPS = 6
THICKEST = 0.27  # a stroke, of a character's width


@dataclass(frozen=True, slots=True)
class Die:
    """A set of dies: proportions of width (across) and height (down) between the middles of the outer strokes."""

    aspect: float
    """Width of a character / its height."""
    thick: float
    """Of a stroke / height."""
    round: float
    """How far corners are rounded, in widths: 0.5 is half a circle."""
    sharp: float
    """The same of corners that are meant to be corners, as on the left of B and D."""
    middle: float
    """Where the middle bar lies, from the top."""
    narrower: float
    """By how much of its width the upper part of 8, 3, B is narrower than the lower one."""
    flat_top: float
    """Half the width of the top of an A, in widths."""
    hook: float
    """How far the ends of 2, 3, 5, 6, 9, C, G, J, S reach down or up."""
    plain_one: bool
    open_four: bool
    straight_six: bool
    flat_three: bool
    serifs: bool

    def ink(self, character: str) -> NDArray[np.float32]:
        """The character's ink, 0..1, cut to its own edges."""
        strokes = self._strokes(character)
        tall = DRAWN_PX
        thick = max(2.0, self.thick * tall)
        xs = [x for stroke in strokes for x, _ in stroke]
        left, across = min(xs), max(xs) - min(xs)
        scale = self.aspect * tall - thick
        wide = round(across * scale + thick)
        image = np.zeros((tall, wide), np.uint8)
        lines = [
            np.array([((x - left) * scale + thick / 2, y * (tall - thick) + thick / 2) for x, y in stroke])
            for stroke in strokes
        ]
        points = [np.rint((line - 0.5) * 16).astype(np.int32) for line in lines]
        cv2.polylines(image, points, False, 255, round(thick), cv2.LINE_AA, 4)
        return image.astype(np.float32) / np.float32(255)

    def _strokes(self, character: str) -> list[list[Point]]:
        """Lines through points of 0..1 across and down."""
        return [self._rounded(corners) for corners in self._corners(character)]

    def _rounded(self, corners: list[Corner]) -> list[Point]:
        """The polyline with each inner corner cut by a quarter of an ellipse that is a circle on the plate."""
        points = np.array([(x, y) for x, y, _ in corners], float)
        to_widths = np.array((1.0, (1 - self.thick) / (self.aspect - self.thick)))
        line: list[Point] = [(float(points[0][0]), float(points[0][1]))]
        for k in range(1, len(corners) - 1):
            before, here, after = points[k - 1 : k + 2]
            line += _arc(before, here, after, corners[k][2], to_widths)
        return [*line, (float(points[-1][0]), float(points[-1][1]))]

    def _corners(self, character: str) -> list[list[Corner]]:
        r, s, m, h = self.round, self.sharp, self.middle, self.hook
        u = self.narrower
        by_character: dict[str, list[list[Corner]]] = {
            "A": self._a(),
            "B": [
                [(0.5, m, 0), (0, m, 0), (0, 0, s), (1 - u, 0, r), (1 - u, m, r), (0.5, m, 0)],
                [(0, m, 0), (1, m, r), (1, 1, r), (0, 1, s), (0, m, 0)],
            ],
            "C": [[(1, h, 0), (1, 0, r), (0, 0, r), (0, 1, r), (1, 1, r), (1, 1 - h, 0)]],
            "D": [[(0.5, 0, 0), (0, 0, s), (0, 1, s), (1, 1, r), (1, 0, r), (0.5, 0, 0)]],
            "E": [[(1, 0, 0), (0, 0, s), (0, 1, s), (1, 1, 0)], [(0, m, 0), (0.85, m, 0)]],
            "F": [[(1, 0, 0), (0, 0, s), (0, 1, 0)], [(0, m, 0), (0.85, m, 0)]],
            "G": [
                [(1, h, 0), (1, 0, r), (0, 0, r), (0, 1, r), (1, 1, r), (1, m + 0.05, 0), (0.55, m + 0.05, 0)],
            ],
            "H": [[(0, 0, 0), (0, 1, 0)], [(1, 0, 0), (1, 1, 0)], [(0, m, 0), (1, m, 0)]],
            "I": self._upright("I"),
            "J": [[(1, 0, 0), (1, 1, r), (0, 1, r), (0, 1 - h, 0)]],
            "K": [[(0, 0, 0), (0, 1, 0)], [(1, 0, 0), (0, 0.62, 0)], [(0.36, 0.4, 0), (1, 1, 0)]],
            "L": [[(0, 0, 0), (0, 1, s), (1, 1, 0)]],
            "M": [[(0, 1, 0), (0, 0, s), (0.5, 0.62, 0), (1, 0, s), (1, 1, 0)]],
            "N": [[(0, 1, 0), (0, 0, s), (1, 1, s), (1, 0, 0)]],
            "O": [self._loop(0, 1, 0, 1, r)],
            "P": [[(0, 1, 0), (0, 0, s), (1, 0, r), (1, m + 0.04, r), (0, m + 0.04, 0)]],
            "Q": [self._loop(0, 1, 0, 1, r), [(0.55, 0.74, 0), (1, 1, 0)]],
            "R": [
                [(0, 1, 0), (0, 0, s), (1, 0, r), (1, m + 0.04, r), (0, m + 0.04, 0)],
                [(0.5, m + 0.04, 0), (1, 1, 0)],
            ],
            "S": [
                [
                    (1, h, 0), (1, 0, r), (0, 0, r), (0, m, r), (1, m, r), (1, 1, r), (0, 1, r), (0, 1 - h, 0)
                ]
            ],
            "T": [[(0, 0, 0), (1, 0, 0)], [(0.5, 0, 0), (0.5, 1, 0)]],
            "U": [[(0, 0, 0), (0, 1, r), (1, 1, r), (1, 0, 0)]],
            "V": [[(0, 0, 0), (0.5, 1, s), (1, 0, 0)]],
            "W": [[(0, 0, 0), (0.2, 1, s), (0.5, 0.4, 0), (0.8, 1, s), (1, 0, 0)]],
            "X": [[(0, 0, 0), (1, 1, 0)], [(1, 0, 0), (0, 1, 0)]],
            "Y": [[(0, 0, 0), (0.5, 0.52, 0), (1, 0, 0)], [(0.5, 0.52, 0), (0.5, 1, 0)]],
            "Z": [[(0, 0, 0), (1, 0, s), (0, 1, s), (1, 1, 0)]],
            "0": [self._loop(0, 1, 0, 1, r)],
            "1": self._upright("1"),
            "2": [[(0, h, 0), (0, 0, r), (1, 0, r), (1, 0.48, r), (0, 0.8, r), (0, 1, s), (1, 1, 0)]],
            "3": self._three(),
            "4": self._four(),
            "5": [
                [
                    (0.95, 0, 0), (0.05, 0, s), (0.02, m - 0.02, s), (1, m - 0.08, r),
                    (1, 1, r), (0, 1, r), (0, 1 - h, 0),
                ]
            ],
            "6": self._six(),
            "7": [[(0, 0, 0), (1, 0, s), (0.35, 1, 0)]],
            "8": [
                self._loop(u / 2, 1 - u / 2, 0, m, r),
                self._loop(0, 1, m, 1, r),
            ],
            "9": [[(1 - x, 1 - y, corner) for x, y, corner in stroke] for stroke in self._six()],
        }  # fmt: skip
        return by_character[character]

    def _a(self) -> list[list[Corner]]:
        left, right, bar = 0.5 - self.flat_top, 0.5 + self.flat_top, 0.66
        edge = left * (1 - bar)
        return [
            [(0, 1, 0), (left, 0, self.sharp), (right, 0, self.sharp), (1, 1, 0)],
            [(edge, bar, 0), (1 - edge, bar, 0)],
        ]

    def _loop(self, left: float, right: float, top: float, bottom: float, r: float) -> list[Corner]:
        half = (left + right) / 2
        return [
            (half, top, 0), (right, top, r), (right, bottom, r), (left, bottom, r), (left, top, r), (half, top, 0)
        ]  # fmt: skip

    def _upright(self, character: str) -> list[list[Corner]]:
        """1 and I: a bar, with a flag or serifs."""
        bar: list[Corner] = [(0.5, 0, 0), (0.5, 1, 0)]
        if character == "I":
            return [bar, [(0.2, 0, 0), (0.8, 0, 0)], [(0.2, 1, 0), (0.8, 1, 0)]] if self.serifs else [bar]
        flag: list[Corner] = [(0.22, 0.1 + 0.1 * self.hook, 0), (0.5, 0, 0), (0.5, 1, 0)]
        if self.plain_one:
            return [flag]
        return [flag, [(0.18, 1, 0), (0.82, 1, 0)]]

    def _three(self) -> list[list[Corner]]:
        r, m, h, u = self.round, self.middle, self.hook, self.narrower
        if self.flat_three:
            top: list[Corner] = [(0, 0, 0), (0.95, 0, 0.02), (0.45, m - 0.06, 0)]
            return [[*top, (1, m - 0.06, r), (1, 1, r), (0, 1, r), (0, 1 - h, 0)]]
        return [
            [(u / 2, h, 0), (u / 2, 0, r), (1 - u / 2, 0, r), (1 - u / 2, m, r), (0.4, m, 0)],
            [(0.4, m, 0), (1, m, r), (1, 1, r), (0, 1, r), (0, 1 - h, 0)],
        ]

    def _four(self) -> list[list[Corner]]:
        bar = 0.7
        if self.open_four:
            return [[(0.3, 0, 0), (0, bar, 0.02), (1, bar, 0)], [(0.75, 0.4, 0), (0.75, 1, 0)]]
        return [[(0.75, 1, 0), (0.75, 0, 0.02), (0, bar, 0.02), (1, bar, 0)]]

    def _six(self) -> list[list[Corner]]:
        r, m, h = self.round, self.middle, self.hook
        if self.straight_six:
            return [
                [(0.7, 0, 0), (0, 0.6, 0.3), (0, 1, r), (1, 1, r), (1, m, r), (0.4, m, 0.2), (0.05, 0.62, 0)],
            ]
        return [[(1, h, 0), (1, 0, r), (0, 0, r), (0, 1, r), (1, 1, r), (1, m - 0.04, r), (0, m - 0.04, 0)]]


def die(rng: np.random.Generator) -> Die:
    """One of many."""
    aspect = rng.uniform(0.4, 0.64)
    return Die(
        aspect=aspect,
        thick=min(rng.uniform(0.085, 0.14), THICKEST * aspect),
        round=rng.uniform(0.28, 0.5),
        sharp=rng.uniform(0.0, 0.1),
        middle=rng.uniform(0.42, 0.52),
        narrower=rng.choice([0.0, 0.0, rng.uniform(0, 0.16)]),
        flat_top=rng.choice([0.0, rng.uniform(0, 0.16)]),
        hook=rng.uniform(0.1, 0.28),
        plain_one=bool(rng.random() < 0.5),
        open_four=bool(rng.random() < 0.12),
        straight_six=bool(rng.random() < 0.2),
        flat_three=bool(rng.random() < 0.2),
        serifs=bool(rng.random() < 0.4),
    )


def _arc(before: Floats, here: Floats, after: Floats, far: float, to_widths: Floats) -> list[Point]:
    """A corner rounded so far on both sides, at most half of either: by a Bezier curve near to a circle."""
    if far <= 0:
        return [(float(here[0]), float(here[1]))]
    back, forth = (before - here) * to_widths, (after - here) * to_widths
    reach = min(far, float(np.hypot(*back)) / 2, float(np.hypot(*forth)) / 2)
    begin = here + (before - here) * (reach / max(1e-9, float(np.hypot(*back))))
    end = here + (after - here) * (reach / max(1e-9, float(np.hypot(*forth))))
    t = np.linspace(0, 1, ARC_STEPS)[:, None]
    k = 0.5523  # of the way to the corner: a cubic that is a circle within a thousandth, where the corner is square
    one, two = begin + (here - begin) * k, end + (here - end) * k
    curve = (1 - t) ** 3 * begin + 3 * (1 - t) ** 2 * t * one + 3 * (1 - t) * t**2 * two + t**3 * end
    return [(float(x), float(y)) for x, y in curve]

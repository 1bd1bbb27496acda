"""What stands on a plate beside its serial: the name, slogans, stickers, bolts, frames, emblems, bands."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from training import vocabulary
from training.glyphs import emblem, mask, put

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from training.glyphs import Canvas

LETTERS = string.ascii_uppercase


@dataclass(frozen=True, slots=True)
class Row:
    """Where the characters stand and how they look."""

    left: float
    top: float
    width: float
    height: float
    tone: float
    raised: bool


class SmallPrint:
    """Prints it in the fonts of a list."""

    def __init__(self, fonts: Sequence[Path]) -> None:
        self._fonts = fonts

    def edges(self, canvas: Canvas, row: Row, rng: np.random.Generator) -> None:
        """Bumpers, grilles and the raised rim beside the plate: bars that are taller than the characters."""
        height, width = canvas.shape
        for x in (rng.uniform(0, max(1.0, row.left * 0.4)), width - rng.uniform(0, max(1.0, row.left * 0.4))):
            if rng.random() < 0.7:
                wide, reach = int(rng.integers(1, 7)), rng.uniform(0, 0.12)
                ends = (int(x), int(height * reach)), (int(x), int(height * (1 - rng.uniform(0, 0.12))))
                cv2.line(canvas, *ends, row.tone if rng.random() < 0.6 else float(rng.uniform(0, 255)), wide)

    def between(self, canvas: Canvas, place: tuple[float, float], row: Row, rng: np.random.Generator) -> None:
        """Something that is no character, in a gap of the row (x, width)."""
        x, wide = place
        tone = float(rng.uniform(0, 255)) if rng.random() < 0.6 else row.tone
        if rng.random() < 0.22:  # small letters on top of each other: labels leave them out
            letters = [vocabulary.one(LETTERS, rng) for _ in range(2 + int(rng.random() < 0.3))]
            step = row.height / len(letters)
            for k, letter in enumerate(letters):
                self.words(canvas, letter, (x + wide * 0.2, row.top + k * step, wide * 0.6, step * 0.85), tone, rng)
            return
        if rng.random() < 0.2:
            self.year_sticker(canvas, place, row, rng)
            return
        size = row.height * rng.uniform(0.25, 1.1)
        y = row.top + (row.height - size) * rng.uniform(0.2, 0.8)
        emblem(canvas, (x + wide * 0.1, y, wide * 0.85, size), tone, rng)

    def year_sticker(self, canvas: Canvas, place: tuple[float, float], row: Row, rng: np.random.Generator) -> None:
        """The sticker that says until when a plate is valid, in a gap of the row (x, width); not of its text."""
        x, gap = place
        wide = gap * rng.uniform(0.5, 0.95)
        tall = min(row.height * 0.95, wide * rng.uniform(0.9, 1.9))
        left, top = x + (gap - wide) / 2, row.top + (row.height - tall) * rng.uniform(0.2, 0.7)
        tone, ink = float(rng.uniform(0, 255)), float(rng.uniform(0, 255))
        if rng.random() < 0.4:  # the place it belongs in, pressed into the plate
            corners = (int(x + 1), int(row.top)), (int(x + gap - 1), int(row.top + row.height))
            cv2.rectangle(canvas, *corners, float(canvas.mean() - rng.uniform(0, 40)), 1)
        cv2.rectangle(canvas, (int(left), int(top)), (int(left + wide), int(top + tall)), tone, -1)
        year = f"{rng.integers(0, 30):02d}"
        self.words(canvas, year, (left + wide * 0.15, top + tall * 0.3, wide * 0.7, tall * 0.4), ink, rng)
        for y in (0.05, 0.75):
            if rng.random() < 0.6:
                word = vocabulary.one(("MISSOURI", "JAN", "R 49085", "PAID", "EXP"), rng)
                self.words(canvas, word, (left + wide * 0.1, top + tall * y, wide * 0.8, tall * 0.18), ink, rng)

    def around(self, canvas: Canvas, row: Row, words: tuple[str, str], rng: np.random.Generator) -> bool:
        """The name above, a slogan below, stickers in the corners, bolts, a frame; true where the name is seen."""
        height, width = canvas.shape
        below = row.top + row.height + 2
        name, slogan = words
        told = bool(name) and rng.random() < 0.85 and row.top > 12
        if told:
            name = name if rng.random() < 0.5 else name.title()
            wide = width * rng.uniform(0.28, 0.75)
            tall = max(8.0, (row.top - 3) * rng.uniform(0.5, 0.9))
            self.words(canvas, name, ((width - wide) / 2, rng.uniform(0, 3), wide, tall), rng.uniform(0, 170), rng)
        if slogan and rng.random() < 0.8 and height - below > 9:
            wide, tall = width * rng.uniform(0.3, 0.8), (height - below - 2) * rng.uniform(0.5, 0.95)
            place = ((width - wide) / 2, height - 2 - tall, wide, tall)
            self.words(canvas, slogan, place, rng.uniform(0, 170), rng)
        for _ in range(int(rng.choice([0, 1, 2, 2]))):
            self._sticker(canvas, rng)
        self.bolts(canvas, rng)
        if rng.random() < 0.25:
            self._frame(canvas, row, rng)
            return False
        return told

    def _sticker(self, canvas: Canvas, rng: np.random.Generator) -> None:
        height, width = canvas.shape
        tall = int(rng.integers(13, 26))
        wide = int(tall * rng.uniform(1.0, 1.5))
        x = int(rng.integers(3, 18)) if rng.random() < 0.5 else width - wide - int(rng.integers(5, 20))
        y = int(rng.integers(1, 5)) if rng.random() < 0.5 else height - tall - 2
        cv2.rectangle(canvas, (x, y), (x + wide, y + tall), float(rng.uniform(0, 255)), -1)
        words = ("MAR", "JUN", "DEC", "OCT", f"{rng.integers(0, 27):02d}", str(rng.integers(1, 13)))
        word = vocabulary.one(words, rng)
        self.words(canvas, word, (x + 2, y + 2, wide * 0.8, tall - 4), float(rng.uniform(0, 255)), rng)

    def bolts(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Some of its four bolts, of a long plate two."""
        height, width = canvas.shape
        for fx in (0.2, 0.8):
            for fy in (0.07, 0.93) if width < 320 else (0.5,):
                if rng.random() < 0.3:
                    at = (int(width * (fx + rng.normal(0, 0.02))), int(height * fy))
                    cv2.circle(canvas, at, int(rng.integers(2, 6)), float(rng.uniform(20, 230)), -1)

    def _frame(self, canvas: Canvas, row: Row, rng: np.random.Generator) -> None:
        """A dealer's frame: it may hide the small print, never the characters."""
        height, width = canvas.shape
        tone = float(rng.choice([rng.uniform(5, 60), rng.uniform(150, 250)]))
        top = int(max(2, min(row.top - 3, rng.uniform(4, 24))))
        bottom = int(max(2, min(height - row.top - row.height - 3, rng.uniform(4, 26))))
        side = int(max(1, min(row.left - 2, rng.uniform(2, 8))))
        canvas[:top] = tone
        canvas[height - bottom :] = tone
        canvas[:, :side] = tone
        canvas[:, width - side :] = tone
        for y, tall in ((1, top - 2), (height - bottom + 1, bottom - 2)):
            if tall > 7 and rng.random() < 0.7:
                words, wide = vocabulary.one(vocabulary.DEALERS, rng), width * rng.uniform(0.3, 0.8)
                self.words(canvas, words, ((width - wide) / 2, y, wide, tall), 255 - tone, rng)

    def band(self, canvas: Canvas, rng: np.random.Generator) -> float:
        """The blue band with the country's letters; where it ends."""
        height, width = canvas.shape
        band = int(width * rng.uniform(0.06, 0.1))
        canvas[:, :band] = rng.uniform(25, 110)
        cv2.circle(canvas, (band // 2, int(height * 0.3)), int(band * 0.3), 210.0, 1 + int(rng.random() < 0.5))
        code = vocabulary.one(vocabulary.COUNTRIES, rng)
        self.words(canvas, code, (band * 0.2, height * 0.6, band * 0.6, height * 0.25), 235.0, rng)
        return float(band)

    def words(
        self,
        canvas: Canvas,
        text: str,
        box: tuple[float, float, float, float],
        tone: float,
        rng: np.random.Generator,
    ) -> None:
        """A text stretched into x, y, w, h, in any of the fonts."""
        put(canvas, mask(self._fonts[int(rng.integers(len(self._fonts)))], text), box, tone)

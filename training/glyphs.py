"""Gray drawing: characters stretched into boxes, small print, emblems."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont  # type: ignore[import-not-found, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Canvas = NDArray[np.float32]

DRAWN_PX = 64  # characters are drawn at this size and stretched


@functools.lru_cache(maxsize=4000)
def mask(font: Path, text: str) -> NDArray[np.float32]:
    """The text's ink, cut to its own edges, 0..1."""
    face = _face(font)
    left, top, right, bottom = face.getbbox(text)
    size = (max(1, int(right - left)), max(1, int(bottom - top)))
    image = Image.new("L", size)
    ImageDraw.Draw(image).text((-left, -top), text, 255, font=face)
    return np.asarray(image, np.float32) / np.float32(255)


@functools.lru_cache(maxsize=400)
def _face(font: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font), DRAWN_PX)


def put(
    canvas: Canvas, ink: NDArray[np.float32], box: tuple[float, float, float, float], tone: float,
    *, raised: bool = False,
) -> None:  # fmt: skip
    """Stretch the ink into x, y, w, h of the canvas, cut where it leaves it; raised casts a shadow."""
    x, y = round(box[0]), round(box[1])
    w, h = max(2, round(box[2])), max(2, round(box[3]))
    how = cv2.INTER_AREA if w < ink.shape[1] else cv2.INTER_LINEAR
    ink = np.asarray(cv2.resize(ink, (w, h), interpolation=how), np.float32)
    height, width = canvas.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + w), min(height, y + h)
    if x1 <= x0 or y1 <= y0:
        return
    ink = ink[y0 - y : y1 - y, x0 - x : x1 - x]
    part = canvas[y0:y1, x0:x1]
    if raised:
        part[1:, 1:] *= 1 - 0.5 * ink[:-1, :-1]
    part *= 1 - ink
    part += ink * np.float32(tone)


def emblem(canvas: Canvas, box: tuple[float, float, float, float], tone: float, rng: np.random.Generator) -> None:
    """One of the things that states print among the characters, in x, y, w, h."""
    kinds: tuple[Callable[..., None], ...] = (
        _outline, _outline, _disc, _ring, _bar, _tree, _star, _dash, _cactus, _wheelchair, _patchwork, _patchwork,
    )  # fmt: skip
    ink = np.zeros((48, 48), np.uint8)
    kinds[rng.integers(len(kinds))](ink, rng)
    if rng.random() < 0.3:  # in a field of its own, as a wheelchair is
        x, y, w, h = box
        put(canvas, np.ones((4, 4), np.float32), box, float(rng.uniform(0, 255)))
        box = (x + w * 0.1, y + h * 0.1, w * 0.8, h * 0.8)
    put(canvas, ink.astype(np.float32) / np.float32(255), box, tone)


def _outline(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """A state's borders: a rough polygon, full or as a line."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 12))))
    far = rng.uniform(10, 23, len(angles))
    points = np.stack([24 + far * np.cos(angles), 24 + far * np.sin(angles)], 1).astype(np.int32)
    if rng.random() < 0.6:
        cv2.fillPoly(ink, [points], 255)
    else:
        cv2.polylines(ink, [points], isClosed=True, color=255, thickness=int(rng.integers(2, 5)))


def _disc(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    cv2.circle(ink, (24, 24), int(rng.integers(10, 23)), 255, -1)
    if rng.random() < 0.5:
        cv2.circle(ink, (24, 24), int(rng.integers(4, 10)), 90, -1)


def _ring(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Never empty and as tall as a character: that is an O."""
    cv2.ellipse(ink, (24, 24), (int(rng.integers(9, 22)), 21), 0, 0, 360, 255, int(rng.integers(2, 5)))
    if rng.random() < 0.5:
        cv2.line(ink, (14, 24), (34, 24), 255, 5)
    else:
        cv2.circle(ink, (24, 24), int(rng.integers(4, 9)), 255, -1)


def _bar(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Half as tall as its box: a whole one is an I."""
    half, tall = int(rng.integers(2, 7)), int(rng.integers(6, 13))
    cv2.rectangle(ink, (24 - half, 24 - tall), (24 + half, 24 + tall), 255, -1)


def _dash(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    half = int(rng.integers(2, 6))
    cv2.rectangle(ink, (2, 24 - half), (45, 24 + half), 255, -1)


def _tree(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Trees, cactus, torch: a trunk with something on it."""
    cv2.rectangle(ink, (21, 20), (26, 47), 255, -1)
    if rng.random() < 0.5:
        cv2.circle(ink, (24, 15), int(rng.integers(8, 15)), 255, -1)
    else:
        cv2.fillPoly(ink, [np.array([[24, 0], [40, 34], [8, 34]], np.int32)], 255)


def _star(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    turn = rng.uniform(0, np.pi)
    angles = turn + np.arange(10) * np.pi / 5
    far = np.where(np.arange(10) % 2, 9, 22)
    points = np.stack([24 + far * np.cos(angles), 24 + far * np.sin(angles)], 1).astype(np.int32)
    cv2.fillPoly(ink, [points], 255)


def _cactus(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    wide = int(rng.integers(3, 8))
    cv2.line(ink, (24, 4), (24, 47), 255, wide)
    for side in (-1, 1):
        bend, end, reach = int(rng.integers(20, 38)), int(rng.integers(6, 18)), side * int(rng.integers(9, 19))
        cv2.polylines(ink, [np.array([[24, bend], [24 + reach, bend], [24 + reach, end]])], False, 255, wide)


def _wheelchair(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    wide = int(rng.integers(2, 6))
    cv2.circle(ink, (19, 6), 5, 255, -1)
    cv2.polylines(ink, [np.array([[19, 11], [20, 28], [34, 28], [40, 44]])], False, 255, wide)
    cv2.ellipse(ink, (22, 32), (14, 14), 0, 40, 250, 255, wide)


def _patchwork(ink: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """A seal or a picture too small to be seen: light and dark parts within some outline."""
    _outline(ink, rng)
    parts = rng.integers(0, 2, (int(rng.integers(2, 7)), int(rng.integers(2, 7)))).astype(np.uint8) * 255
    np.minimum(ink, cv2.resize(parts, ink.shape[::-1], interpolation=cv2.INTER_NEAREST), out=ink)

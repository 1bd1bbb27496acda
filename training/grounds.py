"""What the characters of a US plate stand on: a field of our own, or a state's design."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.data import Gray
    from training.glyphs import Canvas

PLATE_HEIGHT = 128


def field(width: int, rng: np.random.Generator) -> tuple[Canvas, bool]:
    """A US plate's background, and whether its characters are light."""
    dark = bool(rng.random() < 0.15)
    first, last = rng.uniform(*((10, 120) if dark else (130, 250)), 2)
    shape = (PLATE_HEIGHT, width)
    slope = np.linspace(first, last, 16, dtype=np.float32)
    down = rng.random() < 0.7
    canvas = np.asarray(cv2.resize(slope[:, None] if down else slope[None, :], shape[::-1]), np.float32)
    if rng.random() < 0.4:
        rough = rng.random((int(rng.integers(2, 6)), int(rng.integers(2, 9))), np.float32) - np.float32(0.5)
        canvas += cv2.resize(rough, shape[::-1], interpolation=cv2.INTER_CUBIC) * np.float32(rng.uniform(20, 100))
    for _ in range(int(rng.choice([0, 0, 1, 2, 4]))):  # ghosts of pictures behind the characters
        at = (int(rng.integers(width)), int(rng.integers(PLATE_HEIGHT)))
        axes = (int(rng.integers(5, 50)), int(rng.integers(5, 40)))
        tone = float(np.clip(canvas.mean() + rng.normal(0, 40), 0, 255))
        cv2.ellipse(canvas, at, axes, rng.uniform(0, 180), 0, 360, tone, int(rng.choice([-1, 1, 2])))
    if rng.random() < 0.25:
        _border(canvas, rng)
    return np.clip(canvas, 0, 255), dark


def _border(canvas: Canvas, rng: np.random.Generator) -> None:
    """A state's border as a thin line behind the characters: some sides straight, some winding rivers."""
    left, top = rng.uniform(0.05, 0.5), rng.uniform(0.05, 0.3)
    right, bottom = left + rng.uniform(0.2, 0.5), rng.uniform(0.65, 0.95)
    corners = np.array(((left, top), (right, top), (right, bottom), (left, bottom)))
    corners += rng.normal(0, 0.02, corners.shape) * (rng.random() < 0.5)
    points: list[tuple[float, float]] = []
    for here, after in zip(corners, np.roll(corners, -1, 0), strict=True):
        winds = rng.random() < 0.5
        for share in np.linspace(0, 1, 9)[:-1]:
            x, y = here + (after - here) * share + rng.normal(0, 0.02, 2) * winds
            points.append((float(x), float(y)))
    tone = float(np.clip(canvas.mean() - rng.uniform(-60, 180), 0, 255))
    line(canvas, [*points, points[0]], tone, int(rng.choice([1, 1, 2])))


def line(canvas: Canvas, points: Sequence[tuple[float, float]], tone: float, thick: int) -> None:
    """A line through points given as shares of the plate's width and height."""
    height, width = canvas.shape
    scaled = np.rint(np.array(points) * (width, height)).astype(np.int32)
    cv2.polylines(canvas, [scaled], False, tone, thick)


def over_design(design: Gray, width: int, rng: np.random.Generator) -> tuple[Canvas, bool]:
    """A state's design with its sample text painted over from the edges of its band."""
    canvas = cv2.resize(design, (width, PLATE_HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    top, bottom = int(PLATE_HEIGHT * rng.uniform(0.2, 0.3)), int(PLATE_HEIGHT * rng.uniform(0.72, 0.82))
    soft = cv2.GaussianBlur(canvas, (0, 0), 9)
    slope = np.linspace(0, 1, bottom - top, dtype=np.float32)[:, None]
    canvas[top:bottom] = soft[top - 4] * (1 - slope) + soft[min(bottom + 4, PLATE_HEIGHT - 1)] * slope
    return canvas, bool(canvas[top:bottom].mean() < 95)

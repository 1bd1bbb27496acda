"""Lettering that is no plate: street signs, shop fronts, lorries, in gray."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from training import vocabulary
from training.glyphs import emblem, mask, put

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.data import Gray

HEIGHT = 128


def sign(fonts: Sequence[Path], rng: np.random.Generator) -> Gray:
    """One to three lines of words on a ground, [128,w]; the edges may cut them."""
    width = int(HEIGHT * rng.uniform(1.2, 5))
    dark = rng.random() < 0.5
    canvas = np.full((HEIGHT, width), rng.uniform(5, 120) if dark else rng.uniform(120, 255), np.float32)
    if rng.random() < 0.4:
        rough = rng.random((int(rng.integers(2, 5)), int(rng.integers(2, 8))), np.float32) - np.float32(0.5)
        canvas += cv2.resize(rough, (width, HEIGHT)) * np.float32(rng.uniform(20, 120))
    tone = float(rng.uniform(150, 255) if dark else rng.uniform(0, 110))
    font = fonts[int(rng.integers(len(fonts)))]
    lines = int(rng.choice([1, 1, 1, 2, 3]))
    tall = HEIGHT * rng.uniform(0.6, 1.1) / lines
    y = (HEIGHT - tall * lines) * rng.uniform(0, 1)
    for _ in range(lines):
        ink = mask(font, vocabulary.lettering(rng))
        wide = min(ink.shape[1] / ink.shape[0] * tall * rng.uniform(0.6, 1.2), width * rng.uniform(0.7, 1.5))
        put(canvas, ink, ((width - wide) * rng.uniform(-0.1, 1.1), y, wide, tall * rng.uniform(0.6, 0.95)), tone)
        y += tall
    if rng.random() < 0.2:  # an arrow or a mark
        emblem(canvas, (rng.uniform(0, width * 0.8), 20, HEIGHT * 0.6, HEIGHT * 0.6), tone, rng)
    return np.clip(canvas, 0, 255).astype(np.uint8)

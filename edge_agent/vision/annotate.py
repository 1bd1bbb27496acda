"""Draws what was read into a picture, for people."""

from collections.abc import Sequence

import cv2
import numpy as np

from edge_agent.domain import Image, Reading

COLOUR = (60, 220, 255)
INK = (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX
SCALE_WIDTH_PX = 1600
"""A picture of this width gets letters of scale 1."""


def annotate(image: Image, readings: Sequence[Reading], *, unsure_below: float) -> Image:
    """A colour copy of the picture with each plate's box, text and confidence."""
    drawn = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy(), np.uint8)
    for reading in readings:
        text = reading.characters.plate_text(unsure_below=unsure_below) or "not readable"
        _mark(drawn, reading, f"{text}  {reading.characters.confidence:.2f}")
    return drawn


def _mark(drawn: Image, reading: Reading, label: str) -> None:
    scale = max(0.5, drawn.shape[1] / SCALE_WIDTH_PX)
    thickness = max(1, round(scale * 2))
    x1, y1, x2, y2 = (round(edge) for edge in reading.detection.box)
    (width, height), base = cv2.getTextSize(label, FONT, scale, thickness)
    left = max(0, min(x1, drawn.shape[1] - width))
    bottom = y1 - base - thickness
    if bottom < height:  # no room above: below the plate, or over it
        bottom = min(y2 + height + base, drawn.shape[0] - base)
    cv2.rectangle(drawn, (x1, y1), (x2, y2), COLOUR, thickness)
    cv2.rectangle(drawn, (left, bottom - height - 2), (left + width, bottom + base), COLOUR, cv2.FILLED)
    cv2.putText(drawn, label, (left, bottom), FONT, scale, INK, thickness, cv2.LINE_AA)

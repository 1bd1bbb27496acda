"""The wiper that crosses the picture in the rain, behind a windscreen: too near to the camera to be sharp."""

import math

import cv2
import numpy as np

from edge_agent.camera.sim.optics import CameraModel, Points
from edge_agent.domain import Image

_PERIOD_S, _STROKE_S = 1.3, 0.55
_PIVOT, _LONG = (0.4, 1.7), 2.2  # in widths and heights of the picture; its length in heights
_SWEEP = math.radians(65)  # to either side of upright
_WIDE = 0.09  # in heights
_TONE = 34.0
_SCALE = 8  # its edges are soft: it is drawn small


def blade(model: CameraModel, time_s: float) -> Points | None:
    """Its corners [4, 2] in pixels; None while it rests."""
    phase = time_s % _PERIOD_S / _STROKE_S
    if phase >= 2:
        return None
    angle = _SWEEP * math.cos(math.pi * phase)
    along, across = np.array((math.sin(angle), -math.cos(angle))), np.array((math.cos(angle), math.sin(angle)))
    pivot = np.array((_PIVOT[0] * model.width, _PIVOT[1] * model.height))
    tip, side = pivot + _LONG * model.height * along, _WIDE / 2 * model.height * across
    return np.array((pivot - side, tip - side, tip + side, pivot + side))


def lay(picture: Image, corners: Points) -> None:
    """Draw it over the picture, in place."""
    height, width = picture.shape[:2]
    small = np.zeros((height // _SCALE + 1, width // _SCALE + 1), np.float32)
    cv2.fillPoly(small, [np.round(corners / _SCALE * 16).astype(np.int32)], 1.0, cv2.LINE_AA, shift=4)
    cover = cv2.resize(cv2.GaussianBlur(small, (0, 0), 0.9), (width, height))[..., None]
    np.copyto(picture, (picture + cover * (_TONE - picture)).astype(np.uint8))

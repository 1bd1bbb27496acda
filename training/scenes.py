"""Training windows for the detector: photographs warped, some with other plates or lettering, and their maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training import codec
from training.shapes import STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.data import Box, Gray
    from training.render import Printer

    Floats = NDArray[np.float32]

WINDOW = 320
CELLS = WINDOW // STRIDE
PLATE_WIDTH_PX = (14.0, 330.0)  # drawn evenly in log
REACH = 9  # cells around a centre that its bump may touch
TILTED, TILT = 0.12, math.radians(32)  # chance of a plate far from level, and how far
REPLACED, LETTERED = 0.35, 0.15  # chances of rendered plates, and of words that are none
POOL, FRESH = 600, 0.1
STEEP = (0.1, 0.3)  # slopes between which the box goes from half of the slant to all of it


@dataclass(frozen=True, slots=True)
class Scene:
    """One photograph in memory with its boxes and how often to draw it."""

    image: Gray
    boxes: tuple[Box, ...]
    weight: float


class Windows:
    """Draws training pairs from scenes; with a printer of plates, some plates are replaced by rendered ones."""

    def __init__(self, printer: Printer, rng: np.random.Generator) -> None:
        self._printer = printer
        self._plates = [printer.plate(rng).image for _ in range(POOL)]

    def draw(self, scene: Scene, rng: np.random.Generator) -> tuple[Gray, Floats]:
        """One training pair: gray [320,320] and the map [5,40,40] it should give."""
        matrix, scale = _placement(scene, rng)
        image = _warp(scene.image, matrix, scale, rng)
        seen = [corners_of(box, matrix) for box in scene.boxes]
        if rng.random() < REPLACED:
            for corners in seen:
                paste(image, self._plate_like(corners, rng), corners)
        if rng.random() < LETTERED:
            self._letter(image, seen, rng)
        return _weather(image, rng), truth_map(scene.boxes, matrix)

    def _plate_like(self, corners: Floats, rng: np.random.Generator) -> Gray:
        """Of some rendered plates the one nearest in shape; now and then the pool gets a new one."""
        places = rng.integers(0, POOL, 6)
        if rng.random() < FRESH:
            self._plates[places[0]] = self._printer.plate(rng).image
        across, down = (float(np.linalg.norm(corners[k] - corners[0])) for k in (1, 3))
        shape = math.log(max(1.0, across) / max(1.0, down))
        return min((self._plates[k] for k in places), key=lambda p: abs(math.log(p.shape[1] / p.shape[0]) - shape))

    def _letter(self, image: Floats, plates: Sequence[Floats], rng: np.random.Generator) -> None:
        """Words on trucks, shops and signs, which are no plates."""
        for _ in range(int(rng.integers(1, 4))):
            tall = math.exp(rng.uniform(math.log(7), math.log(60)))
            x, y, wide = rng.uniform(-40, WINDOW), rng.uniform(0, WINDOW), tall * rng.uniform(1.5, 8)
            apart = all(
                x > c[:, 0].max() or x + wide < c[:, 0].min() or y > c[:, 1].max() or y + tall < c[:, 1].min()
                for c in plates
            )
            if apart:
                self._printer.lettering(image, (x, y, wide, tall), rng)


def corners_of(box: Box, matrix: Floats) -> Floats:
    """The corners [4,2] of a box seen through an affine matrix [2,3], from its top left on."""
    x, y, w, h = box
    corners = np.array([[x, y, 1], [x + w, y, 1], [x + w, y + h, 1], [x, y + h, 1]], np.float32)
    return np.asarray(corners @ matrix.T, np.float32)


def paste(image: Floats, plate: Gray, corners: Floats) -> None:
    """Put a rendered plate over another one, in its light: the mean and the contrast that were there."""
    height, width = plate.shape
    x0, y0 = np.floor(np.clip(corners.min(0), 0, WINDOW)).astype(int)
    x1, y1 = np.ceil(np.clip(corners.max(0), 0, WINDOW)).astype(int)
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    there = image[y0:y1, x0:x1]
    shrunk = width / max(1.0, float(np.linalg.norm(corners[1] - corners[0])))
    if shrunk > 1.5:
        plate = np.asarray(cv2.GaussianBlur(plate, (0, 0), shrunk * 0.35), np.uint8)
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(frame, corners - np.array([x0, y0], np.float32))
    size = (int(x1 - x0), int(y1 - y0))
    ink = cv2.warpPerspective(plate, matrix, size).astype(np.float32)
    mask = cv2.warpPerspective(np.full(plate.shape, 255, np.uint8), matrix, size) / np.float32(255)
    gain = np.clip(there.std() / max(8.0, float(plate.std())), 0.25, 1.4)
    there += mask * ((ink - np.float32(plate.mean())) * np.float32(gain) + there.mean() - there)


def truth_map(boxes: Sequence[Box], matrix: Floats) -> Floats:
    """The detector's target for boxes seen through an affine matrix [2,3]."""
    target = np.zeros((5, CELLS, CELLS), np.float32)
    for box in boxes:
        seen = corners_of(box, matrix)
        cx, cy = seen.mean(0)
        if not (0 <= cx < WINDOW and 0 <= cy < WINDOW):
            continue
        across, down = np.abs(seen[1] - seen[0]), np.abs(seen[3] - seen[0])
        # Half of the slant: what a person draws around a slightly turned plate; all of it of a tilted one.
        slope = float(across[1] / max(across[0], 1.0))
        share = float(np.interp(slope, STEEP, (0.5, 1.0)))
        _draw(target, (cx, cy), (across[0] + share * down[0], down[1] + share * across[1]))
    return target


def _draw(target: Floats, centre: tuple[float, float], size: tuple[float, float]) -> None:
    cx, cy = centre[0] / STRIDE, centre[1] / STRIDE
    gx, gy = int(cx), int(cy)
    rx, ry = max(0.6, size[0] / STRIDE / 4), max(0.6, size[1] / STRIDE / 4)
    xa, xb = max(0, gx - REACH), min(CELLS, gx + REACH + 1)
    ya, yb = max(0, gy - REACH), min(CELLS, gy + REACH + 1)
    yy, xx = np.mgrid[ya:yb, xa:xb]
    bump = np.exp(-((xx - gx) ** 2 / (2 * rx * rx) + (yy - gy) ** 2 / (2 * ry * ry)))
    part = target[0, ya:yb, xa:xb]
    np.maximum(part, bump.astype(np.float32), out=part)
    near = (np.abs(xx - gx) <= 1) & (np.abs(yy - gy) <= 1)
    wide = np.full(xx.shape, math.log(max(size[0], 4.0) / 16))
    high = np.full(xx.shape, math.log(max(size[1], 2.0) / 8))
    for k, value in enumerate((cx - xx - 0.5, cy - yy - 0.5, wide, high)):
        target[1 + k, ya:yb, xa:xb][near] = value[near]
    target[0, gy, gx] = 1.0


def _placement(scene: Scene, rng: np.random.Generator) -> tuple[Floats, float]:
    height, width = scene.image.shape
    if scene.boxes and rng.random() < 0.85:
        x, y, w, h = scene.boxes[rng.integers(len(scene.boxes))]
        low, high = (math.log(v) for v in PLATE_WIDTH_PX)
        scale = min(math.exp(rng.uniform(low, high)) / w, 2.5)
        here = np.array([x + w / 2, y + h / 2])
        there = rng.uniform(0.06, 0.94, 2) * WINDOW
    else:
        scale = rng.uniform(0.4, 1.3)
        here = rng.uniform(0, 1, 2) * (width, height)
        there = np.array([WINDOW / 2, WINDOW / 2])
    angle = rng.normal(0, 0.06) if rng.random() > TILTED else rng.uniform(-TILT, TILT)
    shear = rng.normal(0, 0.04)
    across = scale * rng.uniform(0.85, 1.15) * (-1 if rng.random() < 0.5 else 1)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.array([[across, shear * scale], [0, scale]])
    matrix = np.concatenate([linear, (there - linear @ here)[:, None]], 1)
    return matrix.astype(np.float32), float(scale)


def _warp(image: Gray, matrix: Floats, scale: float, rng: np.random.Generator) -> Floats:
    """Only the part of the photograph that the window sees is blurred and warped."""
    height, width = image.shape
    corners = np.array([[0, 0, 1], [WINDOW, 0, 1], [WINDOW, WINDOW, 1], [0, WINDOW, 1]], np.float32)
    seen = corners @ cv2.invertAffineTransform(matrix).T
    x0, y0 = np.floor(np.clip(seen.min(0) - 2, 0, (width, height))).astype(int)
    x1, y1 = np.ceil(np.clip(seen.max(0) + 2, 0, (width, height))).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return np.full((WINDOW, WINDOW), 114, np.float32)
    part = image[y0:y1, x0:x1]
    if scale < 0.6:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), 0.35 / scale), np.uint8)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([x0, y0], np.float32)
    border = 0 if rng.random() < 0.6 else 114
    out = cv2.warpAffine(part, moved, (WINDOW, WINDOW), flags=cv2.INTER_LINEAR, borderValue=border)
    return out.astype(np.float32)


def _weather(image: Floats, rng: np.random.Generator) -> Gray:
    if rng.random() < 0.12:  # dusk and unlit plates
        image = image * rng.uniform(0.12, 0.5)
    else:
        image = (image - 128) * rng.uniform(0.4, 1.3) + 128 + rng.uniform(-60, 40)
    if rng.random() < 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3)), np.float32)
    elif rng.random() < 0.12:  # motion, along x as a rule
        image = np.asarray(cv2.blur(image, (int(rng.integers(2, 8)), 1)), np.float32)
    if rng.random() < 0.3:
        noise = rng.standard_normal(image.shape, np.float32)
        image = image + noise * rng.choice([3.0, 8.0, 15.0])
    out = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        out = codec.jpeg(out, int(rng.integers(20, 85)))
    return out

"""Make a clean plate look as a patrol camera sees it: place, distance, light, blur, compression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training import codec
from training.shapes import READER_INPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data import Box, Gray

    Floats = NDArray[np.float32]

HEIGHT, WIDTH = READER_INPUT
# Of the crop. Mostly sizes that can be read: with half of the crops below 64 px, five sixths of the
# loss came from the fifth of the crops that nobody can read.
WIDTHS_PX = ((34.0, 80.0), (50.0, 100.0), (60.0, 120.0), (100.0, 200.0), (100.0, 200.0))
TILT = math.radians(32)


def photographed(image: Gray, box: Box | None, rng: np.random.Generator) -> Gray:
    """A real plate, cut as the detector's box may lie, worsened; gray [64,160]."""
    height, width = image.shape
    x, y, w, h = box or (0.0, 0.0, float(width), float(height))
    left, top, right, bottom = _margins(rng, hugging=box is None)
    corners = np.array(
        [
            [x - left * w, y - top * h], [x + w + right * w, y - top * h],
            [x + w + right * w, y + h + bottom * h], [x - left * w, y + h + bottom * h],
        ]
    )  # fmt: skip
    corners += rng.normal(0, 0.016, (4, 2)) * (w, 1.5 * h)
    angle = _tilt(rng)
    if angle:  # the detector's box goes around all of a tilted plate
        wide, tall = w * math.cos(angle) + h * abs(math.sin(angle)), h * math.cos(angle) + w * abs(math.sin(angle))
        middle = corners.mean(0)
        corners = (corners - middle) * (wide / w, tall / h) + middle
        w, h = wide, tall
    corners = _turned(corners, angle or rng.normal(0, _slope(rng)))
    across = min(_crop_width(rng), max(40.0, w * 1.15))
    size = (max(12, int(across)), max(8, int(across * h / w * rng.uniform(0.9, 1.1))))
    if w > size[0] * 1.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), w / size[0] * 0.38), np.uint8)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), _frame(size))
    out = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _seen(out.astype(np.float32), rng, strength=0.8)


def rendered(image: Gray, rng: np.random.Generator) -> Gray:
    """A rendered plate put on some background, cut, worsened; gray [64,160]."""
    height, width = image.shape
    plate = _frame((width, height)).astype(np.float64)
    slant, turn = rng.normal(0, _slope(rng)), rng.normal(0, _slope(rng))
    corners = plate.copy()
    corners[:2, 0] += slant * width * 0.5
    corners[2:, 0] -= slant * width * 0.5
    corners[1:3, 1] += turn * width
    bend = rng.choice([0.015, 0.04, 0.08])
    corners += rng.uniform(-bend, bend, (4, 2)) * (width * 0.6, height)
    corners = _turned(corners, _tilt(rng))
    return _seen(_cut_out(image, corners, _margins(rng, hugging=False), _crop_width(rng), rng), rng, strength=1.0)


def at(image: Gray, *, width_px: float, angle: float, rng: np.random.Generator) -> Floats:
    """A rendered plate so many pixels wide, turned by so many radians, in the box around it; gray, not worsened."""
    height, width = image.shape
    corners = _turned(_frame((width, height)).astype(np.float64), angle)
    across = width_px * float(np.ptp(corners[:, 0])) / width
    return _cut_out(image, corners, (0.0, 0.0, 0.0, 0.0), across, rng)


def _cut_out(
    image: Gray,
    corners: NDArray[np.float64],
    margins: tuple[float, float, float, float],
    across: float,
    rng: np.random.Generator,
) -> Floats:
    """A plate with its corners there, cut with margins, on some background, so many pixels wide."""
    height, width = image.shape
    low, high = corners.min(0), corners.max(0)
    left, top, right, bottom = margins
    span = high - low
    low, high = low - span * (left, top), high + span * (right, bottom)
    span = high - low
    size = (max(12, int(across)), max(8, int(across * span[1] / span[0])))
    seen = ((corners - low) / span * size).astype(np.float32)
    if size[0] < width * 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.3, width / size[0] * 0.35)), np.uint8)
    matrix = cv2.getPerspectiveTransform(_frame((width, height)), seen)
    out = cv2.warpPerspective(image, matrix, size).astype(np.float32)
    mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size) / np.float32(255)
    return np.asarray(out * mask + _background(size, rng) * (1 - mask), np.float32)


def clean(image: Gray, rng: np.random.Generator) -> Gray:
    """A rendered plate as it is, cut a little off; gray [64,160]. The reader begins with these."""
    a, b, c, d = rng.integers(0, 7, 4)
    part = image[a : image.shape[0] - b, c : image.shape[1] - d]
    return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def _margins(rng: np.random.Generator, *, hugging: bool) -> tuple[float, float, float, float]:
    """Left, top, right, bottom as fractions of the plate: the detector's errors, and 2:1 labels."""
    low, high = (-0.03, 0.15) if hugging else (-0.06, 0.19)
    left, top, right, bottom = rng.uniform(low, high, 4)
    if rng.random() < 0.08:  # labels of some sets are far too high for a wide plate
        top, bottom = top + rng.uniform(0, 0.3), bottom + rng.uniform(0, 0.3)
    if rng.random() < 0.08:  # a dark plate, where the detector sees the recess it hangs in
        more = rng.uniform(0, 0.3, 4)
        left, top, right, bottom = np.array((left, top, right, bottom)) + more
    return left, top, right, bottom


def _crop_width(rng: np.random.Generator) -> float:
    return float(rng.uniform(*WIDTHS_PX[rng.integers(len(WIDTHS_PX))]))


def _slope(rng: np.random.Generator) -> float:
    """How far plates lean, as the standard deviation of a slope: most a little, some seen from the side."""
    return 0.04 if rng.random() < 0.7 else 0.12


def _tilt(rng: np.random.Generator) -> float:
    """The angle of a camera that does not stand level, of a motorcycle in a bend: for most crops 0."""
    return float(rng.uniform(-TILT, TILT)) if rng.random() < 0.12 else 0.0


def _frame(size: tuple[int, int]) -> Floats:
    w, h = size
    return np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)


def _turned(corners: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    c, s = math.cos(angle), math.sin(angle)
    middle = corners.mean(0)
    turned: NDArray[np.float64] = (corners - middle) @ np.array([[c, s], [-s, c]]) + middle
    return turned


def _background(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    rough = rng.integers(0, 200, (int(rng.integers(1, 5)), int(rng.integers(1, 5))))
    return np.asarray(cv2.resize(rough.astype(np.float32), size), np.float32)


def _seen(image: Floats, rng: np.random.Generator, *, strength: float) -> Gray:
    """Blur, light, noise and compression, then the reader's input size."""
    image = _light(_drops(_blur(image, rng, strength), rng), rng)
    if rng.random() < 0.02:  # the two halves of an interlaced picture were taken one after the other
        image[1::2] = np.roll(image[1::2], int(rng.integers(-4, 5)), axis=1)
    # Noise in step with the contrast: a very dark plate is not drowned in it.
    noise = rng.choice([0.02, 0.05, 0.1, 0.18]) * min(60.0, float(image.std()))
    image = image + rng.standard_normal(image.shape, np.float32) * np.float32(noise * strength + 0.5)
    out = np.clip(image, 0, 255).astype(np.uint8)
    kind = rng.random()
    if kind < 0.35:
        out = codec.jpeg(out, int(rng.integers(24, 90)))
    elif kind < 0.65:
        out = codec.h264(out, rng.uniform(18, 32), rng)
    how = cv2.INTER_LINEAR if rng.random() < 0.8 else cv2.INTER_AREA
    return np.asarray(cv2.resize(out, (WIDTH, HEIGHT), interpolation=how), np.uint8)


def _blur(image: Floats, rng: np.random.Generator, strength: float) -> Floats:
    kind = rng.random() / strength
    if kind < 0.22:
        longest = max(2, int(image.shape[1] * 0.04))
        return np.asarray(cv2.filter2D(image, -1, _streak(int(rng.integers(2, longest + 1)), rng)), np.float32)
    if kind < 0.45:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.1)), np.float32)
    return image


def _streak(length: int, rng: np.random.Generator) -> Floats:
    """A motion blur kernel along a random line."""
    kernel = np.zeros((length, length), np.float32)
    angle = rng.random() * math.pi if rng.random() < 0.6 else 0.0
    along = (np.linspace(0, 1, length * 3) - 0.5) * (length - 1)
    middle = (length - 1) / 2
    rows = np.rint(middle + along * math.sin(angle)).astype(int)
    columns = np.rint(middle + along * math.cos(angle)).astype(int)
    kernel[rows, columns] = 1
    return kernel / kernel.sum()


def _light(image: Floats, rng: np.random.Generator) -> Floats:
    if rng.random() < 0.05:
        image = 255 - image
    kind, dark = rng.random(), rng.random() < 0.1
    if dark:
        image = image * np.exp(rng.uniform(np.log(0.08), np.log(0.4))) + rng.uniform(0, 40)
    elif kind < 0.04:  # burnt out by a headlight or infrared lamp
        image = image * rng.uniform(1.1, 1.35) + rng.uniform(0, 20)
    else:
        image = (image - 128) * rng.uniform(0.4, 1.25) + 128 + rng.uniform(-55, 45)
    if rng.random() < 0.3:  # a slope of light
        slope = np.linspace(rng.uniform(0.35, 1.2), rng.uniform(0.35, 1.2), 32, dtype=np.float32)
        tile = slope[None, :] if rng.random() < 0.5 else slope[:, None]
        image = image * cv2.resize(tile, image.shape[::-1])
    if rng.random() < 0.13:  # the edge of a shadow
        image = _shadow(image, rng)
    if rng.random() < (0.25 if dark else 0.05):
        image = _glare(image, rng)
    return image.astype(np.float32)


def _glare(image: Floats, rng: np.random.Generator) -> Floats:
    """A lamp over the plate, or a headlight on it, and its bloom."""
    height, width = image.shape
    y = rng.uniform(-0.2, 0.25) if rng.random() < 0.6 else rng.uniform(0, 1)
    down = np.exp(-0.5 * ((np.arange(height) / height - y) / rng.uniform(0.05, 0.4)) ** 2)
    across = np.exp(-0.5 * ((np.arange(width) / width - rng.uniform(0, 1)) / rng.uniform(0.03, 0.25)) ** 2)
    return np.asarray(image + rng.uniform(30, 230) * np.outer(down, across), np.float32)


def _drops(image: Floats, rng: np.random.Generator) -> Floats:
    """Rain on the glass: here and there the picture is out of focus."""
    if rng.random() > 0.03:
        return image
    height, width = image.shape
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(2, 8))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(mask, at, max(2, int(height * rng.uniform(0.05, 0.2))), float(rng.uniform(0.4, 1)), -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.8, height * 0.03)), np.float32)
    blurred = cv2.GaussianBlur(image, (0, 0), max(1.0, height * rng.uniform(0.04, 0.12)))
    return np.asarray(image * (1 - mask) + blurred * mask, np.float32)


def _shadow(image: Floats, rng: np.random.Generator) -> Floats:
    height, width = image.shape
    if rng.random() < 0.5:  # from above, else from the left; what it leaves out is as often the darker part
        line = np.array([[0, rng.uniform(0, height)], [width, rng.uniform(0, height)], [width, 0], [0, 0]])
    else:
        line = np.array([[rng.uniform(0, width), 0], [rng.uniform(0, width), height], [0, height], [0, 0]])
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [line.astype(np.int32)], 1.0)
    mask = mask if rng.random() < 0.5 else 1 - mask
    return image * (1 - mask * np.float32(rng.uniform(0.3, 0.8)))

"""The street around the vehicles: sky, houses, trees, fence, kerbs and the lines on the road."""

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np

from edge_agent.camera.sim.optics import CameraModel, Mount, Points, View
from edge_agent.domain import Image

Colour = tuple[int, int, int]

_FAR_M = 400.0
_NEAR_M = 4.0
_MARGIN_PX = 24  # more than the mount ever turns
_STRIPS: tuple[tuple[float, float, Colour], ...] = (
    (-60.0, -6.4, (88, 116, 104)), (-6.4, -4.4, (150, 156, 158)), (-4.4, -4.2, (176, 178, 180)),
    (-4.2, 3.6, (96, 95, 94)), (3.6, 3.8, (176, 178, 180)), (3.8, 5.6, (158, 162, 164)),
    (5.6, 60.0, (84, 112, 100)), (-1.52, -1.42, (82, 168, 196)), (-1.34, -1.24, (82, 168, 196)),
    (1.36, 1.44, (196, 196, 194)),
)  # fmt: skip
"""Bands along the road: from x, to x (metres), colour."""


def polygon(picture: Image, pixels: Points, colour: Colour) -> None:
    """Fill a polygon [n, 2] with soft edges."""
    fixed = np.clip(np.round(pixels * 8), -1e6, 1e6).astype(np.int32)
    cv2.fillPoly(picture, [fixed], colour, cv2.LINE_AA, shift=3)


def flat(view: View, x1: float, x2: float, z1: float, z2: float) -> Points:
    """Give the pixels of a rectangle that lies on the road."""
    return view.project(np.array([(x1, 0, z1), (x2, 0, z1), (x2, 0, z2), (x1, 0, z2)]))


def upright(view: View, across: tuple[float, float], up: tuple[float, float], z: float) -> Points:
    """Give the pixels of a rectangle that stands across the road, from x to x and from y to y."""
    (x1, x2), (y1, y2) = across, up
    return view.project(np.array([(x1, y1, z), (x2, y1, z), (x2, y2, z), (x1, y2, z)]))


class Backdrop:
    """All that looks the same from everywhere on a straight road, drawn once, with a margin."""

    def __init__(self, *, model: CameraModel, seed: int) -> None:
        wide = CameraModel(
            width=model.width + 2 * _MARGIN_PX, height=model.height + 2 * _MARGIN_PX, focal_px=model.focal_px,
            height_m=model.height_m, yaw=model.yaw, pitch=model.pitch, shake=0.0,
        )  # fmt: skip
        view = Mount(model=wide, seed=seed).view(0.0)
        self._horizon = view.horizon
        self._model = model
        self._picture = _draw(view, np.random.default_rng([seed, 3]))

    def show(self, view: View) -> Image:
        """Give a fresh picture as the turned camera sees the backdrop."""
        x, y = (round(a - b) for a, b in zip(self._horizon, view.horizon, strict=True))
        x, y = max(0, min(x, 2 * _MARGIN_PX)), max(0, min(y, 2 * _MARGIN_PX))
        return self._picture[y : y + self._model.height, x : x + self._model.width].copy()


def _draw(view: View, rng: np.random.Generator) -> Image:
    height, width = view.model.height, view.model.width
    _, horizon_y = view.horizon
    picture = np.empty((height, width, 3), np.uint8)
    sky = np.linspace(0, 1, max(1, round(horizon_y)))[:, None]
    picture[: len(sky)] = ((1 - sky) * (204, 190, 176) + sky * (232, 228, 224)).astype(np.uint8)[:, None]
    picture[len(sky) :] = (96, 95, 94)
    for x1, x2, colour in _STRIPS:
        polygon(picture, flat(view, x1, x2, _NEAR_M, _FAR_M), colour)
    for step in range(0, width, 6):  # woods where the road ends
        tall = 0.012 * view.model.focal_px * float(rng.uniform(0.7, 1.3))
        tone = int(rng.integers(84, 112))
        cv2.circle(
            picture, (step, round(horizon_y - tall * 0.4)), round(tall), (tone, tone + 8, tone), -1, cv2.LINE_AA
        )
    for x, tall, colour in ((5.7, 1.1, (132, 140, 148)), (-6.5, 0.7, (70, 98, 86))):  # a wall, a hedge
        wall = np.array([(x, 0, _NEAR_M), (x, tall, _NEAR_M), (x, tall, _FAR_M), (x, 0, _FAR_M)])
        polygon(picture, view.project(wall), colour)
    picture[:] = cv2.GaussianBlur(picture, (5, 5), 0)
    grain = cv2.resize(rng.normal(0, 3, (height // 3, width // 6)).astype(np.float32), (width, height))
    picture[len(sky) :] = np.clip(picture[len(sky) :] + grain[len(sky) :, :, None], 0, 255).astype(np.uint8)
    return picture


def _along(gone: float, *, every_m: float, first_m: float, last_m: float) -> Iterator[tuple[int, float]]:
    """Give number and distance ahead of things that stand at even distances, the farthest first."""
    for number in range(int((gone + last_m) / every_m), int((gone + first_m) / every_m), -1):
        yield number, number * every_m - gone


def furnish(picture: Image, view: View, gone_m: float) -> None:
    """Draw what goes by after so many metres: houses, trees, posts, marks and patches on the road."""
    for number, z in _along(gone_m, every_m=16.0, first_m=30.0, last_m=150.0):
        _house(picture, view, 11.0 if number % 2 else -12.5, z, number)
    for number, z in _along(gone_m, every_m=7.0, first_m=12.0, last_m=130.0):
        tone = 150 - 10 * (number % 3)
        polygon(picture, upright(view, (5.6, 5.9), (0, 1.3), z), (tone, tone + 4, tone + 8))
    for number, z in _along(gone_m, every_m=9.0, first_m=_NEAR_M, last_m=90.0):
        polygon(picture, flat(view, 3.62, 3.64, z, z + 0.2), (120, 120, 120))
        if number % 3 == 0:
            wide = 0.5 + 0.4 * (number % 4)
            polygon(picture, flat(view, 0.4 - wide, 0.4 + wide, z, z + 1.5 + wide), (84, 83, 82))
    for number, z in _along(gone_m, every_m=11.0, first_m=14.0, last_m=120.0):
        _tree(picture, view, 7.0 if number % 2 else -7.6, z, number)
    for _, z in _along(gone_m, every_m=40.0, first_m=10.0, last_m=150.0):
        polygon(picture, upright(view, (4.0, 4.14), (0, 8), z), (92, 94, 94))


def _house(picture: Image, view: View, x: float, z: float, number: int) -> None:
    tone = (168, 150, 186, 140)[number % 4]
    far = x + (8 if x > 0 else -8)
    inner, outer = min(x, far), max(x, far)
    side = np.array([(x, 0, z), (x, 5.5, z), (x, 5.5, z + 10), (x, 0, z + 10)])
    polygon(picture, view.project(side), (tone - 40, tone - 34, tone - 30))
    polygon(picture, upright(view, (inner, outer), (0, 5.5), z), (tone, tone + 4, tone + 10))
    gable = np.array([(inner - 0.4, 5.5, z), (outer + 0.4, 5.5, z), ((inner + outer) / 2, 8.5, z)])
    polygon(picture, view.project(gable), (82, 84, 96))
    for left in (inner + 1.2, outer - 2.4):
        for floor in (0.9, 3.3):
            polygon(picture, upright(view, (left, left + 1.2), (floor, floor + 1.3), z), (92, 84, 78))


@cache
def _crown(kind: int) -> tuple[Points, Points]:
    """Give a crown's balls: places [7, 3] from the tree's foot and radii [7], metres."""
    rng = np.random.default_rng(kind)
    places = np.column_stack((rng.normal(0, 0.8, 7), rng.normal(3.4, 0.6, 7), np.zeros(7)))
    return places, rng.uniform(0.5, 1.0, 7)


def _tree(picture: Image, view: View, x: float, z: float, number: int) -> None:
    polygon(picture, upright(view, (x - 0.14, x + 0.14), (0, 2.6), z), (64, 74, 84))
    places, radii = _crown(number % 8)
    for ball, (middle, radius) in enumerate(zip(view.project(np.add(places, (x, 0.0, z))), radii, strict=True)):
        shade = 56 + 6 * ball
        size = max(1, round(float(radius) * view.model.focal_px / z))
        cv2.circle(
            picture, (int(middle[0]), int(middle[1])), size, (shade, shade + 26, shade + 14), -1, cv2.LINE_AA
        )

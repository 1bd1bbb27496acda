"""Vehicle bodies as a few flat faces, in the vehicle's own axes: x to its right, y up, z to its nose, in metres."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge_agent.camera.sim.plates import HEIGHT_M, WIDTH_M

Points = NDArray[np.float64]
Colour = tuple[int, int, int]

PAINT: Colour = (-1, -1, -1)
"""Stands for the vehicle's own colour."""

_GLASS, _TYRE, _DARK = (62, 54, 48), (26, 26, 27), (44, 43, 42)
_LAMP, _RED, _CHROME = (244, 244, 240), (44, 36, 176), (150, 150, 150)


@dataclass(frozen=True, slots=True)
class Body:
    """A kind of vehicle: its outline over the middle from the nose's foot to the tail's foot."""

    name: str
    length_m: float
    outline: tuple[tuple[float, float, float, bool], ...]
    """z from the middle, y, half the width, and whether glass lies from here to the next point."""
    belt_m: float
    """Height of the windows' lower edge."""
    front_plate_m: float
    rear_plate_m: float


SEDAN = Body(
    "sedan", 4.7,
    (
        (2.33, 0.24, 0.86, False), (2.35, 0.66, 0.88, False), (2.18, 0.78, 0.86, False), (1.1, 0.94, 0.84, True),
        (0.3, 1.42, 0.6, False), (-1.0, 1.44, 0.6, True), (-1.75, 1.04, 0.8, False), (-2.3, 1.0, 0.82, False),
        (-2.35, 0.6, 0.88, False), (-2.32, 0.28, 0.86, False),
    ),
    0.96, 0.46, 0.78,
)  # fmt: skip
SUV = Body(
    "suv", 4.6,
    (
        (2.28, 0.24, 0.9, False), (2.3, 0.84, 0.91, False), (2.15, 0.98, 0.9, False), (1.25, 1.1, 0.88, True),
        (0.6, 1.66, 0.68, False), (-1.75, 1.7, 0.68, True), (-2.2, 1.12, 0.86, False), (-2.3, 0.7, 0.91, False),
        (-2.27, 0.26, 0.9, False),
    ),
    1.12, 0.58, 0.88,
)  # fmt: skip
PICKUP = Body(
    "pickup", 5.6,
    (
        (2.78, 0.3, 0.96, False), (2.8, 0.98, 0.97, False), (2.7, 1.1, 0.96, False), (1.5, 1.2, 0.94, True),
        (0.9, 1.82, 0.72, False), (-0.6, 1.84, 0.72, True), (-0.85, 1.24, 0.92, False), (-2.8, 1.16, 0.96, False),
        (-2.8, 0.6, 0.96, False), (-2.76, 0.36, 0.95, False),
    ),
    1.22, 0.66, 0.72,
)  # fmt: skip
VAN = Body(
    "van", 5.2,
    (
        (2.58, 0.28, 0.94, False), (2.6, 0.85, 0.95, False), (2.4, 1.1, 0.94, False), (2.0, 1.2, 0.93, True),
        (1.4, 1.95, 0.84, False), (-2.5, 2.05, 0.84, True), (-2.58, 1.3, 0.94, False), (-2.6, 0.32, 0.94, False),
    ),
    1.26, 0.56, 0.98,
)  # fmt: skip
BODIES = (SEDAN, SUV, PICKUP, VAN)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One flat polygon: which points, its colour, and its normal in the vehicle's axes."""

    points: slice
    colour: Colour
    normal: Points


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """All points of a body [n, 3] and the faces over them, from the inside out."""

    points: Points
    faces: tuple[Face, ...]


class _Builder:
    def __init__(self) -> None:
        self._points: list[Points] = []
        self._faces: list[Face] = []

    def face(
        self, corners: list[tuple[float, float, float]], colour: Colour, outward: tuple[float, float, float]
    ) -> None:
        """Add a polygon; outward is its normal, or nearly."""
        start = sum(len(points) for points in self._points)
        self._points.append(np.array(corners))
        normal = np.array(outward)
        self._faces.append(Face(slice(start, start + len(corners)), colour, normal / np.hypot.reduce(normal)))

    def panel(self, z: float, side: int, box: tuple[float, float, float, float], colour: Colour) -> None:
        """Add a rectangle x1, y1, x2, y2 on the nose (side 1) or the tail (side -1)."""
        x1, y1, x2, y2 = box
        self.face([(x1, y1, z), (x2, y1, z), (x2, y2, z), (x1, y2, z)], colour, (0, 0, side))

    def mesh(self) -> Mesh:
        return Mesh(np.concatenate(self._points), tuple(self._faces))


@cache
def mesh(body: Body) -> Mesh:
    """Build a body's faces, once a kind."""
    build = _Builder()
    _sides(build, body)
    for here, there in zip(body.outline, body.outline[1:], strict=False):
        (z1, y1, w1, glass), (z2, y2, w2, _) = here, there
        quad = [(-w1, y1, z1), (w1, y1, z1), (w2, y2, z2), (-w2, y2, z2)]
        build.face(quad, PAINT, (0, z1 - z2, y2 - y1))
        if glass:
            middle = np.mean(quad, axis=0)
            build.face(
                [tuple(middle + (corner - middle) * 0.9) for corner in np.array(quad)],
                _GLASS,
                (0, z1 - z2, y2 - y1),
            )
    _nose(build, body)
    _tail(build, body)
    return build.mesh()


def _sides(build: _Builder, body: Body) -> None:
    """Add both flanks with windows and wheels."""
    cabin = [point for point in body.outline if point[1] >= body.belt_m]
    for side in (-1, 1):
        flank = [(side * w, min(y, body.belt_m), z) for z, y, w, _ in body.outline]
        build.face(flank, PAINT, (side, 0, 0))
        roof = [
            (side * (w if y > body.belt_m + 0.2 else 0.86), y, z) for z, y, w, _ in cabin if abs(z) < body.length_m
        ]
        build.face(roof, PAINT, (side, 0.3, 0))
        top = [point for point in cabin if point[1] > body.belt_m + 0.2]
        front, back = top[0], top[-1]
        glass = [
            (side * 0.88, body.belt_m, front[0] + 0.5), (side * (front[2] + 0.02), front[1] - 0.08, front[0] - 0.1),
            (side * (back[2] + 0.02), back[1] - 0.08, back[0] + 0.1), (side * 0.88, body.belt_m, back[0] - 0.1),
        ]  # fmt: skip
        build.face(glass, _GLASS, (side, 0.3, 0))
        for axle in (0.3 * body.length_m, -0.29 * body.length_m):
            _wheel(build, side, axle)


def _wheel(build: _Builder, side: int, axle: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for radius, colour, x in ((0.36, _TYRE, 0.93), (0.21, _CHROME, 0.935)):
        rim = [(side * x, 0.34 + radius * float(np.sin(a)), axle + radius * float(np.cos(a))) for a in angles]
        build.face(rim, colour, (side, 0, 0))


def _feet(build: _Builder, z: float, side: int, foot: float) -> None:
    """Add the tyres seen under the bumper."""
    for x in (-0.78, 0.58):
        build.panel(z, side, (x, 0.0, x + 0.2, foot + 0.04), _TYRE)


def _nose(build: _Builder, body: Body) -> None:
    """Add tyres, apron, grille and headlamps."""
    z = body.length_m / 2 + 0.01
    foot, top = body.outline[0][1], body.outline[1][1]
    half = body.outline[1][2]
    _feet(build, z - 0.3, 1, foot)
    build.panel(z, 1, (-half * 0.9, foot, half * 0.9, foot + 0.12), _DARK)
    build.panel(z, 1, (-half * 0.5, top - 0.17, half * 0.5, top - 0.03), _DARK)
    for x1, x2 in ((-half * 0.96, -half * 0.6), (half * 0.6, half * 0.96)):
        build.panel(z, 1, (x1, top - 0.16, x2, top - 0.03), _LAMP)


def _tail(build: _Builder, body: Body) -> None:
    """Add tyres, bumper, tail lamps and the recess of the plate."""
    z = -body.length_m / 2 - 0.01
    foot, half = body.outline[-1][1], body.outline[-2][2]
    lamp = body.belt_m - 0.22
    _feet(build, z + 0.3, -1, foot)
    build.panel(z, -1, (-half * 0.95, foot, half * 0.95, foot + 0.16), _DARK)
    for x1, x2 in ((-half * 0.98, -half * 0.68), (half * 0.68, half * 0.98)):
        build.panel(z, -1, (x1, lamp, x2, lamp + 0.16), _RED)
    plate = body.rear_plate_m
    build.panel(z, -1, (-0.26, plate - 0.13, 0.26, plate + 0.12), _DARK)


def plate_corners(body: Body, *, front: bool, roll: float) -> Points:
    """Give the plate's corners [4, 3] as a viewer reads them: top left, top right, bottom right, bottom left."""
    side = 1 if front else -1
    height = body.front_plate_m if front else body.rear_plate_m
    x = np.array([-1.0, 1.0, 1.0, -1.0]) * WIDTH_M / 2
    y = np.array([1.0, 1.0, -1.0, -1.0]) * HEIGHT_M / 2
    turned_x, turned_y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
    # Seen from the front, the vehicle's right lies to the viewer's left.
    return np.column_stack((-side * turned_x, height + turned_y, np.full(4, side * (body.length_m / 2 + 0.03))))


@cache
def headlamps(body: Body) -> Points:
    """The two headlamps [2, 3], in the vehicle's axes."""
    nose_z, _, half_m, _ = body.outline[1]
    return np.array([(side * 0.75 * half_m, body.front_plate_m + 0.2, nose_z) for side in (-1.0, 1.0)])

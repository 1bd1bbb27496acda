"""What the simulated drive knows for certain: every vehicle's plate, and where each frame shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.camera.sim.bodies import Points, mesh
from edge_agent.camera.sim.optics import View
from edge_agent.camera.sim.scene import Vehicle
from edge_agent.domain import Box

READABLE_WIDTH_PX = 60.0
"""A 60 px wide US plate has characters of about 28 by 7 px; narrower ones are not expected to be read."""

VISIBLE_WIDTH_PX = 16.0
"""Narrower plates are not counted as seen at all."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One vehicle's plate in one frame; the box hugs its edge, in pixels of the full frame."""

    frame: int
    time_s: float
    box: Box
    shown: float
    """Share of the plate that lies in the picture and behind no other vehicle, 0..1."""

    @property
    def width_px(self) -> float:
        return self.box.width


@dataclass(frozen=True, slots=True)
class VehicleTruth:
    """One vehicle of the drive and every frame so far that showed its plate."""

    number: int
    kind: str
    text: str
    region: str
    sightings: tuple[Sighting, ...]

    def readable(self, *, width_px: float = READABLE_WIDTH_PX, shown: float = 0.97) -> tuple[Sighting, ...]:
        """Give the sightings in which the plate is wide enough and whole."""
        return tuple(seen for seen in self.sightings if seen.width_px >= width_px and seen.shown >= shown)


def _shared(one: Points, other: Points) -> float:
    area, _ = cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))
    return float(area)


def outline(vehicle: Vehicle, view: View, time_s: float) -> Points:
    """Give the hull [n, 2] of a vehicle in the picture."""
    pixels = view.project(vehicle.pose(time_s).place(mesh(vehicle.body).points))
    return np.asarray(cv2.convexHull(pixels.astype(np.float32))[:, 0], np.float64)


def sightings(
    vehicles: Sequence[Vehicle], view: View, *, frame: int, time_s: float, in_front: Sequence[Points] = ()
) -> dict[int, Sighting]:
    """Give, by vehicle number, where the frame shows each plate; the farthest vehicle first.

    in_front: the pixels [n, 2] of what hides any of them, convex.
    """
    size = (float(view.model.width), float(view.model.height))
    picture = np.array([(0.0, 0.0), (size[0], 0.0), size, (0.0, size[1])])
    found: dict[int, Sighting] = {}
    nearer = list(in_front)
    for vehicle in reversed(vehicles):
        corners = view.project(vehicle.plate_corners(time_s))
        area = float(cv2.contourArea(corners.astype(np.float32)))
        inside = _shared(corners, picture)
        hidden = sum(_shared(corners, hull) for hull in nearer)
        box = Box(*(float(n) for n in (*corners.min(axis=0), *corners.max(axis=0))))
        if inside > 0 and box.width >= VISIBLE_WIDTH_PX:
            found[vehicle.number] = Sighting(frame, time_s, box, max(0.0, (inside - hidden) / area))
        nearer.append(outline(vehicle, view, time_s))
    return found

"""The simulated camera as optics: where a point of the world falls in the picture, and how the mount shakes.

The world is seen from the patrol car: x to the right, y up from the road, z ahead of the camera, in metres.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_NEAREST_M = 0.4  # what comes nearer lies outside the picture and is only kept from turning inside out


@dataclass(frozen=True, slots=True)
class CameraModel:
    """A pinhole camera on the patrol car; angles in radians, yaw to the right, pitch up."""

    width: int = 1280
    height: int = 720
    focal_px: float = 3400.0
    height_m: float = 1.35
    yaw: float = -0.014
    pitch: float = -0.02
    shutter_s: float = 1 / 1000
    noise: float = 2.2
    """Standard deviation of the sensor's noise, gray levels."""
    shake: float = 3e-4
    """How far the mount turns to and fro, radians."""
    defocus_px: float = 0.55
    """Standard deviation of the lens's blur."""
    readout_s: float = 0.0
    """From the first row's exposure to the last one's (rolling shutter)."""
    swing: float = 0.0
    """How far the exposure runs behind the light, a share of it."""

    @classmethod
    def sized(cls, width: int, height: int) -> "CameraModel":
        """Give the default view on a sensor of this many pixels."""
        usual = cls()
        return cls(width=width, height=height, focal_px=usual.focal_px * width / usual.width)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The camera at one moment, its mount's turn included."""

    model: CameraModel
    rotation: Points
    """[3, 3]: from the car's axes to the camera's: right, down, ahead."""

    def project(self, points: Points) -> Points:
        """Give the pixels [n, 2] of points [n, 3]."""
        seen = (points - (0.0, self.model.height_m, 0.0)) @ self.rotation.T
        scale = self.model.focal_px / np.maximum(seen[:, 2:], _NEAREST_M)
        pixels: Points = seen[:, :2] * scale + (self.model.width / 2, self.model.height / 2)
        return pixels

    @property
    def horizon(self) -> tuple[float, float]:
        """The pixel straight ahead of the car at infinity."""
        x, y = self.project(np.array([[0.0, self.model.height_m, 1e6]]))[0]
        return float(x), float(y)


class Mount:
    """Turns the camera a little, as a windscreen mount does; repeatable for one seed."""

    def __init__(self, *, model: CameraModel, seed: int) -> None:
        self._model = model
        rng = np.random.default_rng([seed, 7])
        self._phases = rng.uniform(0, 2 * np.pi, (2, 3))
        self._frequencies_hz = np.array([1.7, 4.3, 11.0]) * rng.uniform(0.9, 1.1, (2, 3))
        self._shares = np.array([0.6, 0.3, 0.1])

    def view(self, time_s: float) -> View:
        turns = np.sin(2 * np.pi * self._frequencies_hz * time_s + self._phases) @ self._shares
        yaw, pitch = self._model.shake * turns + (self._model.yaw, self._model.pitch)
        turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, -np.cos(pitch), np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        return View(self._model, nod @ turn)

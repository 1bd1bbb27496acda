"""A photograph that comes nearer: a labelled plate grows in the picture as one that a moving camera drives up to.

Real plates with known texts, and what a moving camera adds: perspective growth, drift, vibration, smear along the
true motion while the shutter is open, sensor noise, exposure that swings, and H.264.
"""

import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.camera.sim.sensor import Grain, smear_kernel
from edge_agent.domain import Box, Image

try:
    import av
except ModuleNotFoundError:
    sys.exit("photographs that come nearer need PyAV: pip install -e '.[test]'")

Floats = NDArray[np.float64]

LARGEST_PX = (1280, 720)
"""A photograph is shrunk to fit this, as a frame of a camera is."""

VIBRATION_HZ = (2.1, 7.3, 13.0)
SHARPEST_PX = 0.3
"""A smear shorter than this does not show."""


@dataclass(frozen=True, slots=True)
class Ride:
    """How the camera moves and sees; px are pixels of the frame, times in seconds."""

    rate_fps: float = 30.0
    seconds: float = 2.4
    first_width_px: float = 26.0
    drift_px: float = 14.0
    vibration_px: float = 1.6
    turn_degrees: float = 0.4
    shutter_s: float = 1 / 500
    noise: float = 3.0
    """Standard deviation of the sensor's noise, gray levels."""
    swing: float = 0.25
    """How much lighter and darker the exposure makes the picture, a share."""
    quality: int = 27
    """x264's constant rate factor (CRF): higher is smaller and worse."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A photograph as large as a frame, and the plate in it."""

    image: Image
    plate: Box


def scene(photograph: Image, plate: Box) -> Scene:
    """Shrink a photograph to a frame's size, even in width and height as H.264 needs them."""
    height, width = photograph.shape[:2]
    scale = min(1.0, LARGEST_PX[0] / width, LARGEST_PX[1] / height)
    size = (max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2))
    across, down = size[0] / width, size[1] / height
    return Scene(
        image=np.asarray(cv2.resize(photograph, size, interpolation=cv2.INTER_AREA), np.uint8),
        plate=Box(plate.x1 * across, plate.y1 * down, plate.x2 * across, plate.y2 * down),
    )


class Approach:
    """One photograph coming nearer; the same seed gives the same frames."""

    def __init__(self, scene: Scene, *, ride: Ride, last_width_px: float, seed: int) -> None:
        self._scene = scene
        self._ride = ride
        self._last_width_px = min(last_width_px, scene.plate.width)
        rng = np.random.default_rng([seed, 31])
        height, width = scene.image.shape[:2]
        self._vanishing = np.array([width, height]) * rng.uniform(0.42, 0.58, 2)
        self._phases = rng.uniform(0, 2 * math.pi, (4, len(VIBRATION_HZ)))
        self._grain = Grain(size=(height, width), gray_levels=ride.noise, seed=seed)
        # What lies beyond the photograph: the same light, and nothing that could be read.
        small = cv2.resize(scene.image, (8, 6), interpolation=cv2.INTER_AREA)
        self._around = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)

    def frames(self) -> Iterator[tuple[Image, Box]]:
        """The frames, before any compression, and where the plate is in each."""
        ride = self._ride
        for number in range(round(ride.seconds * ride.rate_fps)):
            time_s = number / ride.rate_fps
            place = self._place(time_s)
            moved = self._place(time_s + ride.shutter_s)
            yield self._sensed(self._smeared(self._drawn(place), place, moved), number), self._box(place)

    def _scale(self, time_s: float) -> float:
        """Of the photograph: at an even speed one over the width falls evenly."""
        first, last = 1 / self._ride.first_width_px, 1 / self._last_width_px
        share = min(1.0, time_s / self._ride.seconds)
        return 1 / (first + (last - first) * share) / self._scene.plate.width

    def _place(self, time_s: float) -> Floats:
        """The affine map [2, 3] from the photograph to the frame."""
        ride = self._ride
        waves = np.sin(2 * math.pi * np.array(VIBRATION_HZ) * time_s + self._phases)
        x, y, turn = waves[:3] @ (0.5, 0.3, 0.2)
        drift = ride.drift_px * math.sin(2 * math.pi * 0.35 * time_s + self._phases[3, 0])
        angle = math.radians(ride.turn_degrees) * turn
        scale = self._scale(time_s)
        c, s = scale * math.cos(angle), scale * math.sin(angle)
        matrix = np.array([[c, -s], [s, c]])
        offset = self._vanishing - matrix @ self._vanishing
        offset += (drift + ride.vibration_px * x, 0.3 * drift + ride.vibration_px * y)
        return np.column_stack((matrix, offset))

    def _drawn(self, place: Floats) -> Image:
        """The photograph there, averaged down where it is smaller."""
        image, scale = self._scene.image, math.hypot(place[0, 0], place[1, 0])
        while scale <= 0.5:
            image = np.asarray(cv2.pyrDown(image), np.uint8)
            scale *= 2
        across = image.shape[1] / self._scene.image.shape[1]
        down = image.shape[0] / self._scene.image.shape[0]
        if scale < 0.95:
            image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0.45 / scale), np.uint8)
        smaller = place.copy()
        smaller[:, 0] /= across
        smaller[:, 1] /= down
        size = self._around.shape[1::-1]
        out = self._around.copy()
        cv2.warpAffine(image, smaller, size, dst=out, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)
        return out

    def _smeared(self, image: Image, place: Floats, moved: Floats) -> Image:
        """Smear along the way that the plate's middle goes while the shutter is open."""
        middle = np.array([*self._scene.plate.center, 1.0])
        across, down = moved @ middle - place @ middle
        if math.hypot(across, down) < SHARPEST_PX:
            return image
        return np.asarray(cv2.filter2D(image, -1, smear_kernel(round(4 * across), round(4 * down))), np.uint8)

    def _sensed(self, image: Image, number: int) -> Image:
        ride = self._ride
        gain = 1 + ride.swing * math.sin(math.pi * number / ride.rate_fps + self._phases[3, 1])
        lit = np.asarray(cv2.convertScaleAbs(image, alpha=gain), np.uint8)
        self._grain.lay(lit, number)
        return lit

    def _box(self, place: Floats) -> Box:
        box = self._scene.plate
        corners = np.array([(box.x1, box.y1, 1), (box.x2, box.y1, 1), (box.x2, box.y2, 1), (box.x1, box.y2, 1)])
        pixels = corners @ place.T
        return Box(*(float(v) for v in (*pixels.min(axis=0), *pixels.max(axis=0))))


def recorded(frames: Sequence[Image], *, rate_fps: float, quality: int) -> tuple[list[Image], int]:
    """The frames after H.264 and back, as a camera's recording gives them, and how many bytes it takes."""
    file = io.BytesIO()
    height, width = frames[0].shape[:2]
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(
            "libx264", rate=round(rate_fps), options={"crf": str(quality), "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        for image in frames:
            kind = "bgr24" if image.ndim == 3 else "gray"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=kind)))
        container.mux(stream.encode())
    size = file.tell()
    file.seek(0)
    with av.open(file, "r") as recording:
        images = [np.asarray(one.to_ndarray(format="bgr24"), np.uint8) for one in recording.decode(video=0)]
    return images, size

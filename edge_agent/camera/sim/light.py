"""What light does to the simulated street: day, low sun, rain, night with headlights, infrared."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import cv2
import numpy as np

from edge_agent.camera.sim.optics import Points
from edge_agent.domain import Image

_GLARE_SCALE = 8  # glare is soft: it is drawn small


class Light(StrEnum):
    """When and with what the street is seen."""

    DAY = "day"
    LOW_SUN = "low sun"
    RAIN = "rain"
    NIGHT = "night"
    INFRARED = "infrared"


@dataclass(frozen=True, slots=True)
class Look:
    """How bright things are beside the day, as shares; plates throw headlights and infrared back."""

    scene: float = 1.0
    plate: float = 1.0
    noise: float = 1.0
    haze: float = 0.0
    """Share of the picture's range that stray light adds everywhere and takes from the contrast."""
    lamps: float = 0.0
    """Strength of the headlights' bloom."""
    streaks: int = 0
    """Drops of rain in sight."""
    wiper: bool = False
    gray: bool = False


LOOKS = {
    Light.DAY: Look(),
    Light.LOW_SUN: Look(scene=0.8, plate=0.5, haze=0.35),
    Light.RAIN: Look(scene=0.75, plate=0.8, noise=1.3, haze=0.12, streaks=260, wiper=True),
    Light.NIGHT: Look(scene=0.14, plate=0.62, noise=2.8, lamps=1.0),
    Light.INFRARED: Look(scene=0.16, plate=0.85, noise=2.2, lamps=0.35, gray=True),
}


def dim(picture: Image, share: float) -> Image:
    """The picture as bright as a share of itself."""
    return picture if share == 1 else np.asarray(cv2.convertScaleAbs(picture, alpha=share), np.uint8)


def glare(picture: Image, lamps: Points, sizes: Sequence[float], strength: float) -> None:
    """Add headlights [n, 2] of such sizes in pixels with their bloom, in place."""
    if not len(lamps) or not strength:
        return
    height, width = picture.shape[:2]
    small = np.zeros((height // _GLARE_SCALE + 1, width // _GLARE_SCALE + 1), np.float32)
    for (x, y), size in zip(lamps, sizes, strict=True):
        if -width < x < 2 * width and -height < y < 2 * height:
            at = (round(float(x) / _GLARE_SCALE), round(float(y) / _GLARE_SCALE))
            cv2.circle(small, at, max(1, round(size / _GLARE_SCALE)), 255.0, -1)
    bloom = cv2.GaussianBlur(small, (0, 0), 1.2) + 3 * cv2.GaussianBlur(small, (0, 0), 7)
    layer = cv2.resize(np.minimum(255, strength * bloom), (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.add(picture, cv2.cvtColor(layer.astype(np.uint8), cv2.COLOR_GRAY2BGR), dst=picture)


def weather(picture: Image, look: Look, rng: np.random.Generator) -> Image:
    """The picture with haze and rain."""
    if look.streaks:
        height, width = picture.shape[:2]
        for _ in range(look.streaks):
            x, y, long = int(rng.integers(width)), int(rng.integers(height)), int(rng.integers(8, 40))
            tone = int(rng.integers(150, 215))
            cv2.line(picture, (x, y), (x + long // 8, y + long), (tone, tone, tone), 1, cv2.LINE_AA)
        picture = cast("Image", cv2.GaussianBlur(picture, (3, 3), 0.7))
    if look.haze:
        picture = np.asarray(cv2.convertScaleAbs(picture, alpha=1 - look.haze, beta=230 * look.haze), np.uint8)
    return picture


def without_colour(picture: Image) -> Image:
    """The picture as a camera without colours gives it."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)

"""Where a plate will be: a Kalman filter of constant velocity over its centre and its size.

As in SORT (Bewley et al., Simple Online and Realtime Tracking, 2016), with every length in widths of the plate
itself, so that near and far plates are treated alike, and the logarithm of the width, which grows evenly.
"""

import math
from dataclasses import dataclass, field

from edge_agent.domain import Box

PLACE_SD, PLACE_SD_PX = 0.06, 1.0
"""How far a found centre is off: a share of the plate's width, and pixels."""

PLACE_SPEED_SD, PLACE_PUSH_SD = 20.0, 60.0
"""Speeds (widths a second) and their changes (widths a second squared): a plate passed 3 m
beside the car at 100 km/h moves by several of its widths a frame just before it leaves the picture."""

SIZE_SD, SIZE_SPEED_SD, SIZE_PUSH_SD = 0.1, 3.0, 6.0
"""The same for the logarithm of the width."""

GATE = 16.3
"""Squared distance in standard deviations beyond which it is another plate: chi-squared, 3 degrees, 1 in 1,000."""

FARTHEST = 3.0
"""Widths beyond which it is another plate, however little is known of where it went."""


@dataclass(slots=True)
class _Axis:
    """One coordinate with its speed, and their covariance."""

    place: float
    place_variance: float
    speed_variance: float
    speed: float = 0.0
    covariance: float = 0.0

    def after(self, seconds: float, push_sd: float) -> "_Axis":
        push = (push_sd * seconds) ** 2
        return _Axis(
            place=self.place + self.speed * seconds,
            speed=self.speed,
            place_variance=self.place_variance
            + 2 * seconds * self.covariance
            + seconds**2 * (self.speed_variance + push / 4),
            covariance=self.covariance + seconds * (self.speed_variance + push / 2),
            speed_variance=self.speed_variance + push,
        )

    def seen_at(self, place: float, variance: float) -> "_Axis":
        total = self.place_variance + variance
        gain, speed_gain = self.place_variance / total, self.covariance / total
        off = place - self.place
        return _Axis(
            place=self.place + gain * off,
            speed=self.speed + speed_gain * off,
            place_variance=(1 - gain) * self.place_variance,
            covariance=(1 - gain) * self.covariance,
            speed_variance=self.speed_variance - speed_gain * self.covariance,
        )


@dataclass(slots=True)
class Motion:
    """A plate's way through the picture, pixels and seconds; begins where it was first seen."""

    box: Box
    at_s: float
    _axes: tuple[_Axis, _Axis, _Axis] = field(init=False)
    _expected: tuple[float, tuple[_Axis, _Axis, _Axis]] = field(init=False)
    """The prediction that was asked for last, and its time: a frame asks for it once for each plate in it."""

    def __post_init__(self) -> None:
        width = self.box.width
        spreads = _spreads(width)
        speeds = (PLACE_SPEED_SD * width, PLACE_SPEED_SD * width, SIZE_SPEED_SD)
        x, y, size = (
            _Axis(place, spread, speed**2)
            for place, spread, speed in zip(_places(self.box), spreads, speeds, strict=True)
        )
        self._axes = (x, y, size)
        self._expected = (self.at_s, self._axes)

    def cost(self, box: Box, at_s: float) -> float:
        """How unlikely it is that the plate is there then: lower is likelier, infinite beyond the gate."""
        if self.widths_off(box, at_s) > FARTHEST:
            return math.inf
        axes = self._predicted(at_s)
        distance = doubt = 0.0
        for axis, place, spread in zip(axes, _places(box), _spreads(box.width), strict=True):
            variance = axis.place_variance + spread
            distance += (axis.place - place) ** 2 / variance
            doubt += math.log(variance)
        return distance + doubt if distance <= GATE else math.inf

    def widths_off(self, box: Box, at_s: float) -> float:
        """How far from where the plate is expected then, in widths of the wider one."""
        x, y, _ = self._predicted(at_s)
        return math.hypot(x.place - box.center[0], y.place - box.center[1]) / max(box.width, self.box.width)

    def follow(self, box: Box, at_s: float) -> None:
        """Take the plate's next sight."""
        x, y, size = (
            axis.seen_at(place, spread)
            for axis, place, spread in zip(self._predicted(at_s), _places(box), _spreads(box.width), strict=True)
        )
        self._axes, self.box, self.at_s = (x, y, size), box, at_s
        self._expected = (at_s, self._axes)

    def _predicted(self, at_s: float) -> tuple[_Axis, _Axis, _Axis]:
        if self._expected[0] != at_s:
            seconds = max(0.0, at_s - self.at_s)
            push = PLACE_PUSH_SD * self.box.width
            x, y, size = self._axes
            axes = (x.after(seconds, push), y.after(seconds, push), size.after(seconds, SIZE_PUSH_SD))
            self._expected = (at_s, axes)
        return self._expected[1]


def _places(box: Box) -> tuple[float, float, float]:
    return (*box.center, math.log(max(1.0, box.width)))


def _spreads(width: float) -> tuple[float, float, float]:
    place = (PLACE_SD * width + PLACE_SD_PX) ** 2
    return place, place, SIZE_SD**2

"""The simulated street: which vehicles there are, how they are met, and where each is at a moment.

The patrol car drives straight on in its lane (x = 0); oncoming traffic keeps to its left, parked cars stand
at its right kerb, and now and then a vehicle turns in ahead, is caught up with and drives away again.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.random import Generator

from edge_agent.camera.sim import bodies, plates
from edge_agent.camera.sim.bodies import Body, Points

ONCOMING_X_M, PARKED_X_M = -2.75, 2.45
HORIZON_M = 90.0  # vehicles farther away are not drawn: their plates are 11 px wide
_IN_SIGHT_S = 12.0  # no vehicle is drawn longer than this before or after it is nearest
_PAINTS = (
    (206, 206, 204), (236, 236, 234), (60, 58, 56), (34, 33, 32), (120, 120, 118), (150, 148, 146),
    (96, 62, 44), (52, 46, 118), (70, 84, 66), (132, 146, 160), (88, 74, 62),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Speeds:
    """The patrol car's and, from to, the oncoming traffic's, metres a second."""

    own: float = 9.0
    oncoming: tuple[float, float] = (8.0, 12.0)


TOWN = Speeds()


class Kind(StrEnum):
    """How a vehicle is met."""

    ONCOMING = "oncoming"
    PARKED = "parked"
    FOLLOWED = "followed"


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a vehicle's middle is, in the patrol car's axes; heading in radians, 0 = our way, pi = towards us."""

    x_m: float
    z_m: float
    heading: float

    def place(self, points: Points) -> Points:
        """Bring points [n, 3] from the vehicle's axes into the patrol car's."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        x = points[:, 0] * cos + points[:, 2] * sin + self.x_m
        z = -points[:, 0] * sin + points[:, 2] * cos + self.z_m
        return np.column_stack((x, points[:, 1], z))

    def turn(self, normal: Points) -> Points:
        """Bring a direction [3] from the vehicle's axes into the patrol car's."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.array(
            (normal[0] * cos + normal[2] * sin, normal[1], -normal[0] * sin + normal[2] * cos), dtype=np.float64
        )


@dataclass(frozen=True, slots=True, eq=False)
class Vehicle:
    """One vehicle of the drive, with the way it goes."""

    number: int
    kind: Kind
    body: Body
    paint: tuple[int, int, int]
    plate: plates.Plate
    roll: float
    """How crooked the plate hangs, radians."""
    near_s: float
    """When it is nearest, seconds from the start."""
    pose: Callable[[float], Pose]

    @property
    def front(self) -> bool:
        """Whether its front plate is the one we see."""
        return self.kind is Kind.ONCOMING

    def plate_corners(self, time_s: float) -> Points:
        """Give the plate's corners [4, 3] in the patrol car's axes."""
        return self.pose(time_s).place(bodies.plate_corners(self.body, front=self.front, roll=self.roll))


def _passing(x_m: float, speed_mps: float, near_s: float, heading: float) -> Callable[[float], Pose]:
    """Give the way of a vehicle that we close in on evenly; at near_s it is beside the camera."""
    return lambda time_s: Pose(x_m, speed_mps * (near_s - time_s), heading)


def _followed(start_s: float, gap_m: float, length_m: float, own_mps: float) -> Callable[[float], Pose]:
    """Give the way of a vehicle that turns in ahead, is caught up with in 6 s, followed for 5, and drives away."""
    times = start_s + np.array([0.0, 2.0, 8.0, 13.0, 19.0, 21.0])
    gaps = np.array([80.0, 70.0, gap_m, gap_m + 0.6, 70.0, 80.0])
    asides = np.array([12.0, 0.1, 0.0, 0.1, 0.2, 12.0])

    def smooth(time_s: float, values: Points) -> float:
        index = int(np.clip(np.searchsorted(times, time_s) - 1, 0, len(times) - 2))
        share = float(np.clip((time_s - times[index]) / (times[index + 1] - times[index]), 0, 1))
        share *= share * (3 - 2 * share)
        return float(values[index] * (1 - share) + values[index + 1] * share)

    def pose(time_s: float) -> Pose:
        if not times[0] <= time_s <= times[-1]:
            return Pose(0.0, 10 * HORIZON_M, 0.0)
        aside, later = smooth(time_s, asides), smooth(time_s + 0.1, asides)
        heading = float(np.arctan2(later - aside, 0.1 * own_mps))
        return Pose(aside, smooth(time_s, gaps) + length_m / 2, heading)

    return pose


@dataclass(frozen=True, slots=True)
class _Meeting:
    kind: Kind
    near_s: float


def _meetings(seconds: float, rng: Generator) -> Iterator[_Meeting]:
    """Say when which kind of vehicle is met, so that all of them have passed when the drive ends."""
    time_s = float(rng.uniform(2.5, 3.5))
    while time_s < seconds - 0.5:
        yield _Meeting(Kind.ONCOMING, time_s)
        time_s += float(rng.uniform(2.2, 5.5))
    time_s = float(rng.uniform(3.0, 4.0))
    while time_s < seconds - 0.5:
        for _ in range(int(rng.integers(1, 5))):
            yield _Meeting(Kind.PARKED, time_s)
            time_s += float(rng.uniform(1.5, 2.4))
        time_s += float(rng.uniform(0.5, 3.0))
    time_s = float(rng.uniform(0.0, 3.0))
    while time_s + 21.0 < seconds:
        yield _Meeting(Kind.FOLLOWED, time_s + 10.5)
        time_s += float(rng.uniform(23.0, 30.0))


def _populate(*, seed: int, seconds: float, speeds: Speeds) -> Iterator[Vehicle]:
    """Make the vehicles of a drive, by the time they are met; no two have the same plate."""
    rng = np.random.default_rng([seed, 1])
    taken: set[str] = set()
    for number, meeting in enumerate(sorted(_meetings(seconds, rng), key=lambda meeting: meeting.near_s)):
        plate = plates.issue(rng)
        while plate.text in taken:
            plate = plates.issue(rng)
        taken.add(plate.text)
        body = bodies.BODIES[int(rng.choice(len(bodies.BODIES), p=(0.4, 0.35, 0.15, 0.1)))]
        yield Vehicle(
            number=number,
            kind=meeting.kind,
            body=body,
            paint=_PAINTS[int(rng.integers(len(_PAINTS)))],
            plate=plate,
            roll=float(rng.normal(0, 0.012)),
            near_s=meeting.near_s,
            pose=_way(meeting, body, speeds, rng),
        )


class Traffic:
    """All vehicles of a drive; the same seed and length give the same ones."""

    def __init__(self, *, seed: int, seconds: float, speeds: Speeds = TOWN) -> None:
        self._vehicles = list(_populate(seed=seed, seconds=seconds, speeds=speeds))
        self._near_s = [vehicle.near_s for vehicle in self._vehicles]

    def ahead(self, time_s: float) -> list[Vehicle]:
        """Give the vehicles ahead of the camera and near enough to be drawn, the farthest first."""
        first, last = (bisect_left(self._near_s, time_s + away) for away in (-_IN_SIGHT_S, _IN_SIGHT_S))
        distances = [(vehicle.pose(time_s).z_m, vehicle) for vehicle in self._vehicles[first:last]]
        near = [(z, vehicle) for z, vehicle in distances if vehicle.body.length_m / 2 + 1 < z < HORIZON_M]
        return [vehicle for _, vehicle in sorted(near, key=lambda pair: -pair[0])]


def _way(meeting: _Meeting, body: Body, speeds: Speeds, rng: Generator) -> Callable[[float], Pose]:
    if meeting.kind is Kind.ONCOMING:
        speed_mps = speeds.own + float(rng.uniform(*speeds.oncoming))
        return _passing(ONCOMING_X_M + float(rng.normal(0, 0.08)), speed_mps, meeting.near_s, np.pi)
    if meeting.kind is Kind.PARKED:
        heading = float(rng.normal(0, 0.025))
        return _passing(PARKED_X_M + float(rng.normal(0, 0.07)), speeds.own, meeting.near_s, heading)
    return _followed(meeting.near_s - 10.5, float(rng.uniform(8.5, 12.5)), body.length_m, speeds.own)

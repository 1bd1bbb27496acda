"""The simulated camera: the drive as frames, at its own pace or as fast as they can be drawn."""

import threading
from collections.abc import Sequence

from edge_agent.camera.pace import Pace, Pacer
from edge_agent.camera.sim import wiper
from edge_agent.camera.sim.light import LOOKS, Light
from edge_agent.camera.sim.optics import CameraModel, Mount
from edge_agent.camera.sim.render import Renderer
from edge_agent.camera.sim.scene import TOWN, Speeds, Traffic, Vehicle
from edge_agent.camera.sim.truth import Sighting, VehicleTruth, sightings
from edge_agent.domain import Frame, Now
from edge_agent.errors import CameraError

REMEMBERED_VEHICLES = 1000
"""The truth of so many vehicles is kept, the newest: about an hour's drive."""


class SimCamera:
    """A camera on a simulated patrol drive; the same seed gives the same drive, picture by picture."""

    def __init__(
        self,
        *,
        name: str,
        now: Now,
        seed: int = 0,
        seconds: float = 60.0,
        rate_fps: float = 15.0,
        width: int = 1280,
        height: int = 720,
        pace: Pace = "recorded",
        model: CameraModel | None = None,
        speeds: Speeds = TOWN,
        light: Light = Light.DAY,
    ) -> None:
        """A model replaces width and height."""
        self._name = name
        self._now = now
        self._rate_fps = rate_fps
        self._frames = round(seconds * rate_fps)
        self._seed = seed
        self._model = model or CameraModel.sized(width, height)
        self._speeds = speeds
        self._light = light
        self._pace = pace
        self._mount = Mount(model=self._model, seed=seed)
        self._traffic = Traffic(seed=seed, seconds=seconds, speeds=speeds)
        self._lock = threading.Lock()
        self._seen: dict[Vehicle, list[Sighting]] = {}
        self._next = 0
        self._renderer: Renderer | None = None
        self._pacer: Pacer | None = None

    def open(self) -> None:
        """Begin the drive anew."""
        self._renderer = Renderer(
            model=self._model, mount=self._mount, seed=self._seed, own_mps=self._speeds.own, light=self._light
        )
        self._pacer = Pacer(pace=self._pace, now=self._now)
        self._next = 0
        with self._lock:
            self._seen.clear()

    def read(self) -> Frame | None:
        """Draw the next frame; None when the drive has ended."""
        if self._renderer is None or self._pacer is None:
            raise CameraError(f"camera {self._name}: read before it was opened")
        if self._next >= self._frames:
            return None
        number, time_s = self._next, self._next / self._rate_fps
        self._next += 1
        vehicles = self._traffic.ahead(time_s)
        image = self._renderer.draw(vehicles, frame=number, time_s=time_s)
        self._remember(vehicles, number, time_s)
        return Frame(self._name, number, self._pacer.stamp(time_s), image)

    def close(self) -> None:
        """Release the pictures; the truth stays."""
        self._renderer = self._pacer = None

    def truth(self) -> tuple[VehicleTruth, ...]:
        """Give what the frames so far have shown of each vehicle, in the order they came into view; any thread."""
        with self._lock:
            seen = [(vehicle, tuple(places)) for vehicle, places in self._seen.items()]
        return tuple(
            VehicleTruth(vehicle.number, vehicle.kind.value, vehicle.plate.text, vehicle.plate.style.region, places)
            for vehicle, places in seen
        )

    def _remember(self, vehicles: Sequence[Vehicle], number: int, time_s: float) -> None:
        blade = wiper.blade(self._model, time_s) if LOOKS[self._light].wiper else None
        seen = sightings(
            vehicles,
            self._mount.view(time_s),
            frame=number,
            time_s=time_s,
            in_front=[] if blade is None else [blade],
        )
        with self._lock:
            for vehicle in vehicles:
                if vehicle.number in seen:
                    self._seen.setdefault(vehicle, []).append(seen[vehicle.number])
            while len(self._seen) > REMEMBERED_VEHICLES:
                del self._seen[next(iter(self._seen))]

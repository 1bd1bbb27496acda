"""Draws one frame of the simulated drive: street, vehicles in perspective, plates, motion blur, lens and sensor."""

from collections.abc import Sequence

import cv2
import numpy as np

from edge_agent.camera.sim import plates, wiper
from edge_agent.camera.sim.bodies import PAINT, Points, headlamps, mesh
from edge_agent.camera.sim.light import LOOKS, Light, dim, glare, weather, without_colour
from edge_agent.camera.sim.optics import CameraModel, Mount, View
from edge_agent.camera.sim.scene import Vehicle
from edge_agent.camera.sim.sensor import Grain, smear_kernel
from edge_agent.camera.sim.street import Backdrop, Colour, flat, furnish, polygon
from edge_agent.domain import Image

_LIGHT = np.array((-0.45, 0.8, -0.4))
_SHARPEST_PX = 0.35  # a smear shorter than this does not show


class Renderer:
    """Draws frames; the same seed and time give the same picture."""

    def __init__(
        self, *, model: CameraModel, mount: Mount, seed: int, own_mps: float, light: Light = Light.DAY
    ) -> None:
        self._model = model
        self._mount = mount
        self._seed = seed
        self._own_mps = own_mps
        self._look = LOOKS[light]
        self._backdrop = Backdrop(model=model, seed=seed)
        self._sheets: dict[int, list[Image]] = {}
        self._grain = Grain(size=(model.height, model.width), gray_levels=model.noise * self._look.noise, seed=seed)

    def draw(self, vehicles: Sequence[Vehicle], *, frame: int, time_s: float) -> Image:
        """Draw the street with these vehicles, the farthest first."""
        view = self._mount.view(time_s)
        later = self._mount.view(time_s + self._model.shutter_s)
        picture = self._backdrop.show(view)
        furnish(picture, view, self._own_mps * time_s)
        picture = dim(picture, self._look.scene)
        for vehicle in vehicles:
            self._vehicle(picture, vehicle, view, later, time_s)
        self._sheets = {vehicle.number: self._sheets[vehicle.number] for vehicle in vehicles}
        return self._sense(picture, frame, time_s)

    def _vehicle(self, picture: Image, vehicle: Vehicle, view: View, later: View, time_s: float) -> None:
        corners = view.project(vehicle.plate_corners(time_s))
        moved = later.project(vehicle.plate_corners(time_s + self._model.shutter_s))
        way = (moved - corners).mean(axis=0)
        # Rows further down are exposed later, when the vehicle has gone further.
        lag = way * (self._model.readout_s / self._model.shutter_s / self._model.height)
        pixels = _body(picture, vehicle, view, time_s, scene=self._look.scene, lag=lag)
        _lay(picture, self._sheet(vehicle), corners + corners[:, 1:] * lag)
        _smear(picture, pixels, way)
        if vehicle.front and self._look.lamps:
            lamps = view.project(vehicle.pose(time_s).place(headlamps(vehicle.body)))
            across = float(np.hypot(*(lamps[1] - lamps[0])))
            glare(picture, lamps, [0.09 * across] * 2, self._look.lamps)

    def _sheet(self, vehicle: Vehicle) -> list[Image]:
        """Give a vehicle's plate in sizes that halve."""
        if vehicle.number not in self._sheets:
            rng = np.random.default_rng([self._seed, 11, vehicle.number])
            sheet = plates.draw(vehicle.plate, rng)
            sizes = [cv2.convertScaleAbs(sheet, alpha=self._look.plate * float(rng.uniform(0.72, 0.98)))]
            for _ in range(3):
                sizes.append(cv2.resize(sizes[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
            self._sheets[vehicle.number] = [np.asarray(size, np.uint8) for size in sizes]
        return self._sheets[vehicle.number]

    def _sense(self, picture: Image, frame: int, time_s: float) -> Image:
        """Soften as a lens does, expose as a camera that is late does, and add the sensor's noise."""
        picture = weather(picture, self._look, np.random.default_rng([self._seed, 17, frame]))
        if self._look.wiper and (blade := wiper.blade(self._model, time_s)) is not None:
            wiper.lay(picture, blade)
        blur = self._model.defocus_px
        soft = np.asarray(cv2.GaussianBlur(picture, (3, 3) if blur < 0.8 else (0, 0), blur), np.uint8)
        picture = dim(soft, 1 + self._model.swing * float(np.sin(0.9 * time_s) * np.sin(2.3 * time_s + 1)))
        self._grain.lay(picture, frame)
        return without_colour(picture) if self._look.gray else picture


def _body(picture: Image, vehicle: Vehicle, view: View, time_s: float, *, scene: float, lag: Points) -> Points:
    """Draw a vehicle without its plate; gives the pixels of all its points.

    scene is how bright it is beside the day, lag how far [2] what is drawn goes on in a row's time, pixels.
    """
    pose, shape = vehicle.pose(time_s), mesh(vehicle.body)
    world = pose.place(shape.points)
    pixels = view.project(world)
    pixels = pixels + pixels[:, 1:] * lag
    half_m = vehicle.body.length_m / 2
    polygon(
        picture,
        flat(view, pose.x_m - 0.98, pose.x_m + 0.98, pose.z_m - half_m - 0.1, pose.z_m + half_m),
        _lit((52, 51, 50), scene),
    )
    eye = np.array((0.0, view.model.height_m, 0.0))
    for face in shape.faces:
        normal = pose.turn(face.normal)
        if normal @ (world[face.points.start] - eye) < 0:
            light = scene * (0.62 + 0.38 * max(0.0, float(normal @ _LIGHT)))
            colour = vehicle.paint if face.colour is PAINT else face.colour
            polygon(picture, pixels[face.points], _lit(colour, light))
    return pixels


def _lit(colour: Colour, light: float) -> Colour:
    blue, green, red = (round(part * light) for part in colour)
    return blue, green, red


def _window(picture: Image, pixels: Points, margin: int) -> tuple[slice, slice] | None:
    """Give the part of the picture around the pixels; None where they lie outside."""
    height, width = picture.shape[:2]
    x1, y1 = np.clip(np.floor(pixels.min(axis=0)).astype(int) - margin, 0, (width, height))
    x2, y2 = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + margin, 0, (width, height))
    return (slice(y1, y2), slice(x1, x2)) if x2 - x1 > 1 and y2 - y1 > 1 else None


def _lay(picture: Image, sizes: list[Image], corners: Points) -> None:
    """Lay a plate on its four corners, each pixel the mean of four samples."""
    window = _window(picture, corners, margin=1)
    if window is None:
        return
    width_px = float(np.hypot(*(corners[1] - corners[0])))
    fitting = [sheet for sheet in sizes if sheet.shape[1] >= 2 * width_px]
    sheet = (fitting or sizes[:1])[-1]
    part = picture[window]
    height, width = part.shape[:2]
    target = ((corners - (window[1].start, window[0].start)) * 2).astype(np.float32)
    across, down = sheet.shape[1], sheet.shape[0]
    source = np.array([(0, 0), (across, 0), (across, down), (0, down)], np.float32)
    turn = cv2.getPerspectiveTransform(source, target)
    large = cv2.resize(part, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    cv2.warpPerspective(
        sheet, turn, (2 * width, 2 * height), dst=large, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )
    part[:] = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)


def _smear(picture: Image, pixels: Points, moved: Points) -> None:
    """Smear a vehicle along the way its plate moves in the picture while the shutter is open, pixels."""
    window = _window(picture, pixels, margin=2)
    if window is None or float(np.hypot(*moved)) < _SHARPEST_PX:
        return
    x, y = np.round(np.clip(moved, -40, 40) * 4).astype(int)
    picture[window] = cv2.filter2D(
        picture[window], -1, smear_kernel(int(x), int(y)), borderType=cv2.BORDER_REPLICATE
    )

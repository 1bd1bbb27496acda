from dataclasses import replace

import numpy as np
import pytest

from edge_agent import resources
from edge_agent.camera.sim import glyphs, plates, wiper
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.camera.sim.light import Light
from edge_agent.camera.sim.optics import CameraModel, Mount
from edge_agent.camera.sim.render import Renderer
from edge_agent.camera.sim.scene import Kind, Pose, Traffic, Vehicle
from edge_agent.camera.sim.truth import Sighting, VehicleTruth, sightings
from edge_agent.domain import ALPHABET, Box, Frame
from edge_agent.errors import CameraError
from edge_agent.vision.detector import CentreMapDetector
from edge_agent.vision.models import Runtime, load_manifest
from edge_agent.vision.reader import CtcReader
from tests.fakes import stamp

SEED = 1


def camera(
    *, seed: int = SEED, seconds: float = 20.0, rate_fps: float = 15.0, size: tuple[int, int] = (1280, 720)
) -> SimCamera:
    return SimCamera(
        name="drive", now=lambda: stamp(100), seed=seed, seconds=seconds, rate_fps=rate_fps, pace="fast",
        width=size[0], height=size[1],
    )  # fmt: skip


def frames(source: SimCamera, count: int) -> list[Frame]:
    source.open()
    taken = [source.read() for _ in range(count)]
    assert all(taken)
    return [frame for frame in taken if frame is not None]


def test_no_two_glyphs_look_alike() -> None:
    drawn = {character: glyphs.glyph(character, 48, 112, 13.0).astype(int) for character in ALPHABET}
    alike = {a + b for a in ALPHABET for b in ALPHABET if a < b and np.abs(drawn[a] - drawn[b]).mean() < 0.02 * 255}
    assert alike == set()


def test_a_glyph_fills_its_box_and_stays_inside() -> None:
    for character in ALPHABET.replace("I", "").replace("1", ""):
        columns = np.nonzero(glyphs.glyph(character, 48, 112, 13.0).max(axis=0) > 127)[0]
        rows = np.nonzero(glyphs.glyph(character, 48, 112, 13.0).max(axis=1) > 127)[0]
        assert columns[0] <= 3, character
        assert columns[-1] >= 44, character
        assert (rows[0] <= 2, rows[-1] >= 109) == (True, True), character


@pytest.mark.parametrize("style", plates.STYLES, ids=lambda style: f"{style.region}:{style.pattern}")
def test_a_plate_holds_its_whole_serial(style: plates.Style) -> None:
    widest = plates.Plate(style, style.pattern.replace("L", "W").replace("D", "8"))
    assert widest.text == "".join(character for character in widest.drawn if character in "W8")
    rng = np.random.default_rng(0)
    bare = plates.draw(plates.Plate(style, ""), np.random.default_rng(0)).astype(int)
    inked = np.abs(plates.draw(widest, rng).astype(int) - bare).max(axis=2) > 40
    columns = np.nonzero(inked.any(axis=0))[0]
    assert columns[0] > 10
    assert columns[-1] < 470
    assert inked[:, columns[0] : columns[-1]].mean() > 0.1


def test_serials_follow_the_pattern_of_their_state() -> None:
    rng = np.random.default_rng(3)
    seen = {plates.issue(rng) for _ in range(200)}
    assert {plate.style for plate in seen} == set(plates.STYLES)
    for plate in seen:
        kinds = ["D" if c.isdigit() else "L" if c.isalpha() else c for c in plate.drawn]
        assert "".join(kinds) == plate.style.pattern
        assert not set(plate.text) & set("IOQ")


def test_a_pinhole_camera_sees_things_smaller_by_their_distance() -> None:
    model = CameraModel(yaw=0.0, pitch=0.0, shake=0.0)
    view = Mount(model=model, seed=0).view(0.0)
    left, right = view.project(np.array([(-0.5, model.height_m, 20.0), (0.5, model.height_m, 20.0)]))
    assert right[0] - left[0] == pytest.approx(model.focal_px / 20)
    assert (left[0] + right[0]) / 2 == pytest.approx(model.width / 2)
    assert view.project(np.array([(0.0, 0.0, 20.0)]))[0][1] > model.height / 2


def test_the_camera_turned_to_the_left_and_up_sees_the_road_ahead_right_and_low() -> None:
    model = CameraModel(yaw=-0.1, pitch=0.05, shake=0.0)
    x, y = Mount(model=model, seed=0).view(0.0).horizon
    assert x > model.width / 2 + 300
    assert y > model.height / 2 + 150


def folded(text: str) -> str:
    """0, O and D differ by their corners alone in this lettering: telling them apart is the reader's own test."""
    return text.replace("O", "0").replace("D", "0")


def all_vehicles(traffic: Traffic, seconds: int) -> set[Vehicle]:
    return {vehicle for tenth in range(seconds * 10) for vehicle in traffic.ahead(tenth / 10)}


def test_a_drive_meets_every_kind_and_no_plate_twice() -> None:
    vehicles = all_vehicles(Traffic(seed=SEED, seconds=60), 60)
    assert {vehicle.kind for vehicle in vehicles} == set(Kind)
    assert len({vehicle.plate.text for vehicle in vehicles}) == len(vehicles) > 30


@pytest.mark.parametrize("seed", range(2))
def test_every_vehicle_met_can_be_read_before_the_drive_ends(seed: int) -> None:
    traffic, mount = Traffic(seed=seed, seconds=40), Mount(model=CameraModel(), seed=seed)
    seen: dict[int, list[Sighting]] = {}
    for number in range(40 * 15):
        vehicles = traffic.ahead(number / 15)
        places = sightings(vehicles, mount.view(number / 15), frame=number, time_s=number / 15)
        for vehicle, place in places.items():
            seen.setdefault(vehicle, []).append(place)
    truths = [VehicleTruth(n, "", "", "", tuple(places)) for n, places in seen.items()]
    assert len([truth for truth in truths if truth.readable(width_px=55)]) >= 0.9 * len(truths)


def test_a_hidden_plate_is_known_to_be_hidden() -> None:
    traffic = Traffic(seed=SEED, seconds=30)
    (farther, nearer), time_s = next(
        (pair, tenth / 10)
        for tenth in range(300)
        for pair in [traffic.ahead(tenth / 10)[-2:]]
        if len(pair) == 2 and all(vehicle.kind is Kind.PARKED for vehicle in pair)
    )
    view = Mount(model=CameraModel(), seed=SEED).view(0.0)
    behind = replace(farther, pose=lambda _: Pose(0.0, 30.0, 0.0))
    before = replace(nearer, pose=lambda _: Pose(0.0, 20.0, 0.0))
    found = sightings([behind, before], view, frame=0, time_s=time_s)
    assert found[behind.number].shown == 0.0
    assert found[before.number].shown == pytest.approx(1.0)


def test_the_true_box_is_where_the_plate_is_drawn() -> None:
    traffic, model = Traffic(seed=SEED, seconds=30), CameraModel()
    mount = Mount(model=model, seed=SEED)
    time_s = 7.0
    vehicles = traffic.ahead(time_s)
    box = sightings(vehicles, mount.view(time_s), frame=0, time_s=time_s)
    nearest = max(box, key=lambda number: box[number].shown * box[number].width_px)
    other = [
        replace(v, plate=plates.Plate(plates.STYLES[4], "W88-WWW")) if v.number == nearest else v for v in vehicles
    ]
    pictures = [
        Renderer(model=model, mount=mount, seed=SEED, own_mps=9.0).draw(street, frame=0, time_s=time_s).astype(int)
        for street in (vehicles, other)
    ]
    rows, columns = np.nonzero(np.abs(pictures[0] - pictures[1]).max(axis=2) > 12)
    changed = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert changed.iou(box[nearest].box) > 0.7


def test_the_same_seed_gives_the_same_pictures_and_another_one_others() -> None:
    first, again, other = (frames(camera(seed=seed), 3) for seed in (5, 5, 6))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[2].image, other[2].image)


def test_a_closed_camera_starts_the_drive_again() -> None:
    source = camera()
    before = frames(source, 2)
    source.close()
    after = frames(source, 2)
    assert np.array_equal(before[1].image, after[1].image)


def test_frames_are_stamped_by_the_time_of_the_drive_and_end_with_it() -> None:
    source = camera(seconds=0.4, rate_fps=10)
    taken = frames(source, 4)
    assert [frame.stamp.monotonic_s for frame in taken] == pytest.approx([100, 100.1, 100.2, 100.3])
    assert [frame.number for frame in taken] == [0, 1, 2, 3]
    assert taken[0].image.shape == (720, 1280, 3)
    assert source.read() is None


def test_a_small_sensor_sees_the_same_street() -> None:
    small = frames(camera(size=(640, 360)), 1)[0].image
    large = frames(camera(), 1)[0].image
    assert small.shape == (360, 640, 3)
    assert np.abs(small.mean(axis=(0, 1)) - large.mean(axis=(0, 1))).max() < 6


def test_the_truth_tells_of_the_frames_that_were_shown_and_no_more() -> None:
    source = camera()
    assert source.truth() == ()
    frames(source, 30)
    shown = [seen.frame for truth in source.truth() for seen in truth.sightings]
    assert (min(shown), max(shown)) == (0, 29)


def test_reading_before_opening_is_an_error() -> None:
    with pytest.raises(CameraError, match="drive: read before it was opened"):
        camera().read()


def test_the_networks_read_the_drawn_plates_as_they_read_photographs() -> None:
    manifest = load_manifest(resources.path("models"))
    detector = CentreMapDetector.load(manifest.detector, runtime=Runtime(threads=1))
    reader = CtcReader.load(manifest.reader, runtime=Runtime(threads=1))
    source = camera(seed=2, seconds=24, rate_fps=5)
    read: dict[int, list[tuple[Box, str]]] = {}
    source.open()
    while (frame := source.read()) is not None:
        found = reader.read(frame.image, detector.find(frame.image))
        read[frame.number] = [(one.detection.box, one.characters.text()) for one in found]
    wide = [(truth.text, seen) for truth in source.truth() for seen in truth.readable()]
    right = [
        any(box.iou(seen.box) >= 0.3 and folded(found) == folded(text) for box, found in read[seen.frame])
        for text, seen in wide
    ]
    assert len(wide) > 30
    assert sum(right) / len(right) > 0.9


def test_the_wiper_hides_plates_in_the_rain_and_the_truth_knows() -> None:
    rain = SimCamera(
        name="drive", now=lambda: stamp(100), seed=SEED, seconds=8.0, rate_fps=15.0, pace="fast", light=Light.RAIN
    )
    dry = camera(seconds=8.0)
    wet_frames, dry_frames = frames(rain, 120), frames(dry, 120)
    hidden = 0
    for wet, whole in zip(rain.truth(), dry.truth(), strict=True):
        for one, other in zip(wet.sightings, whole.sightings, strict=True):
            assert one.shown <= other.shown
            if other.shown < 0.99 or one.shown > 0.15:
                continue
            hidden += 1
            x, y = (round(middle) for middle in one.box.center)
            patch = slice(y - 2, y + 3), slice(x - 3, x + 4)
            assert wet_frames[one.frame].image[patch].mean() < 80 < dry_frames[one.frame].image[patch].mean()
    assert hidden >= 2


def test_the_wiper_rests_between_its_strokes() -> None:
    blades = [wiper.blade(CameraModel(), number / 15) for number in range(200)]
    assert 0.05 < sum(one is None for one in blades) / len(blades) < 0.3

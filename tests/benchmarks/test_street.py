"""The simulated street as an instrument."""

import sys
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from benchmarks import drive, drive_plot, street
from edge_agent.camera.sim.light import Light
from edge_agent.camera.sim.truth import Sighting, VehicleTruth
from edge_agent.domain import Box, Read
from edge_agent.errors import EdgeAgentError
from tests import fakes
from tests.contract.reads import make_read

PLATE = Box(100, 100, 180, 140)


def vehicle(number: int, text: str, first: int, *, width: float = 80) -> VehicleTruth:
    box = Box(PLATE.x1, PLATE.y1, PLATE.x1 + width, PLATE.y2)
    seen = tuple(Sighting(frame, frame / 15, box, 1.0) for frame in range(first, first + 5))
    return VehicleTruth(number, "oncoming", text, "us-ct", seen)


def read(number: int, text: str, frame: int, *, revision: int = 0) -> tuple[float, Read]:
    made = replace(make_read(text, id=UUID(int=number)), box=PLATE, captured_frame=frame, revision=revision)
    return frame / 15 + 1.5, replace(made, last=fakes.stamp(frame / 15))


def said(one: Read) -> str:
    return one.text


def test_right_wrong_twice_and_of_nothing_are_told_apart() -> None:
    truth = [vehicle(1, "AAA111", 0), vehicle(2, "BBB222", 20), vehicle(3, "CCC333", 40)]
    truth.append(vehicle(4, "FAR", 60, width=30))
    given = [read(1, "AAA111", 2), read(2, "BBB22Z", 22), read(3, "BBB222", 23), read(4, "SHOP", 90)]
    found = street.judged(given, truth, single=said)
    assert (found.plates, found.captured, found.right) == ({"oncoming": 3}, {"oncoming": 2}, {"oncoming": 2})
    assert (found.wrong, found.duplicates, found.false_reads) == (0, 1, 1)
    assert found.delay == "1.50"


def test_a_correction_counts_in_place_of_what_it_corrects() -> None:
    given = [read(1, "AAA11I", 2), read(1, "AAA111", 4, revision=1)]
    found = street.judged(given, [vehicle(1, "AAA111", 0)], single=said)
    assert (found.right, found.wrong, found.duplicates, len(found.delays_s)) == ({"oncoming": 1}, 0, 0, 1)


def test_plates_are_told_apart_by_their_widest_sight_and_by_what_hid_them() -> None:
    truth = [vehicle(1, "AAA111", 0, width=45), vehicle(2, "BBB222", 20, width=80), vehicle(3, "C", 40, width=20)]
    behind = replace(truth[1].sightings[2], shown=0.2)
    truth[1] = replace(truth[1], sightings=(*truth[1].sightings[:2], behind, *truth[1].sightings[3:]))
    given = [read(1, "AAA111", 2), read(2, "BBB22Z", 23)]
    found = street.groups([street.judged(given, truth, single=lambda one: one.text.replace("Z", "2"))])
    rows = {name: street.passes_row(passes) for group in found.values() for name, passes in group.items() if passes}
    assert rows == {
        "32 to 50 px": ("1", "1.000", "1.000", "1.000"),
        "80 to 120 px": ("1", "1.000", "0.000", "1.000"),
        "hidden for a while": ("1", "1.000", "0.000", "1.000"),
        "in sight all the time": ("1", "1.000", "1.000", "1.000"),
    }


def test_a_drive_is_read_and_drawn(tmp_path: Path) -> None:
    turns: list[int] = []
    found = street.drive(street.STANDARD, seconds=4, seed=1, advance=lambda: turns.append(1))
    assert len(turns) == 60
    assert sum(found.right.values()) == sum(found.plates.values()) == 1
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib (the training extra)")
    outcomes = {one: found for axis in street.VARIED.values() for one in axis}
    drive_plot.drives(outcomes, tmp_path / "drive.svg")
    assert b"closing speed" in (tmp_path / "drive.svg").read_bytes()
    with pytest.raises(EdgeAgentError, match="cannot be written"):
        drive_plot.drives(outcomes, tmp_path / "no" / "drive.svg")


@pytest.mark.parametrize("light", Light)
def test_every_light_shows_the_same_street_otherwise(light: Light) -> None:
    def picture(chosen: Light) -> tuple[float, float]:
        camera = street.camera(replace(street.STANDARD, light=chosen), seconds=1, seed=1)
        camera.open()
        frame = camera.read()
        assert frame is not None
        return float(frame.image.mean()), float(np.ptp(frame.image, axis=2).max())

    (day, day_colour), (other, colour) = picture(Light.DAY), picture(light)
    assert (other < 0.6 * day) == (light in (Light.NIGHT, Light.INFRARED))
    assert day_colour > 50
    assert (colour == 0) == (light is Light.INFRARED)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "--seconds should be 1 to 3600"),
        (["--stills", "us.csv", "--plot", "a.svg"], "--plot is of the simulated street alone"),
        (["--runs", "us.csv", "--peer", "a.py"], "--peer is of the simulated street and of photographs"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        sys.exit(drive.main(arguments))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_peer_that_is_missing_is_said_before_the_drive(capsys: pytest.CaptureFixture[str]) -> None:
    assert drive.main(["--peer", "nowhere.py"]) == 1
    assert capsys.readouterr().err == "drive: nowhere.py: there is no such reader script\n"

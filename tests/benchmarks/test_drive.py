"""Photographs that come nearer, and what is made of them."""

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import drive
from benchmarks.approach import Approach, Ride, recorded, scene
from benchmarks.cars import Car
from edge_agent.camera.sim import plates
from edge_agent.domain import Box
from tests.benchmarks.scripts import script

PLACE = Box(300, 220, 460, 300)


@pytest.fixture
def parked(tmp_path: Path) -> Path:
    """A labelled set of one photograph: a plate on a gray car."""
    rng = np.random.default_rng(4)
    picture = np.full((480, 854, 3), 90, np.uint8)
    picture[160:360, 180:600] = 60
    plate = plates.Plate(plates.STYLES[0], "AB 12345")
    size = (int(PLACE.width), int(PLACE.height))
    picture[220:300, 300:460] = cv2.resize(plates.draw(plate, rng), size, interpolation=cv2.INTER_AREA)
    (tmp_path / "lot").mkdir()
    cv2.imwrite(str(tmp_path / "lot/0.png"), picture)
    table = tmp_path / "lot.csv"
    table.write_text(f"image,x,y,w,h,text\nlot/0.png,300,220,{size[0]},{size[1]},AB12345\n", encoding="utf-8")
    return table


def frames(seed: int, *, seconds: float = 0.5) -> tuple[list[np.ndarray], list[Box]]:
    photograph = np.random.default_rng(0).integers(0, 255, (201, 301, 3)).astype(np.uint8)
    ride = Ride(seconds=seconds)
    seen = scene(photograph, Box(100, 80, 180, 120))
    images, places = zip(*Approach(seen, ride=ride, last_width_px=1e9, seed=seed).frames(), strict=True)
    return list(images), list(places)


def test_the_plate_grows_from_its_first_width_to_its_own_as_at_an_even_speed() -> None:
    _, places = frames(seed=1)
    widths = np.array([one.width for one in places])
    assert len(widths) == 15
    assert widths[0] == pytest.approx(26, abs=1)
    assert 26 < widths[7] < (26 + 80) / 2
    assert np.diff(1 / widths) == pytest.approx([(1 / 80 - 1 / 26) / 15] * 14, rel=0.15)


def test_the_same_seed_gives_the_same_ride_and_another_seed_another() -> None:
    (one, _), (same, _), (other, _) = frames(seed=1), frames(seed=1), frames(seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[5], other[5])


def test_a_recording_has_all_frames_a_little_worse() -> None:
    images, _ = frames(seed=1, seconds=0.2)
    (clip, size), (_, smaller) = (recorded(images, rate_fps=30, quality=one) for one in (27, 40))
    assert size > smaller
    assert [one.shape for one in clip] == [one.shape for one in images]
    assert 0 < np.abs(clip[3].astype(int) - images[3]).mean() < 40


def test_a_plate_that_comes_nearer_is_read_once(parked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        drive.main(["--stills", str(parked), "--wrong", "--end-px", "90", "inf", "--rate-factor", "20", "27"]) == 0
    )
    out = capsys.readouterr().out
    rows = {
        line.split("  ")[0]: " ".join(line.split("  ")[1:]).split() for line in out.splitlines() if "  " in line
    }
    assert all(f"to {end}, CRF {factor}" in out for end in ("90 px", "its own") for factor in (20, 27))
    assert rows["read right"] == ["1.0000", "(1", "of", "1)"] * 4
    assert rows["duplicates"] == ["0"] * 4
    better, worse = (float(one) for one in rows["Mbit/s at 1280x720"][:2])
    assert better > worse


SURE = """
import json, sys
for path in sys.argv[1:]:
    number = int(path[-8:-4])
    texts = [("AB12345", 0.9 if number < 3 else 0.7), ("TAX1", 0.9 if number in (5, 50) else 0.1), ("", 0.9)]
    found = [{"box": [0, 0, 10, 5], "text": text, "confidence": share} for text, share in texts]
    print(json.dumps({"image": path, "plates": found, "timing_ms": {"decode": 1, "detect": 30, "ocr": 10}}))
"""


def test_beside_it_stands_another_reader_whose_frames_agree(
    parked: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert drive.main(["--stills", str(parked), "--peer", str(script(tmp_path, SURE))]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("the peer")]
    assert [line.split()[-4] for line in lines] == ["1.0000", "1.0000", "0.0000"]


@pytest.mark.parametrize(
    ("reads", "right", "others"),
    [(("AB12", "AB12"), 2, 0), (("A812",), 0, 1), (("ABO12", "X1"), 0, 2), ((), 0, 0)],
)
def test_what_a_car_gave_is_told_apart(reads: Sequence[str], right: int, others: int) -> None:
    car = Car("a.png", "AB12", tuple(reads), ("AB1Z", "AB12"), mbit_s=4.0)
    assert (car.right, len(car.others), car.single_right) == (right, others, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stills", "none.csv"], "none.csv: the truth cannot be read: No such file or directory"),
        (["--stills", "lot.csv", "--cars", "0"], "--cars should be 1 or more (see --help)"),
        (["--stills", "lot.csv", "--end-px", "20"], "--end-px should be 55 or more (see --help)"),
        (["--stills", "lot.csv", "--rate-factor", "60"], "--rate-factor should be 0 to 51 (see --help)"),
        (["--stills", "lot.csv", "--peer", "none.py"], "none.py: there is no such reader script"),
        (["--stills", "gone.csv"], "lot/1.png: no picture that can be read"),
        (
            ["--stills", "outside.csv"],
            "lot/0.png: the label at x, y, w, h 900, 220, 160, 80 lies outside the 854 x 480 pixels",
        ),
        (["--stills", "small.csv"], "small.csv: no picture with one plate of 55 px and a sure text"),
    ],
)
def test_what_is_wrong_is_one_line(
    parked: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(parked.parent)
    Path("gone.csv").write_text(parked.read_text().replace("0.png", "1.png"))
    Path("outside.csv").write_text("image,x,y,w,h,text\nlot/0.png,900,220,160,80,AB12345\n")
    Path("small.csv").write_text("image,x,y,w,h,text\nlot/0.png,300,220,40,20,AB12345\n")
    with pytest.raises(SystemExit) as end:
        sys.exit(drive.main(arguments))
    assert end.value.code == (2 if "--help" in said else 1)
    assert capsys.readouterr().err == f"drive: {said}\n"

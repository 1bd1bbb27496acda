"""Rendered and worsened plates, detector windows and their maps."""

import math
import re
import string
from pathlib import Path

import numpy as np
import pytest

from training import boxes, degrade, scenes
from training.shapes import READER_INPUT

pytest.importorskip("PIL", reason="rendering needs pillow (the training extra)")
from training import fonts, glyphs, grounds, render, vocabulary

FONTS = fonts.fonts(Path(__file__).parent)  # where there are none: only those of the system
needs_fonts = pytest.mark.skipif(not FONTS, reason="no font of the known families is installed")


@needs_fonts
def test_rendered_plates_have_their_size_and_a_readable_text() -> None:
    rng = np.random.default_rng(0)
    printer = render.Printer(fonts=FONTS)
    for _ in range(60):
        plate = printer.plate(rng)
        assert plate.image.dtype == np.uint8
        assert grounds.PLATE_HEIGHT <= plate.image.shape[0] <= 1.7 * grounds.PLATE_HEIGHT
        assert 2 <= len(plate.text) <= 8
        assert set(plate.text) <= set(string.ascii_uppercase + string.digits)
        assert not (plate.folded and "O" in plate.text)
        assert plate.image.std() > 5


@needs_fonts
def test_other_characters_give_another_picture() -> None:
    assert not np.array_equal(glyphs.mask(FONTS[0], "A"), glyphs.mask(FONTS[0], "B"))


def test_no_fonts_is_said_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"python -m training.fonts DIR"):
        render.Printer(fonts=[])


def test_a_folder_of_fonts_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere: no such folder of fonts"):
        fonts.fonts(tmp_path / "nowhere")


def test_serials_follow_their_pattern() -> None:
    rng = np.random.default_rng(0)
    text = vocabulary.serial(("LLNNN",), rng)
    assert text[:2].isalpha()
    assert text[2:].isdigit()


def test_districts_stand_before_their_serials() -> None:
    rng = np.random.default_rng(0)
    texts = [vocabulary.district_serial(rng) for _ in range(300)]
    assert all(4 <= len(text) <= 8 for text in texts)
    assert any(re.fullmatch(r"IF\d\d[A-Z]{3}", text) for text in texts)
    assert not any(re.fullmatch(r"F\d\d[A-Z]{3}", text) for text in texts)


@needs_fonts
def test_where_1_is_a_bar_it_looks_like_i_and_still_says_1() -> None:
    printer, rng = render.Printer(fonts=FONTS), np.random.default_rng(0)
    style = printer._style("A1", rng, FONTS, bars=1.0)
    while not style.bars:  # a font whose I has serifs
        style = printer._style("A1", rng, FONTS, bars=1.0)
    assert [style.drawn(one) for one in "A1I7"] == ["A", "I", "I", "7"]
    assert style.label("A1I7") == "A1I7"
    assert not printer._style("A1", rng, FONTS).bars


@pytest.mark.parametrize("seed", range(20))
def test_worsening_gives_the_readers_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plate = rng.integers(0, 255, (128, 256), np.uint8)
    for out in (
        degrade.rendered(plate, rng),
        degrade.photographed(plate, None, rng),
        degrade.photographed(plate, (30.0, 20.0, 150.0, 70.0), rng),
        degrade.photographed(plate[:9, :14], None, rng),
        degrade.clean(plate, rng),
    ):
        assert out.shape == READER_INPUT
        assert out.dtype == np.uint8


def test_a_lamp_brightens_and_rain_blurs_but_only_in_places() -> None:
    rng = np.random.default_rng(4)
    stripes = np.tile(np.array([60, 120], np.float32), (64, 80))
    lit = degrade._glare(stripes.copy(), rng) - stripes
    assert lit.min() >= 0
    assert lit.max() > 20 > np.median(lit)
    rained = next(one for one in (degrade._drops(stripes, rng) for _ in range(1000)) if one is not stripes)
    changed = np.abs(rained - stripes)
    assert changed.max() > 10
    assert (changed < 1).mean() > 0.1


def test_the_map_decodes_to_the_box_it_was_drawn_from() -> None:
    box = (101.0, 87.0, 66.0, 31.0)
    target = scenes.truth_map([box], np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    target[0] = np.log(np.clip(target[0], 1e-4, 1 - 1e-4) / (1 - np.clip(target[0], 1e-4, 1 - 1e-4)))
    [found] = boxes.decode(target, 0.9)
    assert (found.x0, found.y0) == pytest.approx((101, 87), abs=0.01)
    assert (found.x1 - found.x0, found.y1 - found.y0) == pytest.approx((66, 31), abs=0.01)


def test_a_plate_outside_the_window_is_not_drawn() -> None:
    target = scenes.truth_map([(900.0, 20.0, 60.0, 30.0)], np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    assert not target.any()


@pytest.fixture(scope="module")
def windows() -> scenes.Windows:
    if not FONTS:
        pytest.skip("no font of the known families is installed")
    return scenes.Windows(render.Printer(fonts=FONTS), np.random.default_rng(1))


def test_windows_keep_their_size_wherever_they_fall(windows: scenes.Windows) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (50, 400), np.uint8)
    for scene in (scenes.Scene(image, ((380.0, 10.0, 19.0, 9.0),), 1.0), scenes.Scene(image, (), 1.0)):
        for _ in range(10):
            seen, target = windows.draw(scene, rng)
            assert seen.shape == (scenes.WINDOW, scenes.WINDOW)
            assert target.shape == (5, scenes.CELLS, scenes.CELLS)


def test_a_pasted_plate_keeps_to_its_corners_and_to_the_light_there() -> None:
    scene = np.tile(np.array([60, 90], np.float32), (scenes.WINDOW, scenes.WINDOW // 2))
    before = scene.copy()
    plate = np.random.default_rng(0).integers(0, 255, (128, 256), np.uint8)
    scenes.paste(scene, plate, np.array([[100, 80], [180, 80], [180, 120], [100, 120]], np.float32))
    inside = scene[81:119, 101:179]
    assert not np.array_equal(inside, before[81:119, 101:179])
    assert inside.mean() == pytest.approx(75, abs=2)
    scene[79:122, 99:182] = before[79:122, 99:182]
    assert np.array_equal(scene, before)


def test_a_plate_pasted_outside_changes_nothing() -> None:
    scene = np.zeros((scenes.WINDOW, scenes.WINDOW), np.float32)
    corners = np.array([[900, 80], [980, 80], [980, 120], [900, 120]], np.float32)
    scenes.paste(scene, np.full((128, 256), 200, np.uint8), corners)
    assert not scene.any()


@pytest.mark.parametrize(("degrees", "share"), [(0, 0.5), (3, 0.5), (30, 1.0)])
def test_a_tilted_plate_is_boxed_whole(degrees: float, share: float) -> None:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.array([[c, -s, 150 - 100 * c + 100 * s], [s, c, 150 - 100 * s - 100 * c]], np.float32)
    target = scenes.truth_map([(60.0, 85.0, 80.0, 30.0)], matrix)
    cell = np.unravel_index(target[0].argmax(), target[0].shape)
    wide, high = 16 * math.exp(target[3][cell]), 8 * math.exp(target[4][cell])
    assert wide == pytest.approx(80 * c + share * 30 * s, abs=0.1)
    assert high == pytest.approx(30 * c + share * 80 * s, abs=0.1)


def test_letterbox_puts_the_picture_at_the_top_left() -> None:
    fitted, scale = boxes.letterbox(np.full((100, 400), 200, np.uint8), (384, 640))
    assert fitted.shape == (384, 640)
    assert scale == pytest.approx(1.6)
    assert fitted[:160].min() == 200
    assert fitted[160:].max() == 0


def test_double_peaks_are_one_box() -> None:
    output = np.full((5, 10, 10), 0, np.float32)
    output[0] = -9
    output[0, 4, 4], output[0, 4, 6] = 3, 2
    output[3:] = math.log(4)
    assert [round(f.score, 3) for f in boxes.decode(output)] == [0.953]


@pytest.mark.parametrize(("degrees", "wide", "high"), [(0, 100, 50), (30, 112, 93)])
def test_a_plate_at_a_width_and_a_tilt_fills_the_box_around_it(degrees: float, wide: int, high: int) -> None:
    plate = np.full((128, 256), 255, np.uint8)
    seen = degrade.at(plate, width_px=100, angle=math.radians(degrees), rng=np.random.default_rng(0))
    assert seen.shape[1] == pytest.approx(wide, abs=1)
    assert seen.shape[0] == pytest.approx(high, abs=1)
    assert seen[seen.shape[0] // 2, seen.shape[1] // 2] == 255

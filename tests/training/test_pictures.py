"""Rendered and worsened plates, detector windows and their maps."""

import math
import string
from pathlib import Path

import numpy as np
import pytest

from training import boxes, degrade, scenes
from training.shapes import READER_INPUT

pytest.importorskip("PIL", reason="rendering needs pillow (the training extra)")
from training import fonts, glyphs, render, vocabulary

FONTS = fonts.fonts(Path("no folder of fonts"))
needs_fonts = pytest.mark.skipif(not FONTS, reason="no font of the known families is installed")


@needs_fonts
def test_rendered_plates_have_their_size_and_a_readable_text() -> None:
    rng = np.random.default_rng(0)
    printer = render.Printer(fonts=FONTS)
    for _ in range(60):
        plate = printer.plate(rng)
        assert plate.image.dtype == np.uint8
        assert plate.image.shape[0] == render.PLATE_HEIGHT
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


def test_serials_follow_their_pattern() -> None:
    rng = np.random.default_rng(0)
    text = vocabulary.serial(("LLNNN",), rng, free=0.0)
    assert text[:2].isalpha()
    assert text[2:].isdigit()


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


def test_windows_keep_their_size_wherever_they_fall() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (50, 400), np.uint8)
    for scene in (scenes.Scene(image, ((380.0, 10.0, 19.0, 9.0),), 1.0), scenes.Scene(image, (), 1.0)):
        for _ in range(10):
            seen, target = scenes.window(scene, rng)
            assert seen.shape == (scenes.WINDOW, scenes.WINDOW)
            assert target.shape == (5, scenes.CELLS, scenes.CELLS)


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

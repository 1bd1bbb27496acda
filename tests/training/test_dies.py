"""Characters of dies: each its own shape, whatever the proportions."""

import re
import string
from itertools import combinations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("PIL", reason="pip install -e '.[training]'")

from training import bluebird, fonts, grounds, render
from training.dies import Die, die

CHARACTERS = (string.digits + string.ascii_uppercase).replace("O", "")  # as 0


def dies(seed: int) -> Die:
    return die(np.random.default_rng(seed))


def fitted(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(ink, (24, 48), interpolation=cv2.INTER_AREA), np.float32)


@pytest.mark.parametrize("seed", range(12))
def test_ink_reaches_all_edges_of_its_box_and_is_no_blot(seed: int) -> None:
    for one in CHARACTERS + "O":
        ink = dies(seed).ink(one)
        edges = (ink[:2], ink[-2:], ink[:, :2], ink[:, -2:])
        assert all(edge.max() > 0.5 for edge in edges), one
        assert ink.max() <= 1, one
        if one not in "1I":
            assert 0.1 < ink.mean() < 0.8, one


@pytest.mark.parametrize("seed", range(12))
def test_no_two_characters_are_drawn_alike(seed: int) -> None:
    shapes = {one: fitted(dies(seed).ink(one)) for one in CHARACTERS}
    nearest = min(
        combinations(CHARACTERS, 2), key=lambda two: float(np.abs(shapes[two[0]] - shapes[two[1]]).mean())
    )
    assert np.abs(shapes[nearest[0]] - shapes[nearest[1]]).mean() > 0.01, nearest


def test_an_8_is_rounded_on_both_sides_and_a_b_on_the_right_alone() -> None:
    for seed in range(12):
        eight, b = fitted(dies(seed).ink("8")), fitted(dies(seed).ink("B"))
        assert eight[0, 0] < 0.2 < 0.8 * b[1, 1], seed
        assert np.allclose(eight[:, :12], eight[:, :11:-1], atol=0.35), seed


def test_another_seed_is_another_set_of_dies() -> None:
    assert dies(1) != dies(2)
    assert dies(1) == dies(1)


FONTS = fonts.fonts(None)


@pytest.mark.skipif(not FONTS, reason="no font of the known families is installed")
def test_missouris_plate_says_what_stands_on_it_without_the_sticker_in_its_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(render, "BLUEBIRDS", 1.0)
    printer, rng = render.Printer(fonts=FONTS), np.random.default_rng(5)
    plates = [printer.american(rng) for _ in range(20)]
    assert all(re.fullmatch(r"[A-Z0]{2}\d[A-Z0]\d[A-Z0]", one.text) for one in plates)
    assert {one.region for one in plates} == {bluebird.REGION, "us"}  # us: a frame hides the name
    assert all(one.image.shape[0] == grounds.PLATE_HEIGHT for one in plates)

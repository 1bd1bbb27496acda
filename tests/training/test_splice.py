"""New texts from a plate's own characters."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from training import splice
from training.splice import Cut, Parted

Gray = NDArray[np.uint8]

BOX = (10.0, 8.0, 120.0, 30.0)
TEXT = "AB12"
TONES = (10, 60, 110, 160)
CENTRES = (25.0, 55.0, 85.0, 115.0)
BETWEEN = (10, 40, 70, 100, 130)
CUT = Cut(BETWEEN, 0.0)


def plate(falls: float = 0.0) -> Gray:
    """Four characters 30 px apart in BOX, each of its own tone, on a bright ground."""
    image = np.full((50, 140), 220, np.uint8)
    for k, tone in enumerate(TONES):
        for x in range(14 + 30 * k, 36 + 30 * k):
            top = 18 + round(falls * (x - 70))
            image[top : top + 10, x] = tone
    return image


def tones(image: Gray, columns: tuple[int, ...]) -> list[int]:
    return [int(image[:, a:b].min()) for a, b in itertools.pairwise(columns)]


def test_columns_run_between_the_characters() -> None:
    cut = splice.cut(plate(), BOX, CENTRES)
    assert cut is not None
    assert cut.columns[1:-1] == pytest.approx([40, 70, 100], abs=4)
    assert tones(plate(), cut.columns) == list(TONES)
    assert cut.falls == pytest.approx(0)


def test_letters_stay_letters_and_the_text_says_what_is_seen() -> None:
    rng = np.random.default_rng(0)
    texts = set()
    for _ in range(80):
        image, text = splice.spliced(Parted(plate(), BOX, TEXT, CUT), [], rng)
        assert text[:2].isalpha()
        assert text[2:].isdigit()
        assert "".join(TEXT[TONES.index(tone)] for tone in tones(image, BETWEEN)) == text
        texts.add(text)
    assert len(texts) == 16


def test_what_is_beside_the_characters_stays() -> None:
    image, _ = splice.spliced(Parted(plate(), BOX, TEXT, CUT), [], np.random.default_rng(0))
    assert np.array_equal(image[:, :10], plate()[:, :10])
    assert np.array_equal(image[:6], plate()[:6])
    assert image.shape == plate().shape


@pytest.mark.parametrize("falls", [-0.2, 0.0, 0.2])
def test_a_leaning_row_keeps_its_line(falls: float) -> None:
    cut = splice.cut(plate(falls), BOX, CENTRES)
    assert cut is not None
    assert cut.falls == pytest.approx(falls, abs=0.05)
    image, text = splice.spliced(Parted(plate(falls), BOX, TEXT, Cut(BETWEEN, falls)), [], np.random.default_rng(3))
    assert text != TEXT
    assert splice.slope(image[8:38, 10:130]) == pytest.approx(falls, abs=0.05)


@pytest.mark.parametrize("centres", [(25.0,), (25.0, 26.0, 27.0), (1.0, 31.0), (100.0, 139.0)])
def test_pieces_that_no_character_fits_are_left_alone(centres: tuple[float, ...]) -> None:
    assert splice.cut(plate(), BOX, centres) is None


def test_an_emblem_in_place_of_a_character_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "EMBLEMS", 1.0)
    monkeypatch.setattr(splice, "FEWEST", 4)
    seen = set()
    for seed in range(40):
        image, text = splice.spliced(Parted(plate(), BOX, TEXT, CUT), [], np.random.default_rng(seed))
        assert len(text) == len(TEXT) - 1
        assert all(TONES[TEXT.index(character)] in image for character in text)
        seen.add(text)
    assert len(seen) > 8


def test_a_short_text_keeps_all_its_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "EMBLEMS", 1.0)
    for seed in range(10):
        assert len(splice.spliced(Parted(plate(), BOX, TEXT, CUT), [], np.random.default_rng(seed))[1]) == 4


def kin(text: str, *, tones: tuple[int, ...], ground: int, falls: float = 0.0) -> Parted:
    """A plate as plate() is, twice as large, that says something else."""
    image = np.full((100, 280), ground, np.uint8)
    for k, tone in enumerate(tones):
        image[36:56, 28 + 60 * k : 72 + 60 * k] = tone
    x, y, w, h = BOX
    return Parted(image, (2 * x, 2 * y, 2 * w, 2 * h), text, Cut(tuple(2 * c for c in BETWEEN), falls))


def test_kin_lend_their_characters_in_size_and_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "FROM_KIN", 1.0)
    lender = kin("CD34", tones=(20, 20, 20, 20), ground=200)
    own = Parted(plate(), BOX, TEXT, CUT)
    for seed in range(10):
        image, text = splice.spliced(own, [lender], np.random.default_rng(seed))
        assert set(text[:2]) <= set("CD")
        assert set(text[2:]) <= set("34")
        assert image.shape == own.image.shape
        assert image[20, 20] == pytest.approx(TONES[0], abs=12)
        assert image[12, 20] == pytest.approx(220, abs=3)


@pytest.mark.parametrize(
    "lender",
    [
        pytest.param(kin("CD34", tones=(220, 220, 220, 220), ground=20), id="bright on dark"),
        pytest.param(kin("CD34", tones=(20, 20, 20, 20), ground=200, falls=0.2), id="leaning"),
        pytest.param(kin("5555", tones=(20, 20, 20, 20), ground=200), id="digits alone"),
    ],
)
def test_what_does_not_match_lends_nothing(lender: Parted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "FROM_KIN", 1.0)
    for seed in range(10):
        _, text = splice.spliced(Parted(plate(), BOX, TEXT, CUT), [lender], np.random.default_rng(seed))
        assert set(text[:2]) <= set("AB")

"""What compression leaves of a plate."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("av", reason="streams need PyAV (the training extra)")

from training import codec


def letters() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Bars on a plate of an odd size, as no codec likes it."""
    image = np.full((27, 61), 200, np.uint8)
    image[6:21, 5:57:6] = 30
    image[6:21, 7:57:6] = 30
    return image


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_keeps_the_size_the_light_and_the_place(seed: int) -> None:
    image = letters()
    out = codec.h264(image, 20, np.random.default_rng(seed))
    assert out.shape == image.shape
    assert abs(float(out.mean()) - float(image.mean())) < 4
    assert np.corrcoef(image.ravel(), out.ravel())[0, 1] > 0.95


def test_a_poor_stream_takes_more_than_a_good_one() -> None:
    image = letters().astype(float)
    errors = [np.abs(codec.h264(letters(), crf, np.random.default_rng(1)) - image).mean() for crf in (18, 28, 40)]
    assert errors == sorted(errors)
    assert errors[-1] > 2 * errors[0]


def test_jpeg_likewise() -> None:
    image = letters().astype(float)
    assert np.abs(codec.jpeg(letters(), 10) - image).mean() > np.abs(codec.jpeg(letters(), 95) - image).mean()

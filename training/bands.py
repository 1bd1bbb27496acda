"""How small, how tilted and how lit a plate may be to be read: python -m training.bands --data DIR --plot FILE.svg.

Rendered plates whose truth is known, with serials that no network was shown; read by the agent's own code at the
true box. What photographs give is in training.evaluate.
"""

from __future__ import annotations

import training.needs  # noqa: F401 - first of all: it says what is missing

# isort: split

import argparse
import itertools
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_agent.domain import folded
from edge_agent.errors import ModelError
from training import codec, degrade, plots
from training.data import DataError, data_folder
from training.files import plain
from training.fonts import fonts
from training.render import Printer, printer
from training.shipped import Models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from training.data import Gray
    from training.render import Plate

    Floats = NDArray[np.float32]
    Seen = Callable[[Plate, np.random.Generator], Floats]

PLATES = 300  # a point
WIDTHS_PX = range(30, 211, 20)  # the middle of each band
BAND_PX = 20
TILTS_DEGREES = range(-30, 31, 10)
USUAL_PX = 110
NOISE = 3.0  # of 255, everywhere: no camera is without
LIGHTS: Mapping[str, Callable[[Floats], Floats]] = {
    "even": lambda image: image,
    "a tenth of the light": lambda image: image * np.float32(0.1),
    "burnt out": lambda image: image * np.float32(1.35) + np.float32(40),
    "half in shadow": lambda image: image * _half(image.shape, 0.35),
    "contrast of a fifth": lambda image: image * np.float32(0.2) + np.float32(90),
    "light on dark": lambda image: np.float32(255) - image,
    "moved by 4 px": lambda image: np.asarray(cv2.blur(image, (4, 1)), np.float32),
    "out of focus by 1.2 px": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.2), np.float32),
    "JPEG of quality 25": lambda image: codec.jpeg(_bytes(image), 25).astype(np.float32),
    "H.264, rate factor 28": lambda image: codec.h264(_bytes(image), 28, np.random.default_rng(0)).astype(
        np.float32
    ),
}


def _streamed(image: Gray) -> Gray:
    return codec.h264(image, 28, np.random.default_rng(0))


def _half(shape: tuple[int, ...], share: float) -> Floats:
    light = np.ones(shape, np.float32)
    light[:, : shape[1] // 2] = share
    return light


def _bytes(image: Floats) -> NDArray[np.uint8]:
    return np.clip(image, 0, 255).astype(np.uint8)


def at(width_px: float, degrees: float = 0.0, light: str = "even") -> Seen:
    """How a camera sees plates of a width, tilted, in one of LIGHTS."""
    angle = math.radians(degrees)
    return lambda plate, rng: LIGHTS[light](degrade.at(plate.image, width_px=width_px, angle=angle, rng=rng))


def within(middle: int) -> Seen:
    """How it sees plates in the band of widths around this one."""
    low, high = middle - BAND_PX / 2, middle + BAND_PX / 2
    return lambda plate, rng: at(rng.uniform(low, high))(plate, rng)


def read(models: Models, plates: Iterable[Plate], seen: Seen) -> Iterator[tuple[Gray, str, str]]:
    """Each plate as `seen` shows it, what it says, and what is read."""
    rng = np.random.default_rng(17)
    for plate in plates:
        image = seen(plate, rng)
        noisy = _bytes(image + rng.standard_normal(image.shape, np.float32) * np.float32(NOISE))
        yield noisy, plate.text, models.read_whole(noisy).characters.text()


def read_share(models: Models, plates: Sequence[Plate], seen: Seen) -> float:
    """Share of plates read right, O as 0, as `seen` shows them."""
    return round(float(np.mean([folded(said) == folded(text) for _, text, said in read(models, plates, seen)])), 3)


def measure(models: Models, plates: Sequence[Plate]) -> dict[str, dict[str, float]]:
    """Share read by width in pixels, by tilt in degrees, by light."""
    return {
        "width_px": {str(w): read_share(models, plates, within(w)) for w in WIDTHS_PX},
        "tilt_degrees": {str(t): read_share(models, plates, at(USUAL_PX, t)) for t in TILTS_DEGREES},
        "light": {name: read_share(models, plates, at(USUAL_PX, light=name)) for name in LIGHTS},
    }


HARD: Mapping[str, Seen] = {
    "40 px wide": at(40),
    "tilted by 30 degrees": at(USUAL_PX, 30),
    **{
        name: at(USUAL_PX, light=name) for name in ("a tenth of the light", "half in shadow", "contrast of a fifth")
    },
    **{
        f"{px} px wide, {name}": at(px, light=name)
        for px, name in ((70, "moved by 4 px"), (70, "JPEG of quality 25"))
    },
}
EACH = 5  # wrong reads of each


def failures(models: Models, press: Printer) -> dict[str, list[tuple[Gray, str, str]]]:
    """The first wrong reads under each of the hard conditions."""
    return {
        name: list(
            itertools.islice(
                (one for one in read(models, drawn(press), seen) if folded(one[1]) != folded(one[2])), EACH
            )
        )
        for name, seen in HARD.items()
    }


def drawn(press: Printer) -> Iterator[Plate]:
    """US plates, always the same."""
    rng = np.random.default_rng(99)
    return (press.american(rng) for _ in range(PLATES))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="labelled folder, for its designs; default: $EDGE_AGENT_DATA")
    parser.add_argument("--fonts", help="folder that training.fonts filled; default: $EDGE_AGENT_FONTS")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--plot", type=plots.picture, help="write a picture (.svg, .png) too")
    parser.add_argument("--failures", type=plots.picture, help="write a picture of wrong reads too")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        models, press = Models(options.models), printer(data_folder(options.data), options.fonts)
        measured = measure(models, list(drawn(press)))
        for name, shares in measured.items():
            print(json.dumps({name: shares}))
        if options.plot:
            plots.bands(measured, options.plot)
        if options.failures:
            bare = Printer(fonts=fonts(Path(options.fonts) if options.fonts else None))
            plots.failures(failures(models, bare), options.failures)
    except (DataError, ModelError, OSError, ValueError, ImportError) as error:
        sys.stderr.write(f"{plain(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

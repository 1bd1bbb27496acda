"""Train the reader: python -m training.reader --data DIR --fonts DIR --out DIR --hours 1.5."""

from __future__ import annotations

import training.needs  # noqa: F401 - first of all: it says what is missing

# isort: split

import collections
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training import ctc, degrade
from training.ctc import Labelled
from training.data import DataError, PlateText, data_folder, plate_texts, read_gray
from training.detector import arguments
from training.feed import Feed
from training.loop import Loop, Schedule
from training.networks import Reader
from training.regions import CODES, STATES, possible
from training.render import printer
from training.shapes import MARGIN, READER_INPUT

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from training.data import Box, Gray
    from training.render import Plate, Printer

    Batch = tuple[NDArray[np.uint8], list[Labelled], NDArray[np.bool_]]

log = logging.getLogger("training")

BATCH = 64
EASY_STEPS = 1200  # clean crops first: CTC finds its alignment in minutes, not in half an hour
RATE = 2e-3
POOL = 3000  # rendered plates in memory, replaced one by one
FRESH = 0.2  # chance that a rendered plate is a new one
RENDERED = 0.4
REGION_WEIGHT = 0.25  # of its loss beside that of the characters
# Shares of the real half, where the data has such plates.
SHARES = {"us-scene": 0.30, "us-frontal": 0.19, "br": 0.18, "other": 0.26, "two lines": 0.07}


def kind(plate: PlateText) -> str:
    """Which share of the mix a plate belongs to."""
    if plate.two_lines:
        return "two lines"
    if plate.source == "openalpr-segocr-us":
        return "us-frontal"
    if plate.region == "ca" or plate.region.startswith("us"):
        return "us-scene"
    return "br" if plate.region == "br" else "other"


class Course:
    """Owns the rendered pool and the real plates; makes batches in a worker process."""

    def __init__(self, *, plates: list[PlateText], printer: Printer) -> None:
        groups: dict[str, list[tuple[Gray, Box | None, PlateText]]] = collections.defaultdict(list)
        for plate in plates:
            groups[kind(plate)].append((read_gray(plate.image), plate.box, plate))
        self._groups = [groups[k] for k in SHARES if groups[k]]
        shares = np.array([SHARES[k] for k in SHARES if groups[k]])
        self._shares = shares / shares.sum()
        self._printer = printer
        self._pool = [printer.plate(np.random.default_rng(k)) for k in range(POOL)]

    def batch(self, rng: np.random.Generator, stage: int) -> Batch:
        """Gray plates [64,1,64,160], what they say, and the regions [64,60] each may be of."""
        images = np.empty((BATCH, 1, *READER_INPUT), np.uint8)
        labels = []
        for k in range(BATCH):
            if stage == 0 or rng.random() < RENDERED:
                made = self._rendered(rng, fresh=stage > 0)
                images[k, 0] = (degrade.rendered if stage else degrade.clean)(made.image, rng)
                labels.append(Labelled(made.text, made.upper, made.folded, made.region))
            else:
                group = self._groups[rng.choice(len(self._groups), p=self._shares)]
                image, box, plate = group[rng.integers(len(group))]
                images[k, 0] = degrade.photographed(image, box, rng)
                upper = None if plate.two_lines else len(plate.text)
                labels.append(Labelled(plate.text, upper, plate.folded, plate.region))
        return images, labels, np.stack([possible(label.region) for label in labels])

    def _rendered(self, rng: np.random.Generator, *, fresh: bool) -> Plate:
        index = int(rng.integers(len(self._pool)))
        if fresh and rng.random() < FRESH:
            self._pool[index] = self._printer.plate(rng)
        return self._pool[index]


def loss_from(feed: Feed[Batch], network: nn.Module, device: torch.device) -> Tensor:
    """The loss of the next batch."""
    images, labels, regions = feed.next()
    x = torch.from_numpy(images).to(device).float().div_(255)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16):
        characters, region = network(x)
    return ctc.loss(characters, labels) + REGION_WEIGHT * region_loss(region, torch.from_numpy(regions).to(device))


def region_loss(logits: Tensor, possible: Tensor) -> Tensor:
    """Cross entropy of logits [n,60] with the set of regions [n,60] that the label leaves open, all for none."""
    log_shares = functional.log_softmax(logits.float(), -1)
    told = log_shares.masked_fill(~possible, -torch.inf).logsumexp(-1)
    return -told.mean()


def validation_plates(folder: Path) -> list[PlateText]:
    """The validation plates whose labels are sure."""
    return [plate for plate in plate_texts(folder, "val") if plate.quality == "good"]


def validation(folder: Path) -> list[tuple[Gray, PlateText]]:
    """Crops [64,160] of the validation plates at their true boxes."""
    out = []
    for plate in validation_plates(folder):
        image = read_gray(plate.image)
        x, y, w, h = plate.box or (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        top, left = max(0, round(y - MARGIN * h)), max(0, round(x - MARGIN * w))
        part = image[top : round(y + h + MARGIN * h), left : round(x + w + MARGIN * w)]
        out.append((np.asarray(cv2.resize(part, READER_INPUT[::-1]), np.uint8), plate))
    return out


def read(network: nn.Module, crops: list[Gray]) -> list[tuple[str, str]]:
    """Texts and likeliest regions of crops [64,160]."""
    out: list[tuple[str, str]] = []
    device = next(network.parameters()).device
    for k in range(0, len(crops), 64):
        x = torch.from_numpy(np.stack(crops[k : k + 64]))[:, None].float().div(255).to(device)
        with torch.no_grad():
            characters, regions = (y.argmax(-1).cpu().tolist() for y in network(x))
        out += [(ctc.decode(row), CODES[region]) for row, region in zip(characters, regions, strict=True)]
    return out


def measure(network: nn.Module, plates: list[tuple[Gray, PlateText]]) -> str:
    """Share read right (O as 0) of each kind of validation plate, and of regions told right, as one line."""
    right: dict[str, list[bool]] = collections.defaultdict(list)
    for (text, region), (_, plate) in zip(read(network, [c for c, _ in plates]), plates, strict=True):
        right[kind(plate)].append(ctc.fold(text) == ctc.fold(plate.text))
        if plate.region in CODES:
            right["state" if plate.region in STATES else "country"].append(region == plate.region)
    return ", ".join(f"{k} {np.mean(v):.3f}/{len(v)}" for k, v in sorted(right.items()))


def train(options: argparse.Namespace) -> None:
    """Train until the hours are spent; a second call goes on from the checkpoint."""
    folder = data_folder(options.data)
    kept = validation(folder)
    course = Course(plates=plate_texts(folder, "train"), printer=printer(folder, options.fonts))
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    schedule = Schedule(seconds=options.hours * 3600, rate=options.rate)
    loop = Loop(network=Reader(), schedule=schedule, folder=Path(options.out))
    started = not loop.resume() and bool(options.start)
    if started:
        loop.start_from(Path(options.start))
    log.info("reader: %d weights", sum(p.numel() for p in loop.network.parameters()))
    with Feed(course.batch, workers=options.workers, seed=7) as feed:
        feed.set_stage(int(started or loop.step >= EASY_STEPS))
        loop.run(
            lambda n, d: loss_from(feed, n, d),
            lambda n: measure(n, kept),
            lambda step: feed.set_stage(1) if step == EASY_STEPS else None,
        )


def main() -> int:
    """Command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cv2.setNumThreads(1)
    try:
        train(arguments(RATE).parse_args())
    except (DataError, ValueError) as error:
        log.error("%s", error)  # noqa: TRY400
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Train the reader: python -m training.reader --data DIR --fonts DIR --out DIR --hours 1.5."""

from __future__ import annotations

import training.needs  # noqa: F401 - first of all: it says what is missing

# isort: split

import collections
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_agent.domain import folded
from training import boxes, ctc, degrade
from training.ctc import Labelled
from training.data import SLACK_PX, DataError, PlateText, data_folders, plate_texts, read_gray, without_plates
from training.detector import arguments, begun, count, run
from training.feed import Feed
from training.loop import Pupils, Schedule, half_precision, load_weights
from training.networks import READERS, Detector, Reader
from training.regions import CODES, NO_PLATE, STATES, possible
from training.render import printer
from training.shapes import DETECTOR_INPUT, MARGIN, READER_INPUT
from training.splice import Parted, cut, spliced
from training.views import views

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from training.data import Box, Gray
    from training.render import Plate, Printer

    Batch = tuple[NDArray[np.uint8], list[Labelled], NDArray[np.bool_]]
    Output = tuple[Tensor, Tensor]

log = logging.getLogger("training")

BATCH = 64
EASY_STEPS = 1200  # clean crops first: CTC finds its alignment in minutes, not in half an hour
RATE = 2e-3
POOL = 3000  # rendered plates in memory, replaced one by one
FRESH = 0.2  # chance that a rendered plate is a new one
RENDERED = 0.4
EMPTY = 0.05  # pieces of pictures without plates: nothing to read
SIGNS = 0.05  # rendered lettering that is no plate
WORDS = 0.5  # of the photographs that say a word are passed over: on the road they are few
SPLICED = 0.5  # of the photographs whose characters can be told apart
LOOKALIKES = 0.6  # of those pieces, what the detector gives LEAST_CHANCE
LEAST_CHANCE = 0.03
LOOKALIKES_EACH = 6
DETECTOR_WEIGHTS = Path(__file__).with_name("weights") / "detector.pt"
REGION_WEIGHT = 0.25  # of its loss beside that of the characters
CHARACTERS = 7.0  # of a plate, more or less
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


@dataclass(frozen=True, slots=True)
class Photographed:
    """A photograph of a plate in memory, with its characters parted if that can be."""

    image: Gray
    plate: PlateText
    parted: Parted | None = None

    @property
    def box(self) -> Box:
        """The plate's, or the whole picture."""
        return self.plate.box or (0.0, 0.0, float(self.image.shape[1]), float(self.image.shape[0]))


@dataclass(frozen=True, slots=True)
class Empty:
    """A picture without plates, and what the detector half takes for some in it."""

    image: Gray
    lookalikes: tuple[Box, ...]


class Course:
    """Owns the rendered pool and the real plates; makes batches in a worker process."""

    def __init__(self, *, plates: list[Photographed], empty: list[Empty], printer: Printer) -> None:
        groups: dict[str, list[Photographed]] = collections.defaultdict(list)
        for one in plates:
            groups[kind(one.plate)].append(one)
        self._groups = [groups[k] for k in SHARES if groups[k]]
        shares = np.array([SHARES[k] for k in SHARES if groups[k]])
        self._shares = shares / shares.sum()
        self._kin: dict[str, list[Parted]] = collections.defaultdict(list)
        for one in plates:
            if one.parted and one.plate.region in STATES:
                self._kin[one.plate.region].append(one.parted)
        self._empty = empty
        self._printer = printer
        self._pool = [printer.plate(np.random.default_rng(k)) for k in range(POOL)]

    def batch(self, rng: np.random.Generator, stage: int) -> Batch:
        """Gray plates [64,1,64,160], what they say, and the regions [64,61] each may be of."""
        images = np.empty((BATCH, 1, *READER_INPUT), np.uint8)
        labels = []
        for k in range(BATCH):
            if stage == 0 or rng.random() < RENDERED:
                made = self._rendered(rng, fresh=stage > 0)
                images[k, 0] = (degrade.rendered if stage else degrade.clean)(made.image, rng)
                labels.append(Labelled(made.text, made.upper, made.folded, made.region))
            elif self._empty and rng.random() < EMPTY / (1 - RENDERED):
                picture = self._empty[rng.integers(len(self._empty))]
                images[k, 0] = degrade.photographed(picture.image, no_plate(picture, rng), rng)
                labels.append(Labelled("", 0, folded=False, region=NO_PLATE))
            elif rng.random() < SIGNS / (1 - RENDERED - EMPTY):
                images[k, 0] = degrade.rendered(self._printer.sign(rng), rng)
                labels.append(Labelled(None, None, folded=False, region=NO_PLATE))
            else:
                images[k, 0], label = self._photographed(rng)
                labels.append(label)
        return images, labels, np.stack([possible(label.region) for label in labels])

    def _photographed(self, rng: np.random.Generator) -> tuple[Gray, Labelled]:
        group = self._groups[rng.choice(len(self._groups), p=self._shares)]
        one = group[rng.integers(len(group))]
        while one.plate.text.isalpha() and rng.random() < WORDS:
            one = group[rng.integers(len(group))]
        image, text, region, either = one.image, one.plate.text, one.plate.region, one.plate.folded
        if one.parted and rng.random() < SPLICED:
            kin = self._kin.get(region, [])
            image, text = spliced(one.parted, kin, rng)
            either = either or bool(kin)  # some of them write letter O as 0
            region = ""  # its name is in pieces
        upper = None if one.plate.two_lines else len(text)
        return degrade.photographed(image, one.plate.box, rng), Labelled(text, upper, either, region)

    def _rendered(self, rng: np.random.Generator, *, fresh: bool) -> Plate:
        index = int(rng.integers(len(self._pool)))
        if fresh and rng.random() < FRESH:
            self._pool[index] = self._printer.plate(rng)
        return self._pool[index]


def no_plate(picture: Empty, rng: np.random.Generator) -> Box:
    """A box in a picture without plates."""
    if picture.lookalikes and rng.random() < LOOKALIKES:
        return picture.lookalikes[rng.integers(len(picture.lookalikes))]
    return busiest(picture.image, rng)


def empties(folders: list[Path]) -> list[Empty]:
    """The pictures without plates of folders, seen by the detector that training goes on from, if there is one."""
    pictures = [one for folder in folders for one in without_plates(folder)]
    if not DETECTOR_WEIGHTS.is_file():
        return [Empty(one, ()) for one in pictures]
    detector = Detector().eval()
    load_weights(detector, DETECTOR_WEIGHTS)
    return [Empty(one, tuple(lookalikes(detector, one))) for one in pictures]


def lookalikes(detector: nn.Module, picture: Gray) -> Iterator[Box]:
    """What the detector gives the least chance in a picture without plates."""
    fitted, scale = boxes.letterbox(picture, DETECTOR_INPUT)
    with torch.no_grad():
        seen = detector(torch.from_numpy(fitted)[None, None].float().div(255))
    for one in boxes.decode(seen[0].numpy(), LEAST_CHANCE)[:LOOKALIKES_EACH]:
        x0, y0 = max(0.0, one.x0 / scale), max(0.0, one.y0 / scale)
        yield (x0, y0, max(8.0, one.x1 / scale - x0), max(4.0, one.y1 / scale - y0))


def busiest(picture: Gray, rng: np.random.Generator) -> Box:
    """Of some boxes as plates are the one with the most edges: what a detector may take for a plate."""
    height, width = picture.shape
    found: list[tuple[float, Box]] = []
    for _ in range(6):
        w = min(width * 0.9, float(np.exp(rng.uniform(np.log(30), np.log(300)))))
        h = min(height * 0.9, w / rng.uniform(1.6, 5))
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        part = picture[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1].astype(np.float32)
        found.append((float(np.abs(np.diff(part, axis=1)).mean()), (x, y, w, h)))
    return max(found)[1]


class Platefuls:
    """Crops [n,1,64,160] on the device, each in several views, with what they say."""

    def __init__(self, batches: list[Batch], count: int, device: torch.device) -> None:
        images, labels, regions = zip(*batches, strict=True)
        x = torch.from_numpy(np.concatenate(images)).to(device).float().div_(255)
        self._x = views(x, count).contiguous(memory_format=torch.channels_last)
        self._labels = [label for one in labels for label in one] * count
        self._regions = torch.from_numpy(np.concatenate(regions)).to(device).repeat(count, 1)

    def see(self, network: nn.Module) -> Output:
        """Its logits of characters [n,80,37] and of regions [n,61]."""
        with half_precision(self._x.device):
            return cast("Output", network(self._x))

    def loss(self, output: Output) -> Tensor:
        """By the labels."""
        characters, regions = output
        return ctc.loss(characters, self._labels) + REGION_WEIGHT * region_loss(regions, self._regions)

    def agreed(self, outputs: list[Output]) -> Output:
        """The mean shares."""
        characters, regions = (
            torch.stack([one.float().softmax(-1) for one in all_]) for all_ in zip(*outputs, strict=True)
        )
        return characters.mean(0), regions.mean(0)

    def distance(self, output: Output, agreed: Output) -> Tensor:
        """Of the shares from those (Kullback and Leibler), a character as in the loss."""
        characters, regions = (
            functional.kl_div(functional.log_softmax(one.float(), -1), shares, reduction="sum") / len(shares)
            for one, shares in zip(output, agreed, strict=True)
        )
        return characters / CHARACTERS + REGION_WEIGHT * regions


def region_loss(logits: Tensor, possible: Tensor) -> Tensor:
    """Cross entropy of logits [n,61] with the set of regions [n,61] that the label leaves open, all for none."""
    log_shares = functional.log_softmax(logits.float(), -1)
    told = log_shares.masked_fill(~possible, -torch.inf).logsumexp(-1)
    return -told.mean()


def validation_plates(folder: Path) -> list[PlateText]:
    """The validation plates whose labels are sure."""
    return [plate for plate in plate_texts(folder, "val") if plate.quality == "good"]


def crop(one: Photographed) -> tuple[Gray, int, int]:
    """The plate [64,160] at its true box, and the columns of the picture where it begins and ends."""
    x, y, w, h = one.box
    top, left = max(0, round(y - MARGIN * h)), max(0, round(x - MARGIN * w))
    right = min(one.image.shape[1], round(x + w + MARGIN * w))
    part = one.image[top : round(y + h + MARGIN * h), left:right]
    return np.asarray(cv2.resize(part, READER_INPUT[::-1]), np.uint8), left, right


def seen(network: nn.Module, crops: list[Gray]) -> Iterator[tuple[NDArray[np.float32], str]]:
    """Log shares [80,37] of the characters, and the likeliest region, of crops [64,160]."""
    device = next(network.parameters()).device
    for k in range(0, len(crops), 64):
        x = torch.from_numpy(np.stack(crops[k : k + 64]))[:, None].float().div(255).to(device)
        with torch.no_grad():
            characters, regions = network(x)
        shares = functional.log_softmax(characters.float(), -1).cpu().numpy()
        yield from zip(shares, (CODES[k] for k in regions.argmax(-1).tolist()), strict=True)


def read(network: nn.Module, crops: list[Gray]) -> list[tuple[str, str]]:
    """Texts and likeliest regions of crops [64,160]."""
    return [(ctc.decode(shares.argmax(-1).tolist()), region) for shares, region in seen(network, crops)]


def taken(plates: list[PlateText]) -> list[Photographed]:
    """The plates with their pictures. Raises DataError where a box is not in its picture."""
    out = []
    for plate in plates:
        image = read_gray(plate.image)
        x, y, w, h = plate.box or (0.0, 0.0, 1.0, 1.0)
        if x + w > image.shape[1] + SLACK_PX or y + h > image.shape[0] + SLACK_PX:
            message = f"{plate.place}: box outside the picture, which is {image.shape[1]}x{image.shape[0]}"
            raise DataError(message)
        out.append(Photographed(image, plate))
    return out


def judged(network: nn.Module, plates: list[Photographed]) -> Iterator[Photographed]:
    """The plates, with where their characters part if the network reads what the label says.

    A noisy label is another program's reading: without such agreement the plate is left out.
    """
    crops = [crop(one) for one in plates]
    shares = (shares for shares, _ in seen(network, [image for image, _, _ in crops]))
    for one, (_, left, right), known in zip(plates, crops, shares, strict=True):
        said = ctc.decode(known.argmax(-1).tolist())
        if folded(said) != folded(one.plate.text):
            if one.plate.quality != "noisy":
                yield one
            continue
        upper = known[: len(known) // 2]
        steps = [] if one.plate.two_lines else ctc.places(upper, said)
        centres = [left + (step + 0.5) / len(upper) * (right - left) for step in steps]
        at = cut(one.image, one.box, centres)
        yield replace(one, parted=Parted(one.image, one.box, one.plate.text, at) if at else None)


def measure(network: nn.Module, plates: list[tuple[Gray, PlateText]]) -> str:
    """Share read right (O as 0) of each kind of validation plate, and of regions told right, as one line."""
    right: dict[str, list[bool]] = collections.defaultdict(list)
    for (text, region), (_, plate) in zip(read(network, [c for c, _ in plates]), plates, strict=True):
        right[kind(plate)].append(folded(text) == folded(plate.text))
        if plate.region in CODES:
            right["state" if plate.region in STATES else "country"].append(region == plate.region)
    return ", ".join(f"{k} {np.mean(v):.3f}/{len(v)}" for k, v in sorted(right.items()))


def photographs(network: nn.Module | None, folders: list[Path]) -> list[Photographed]:
    """What the reader learns from; a network that can read already tells the characters apart."""
    if network is None:
        return taken([one for folder in folders for one in plate_texts(folder, "train")])
    known = taken([one for folder in folders for one in plate_texts(folder, "train", noisy=True)])
    plates = list(judged(network, known))
    parted = sum(one.parted is not None for one in plates)
    log.info("%d plates, the characters of %d can be told apart", len(plates), parted)
    return plates


def train(options: argparse.Namespace) -> None:
    """Train until the hours are spent; a second call goes on from the checkpoint."""
    folders = data_folders(options.data)
    kept = [(crop(one)[0], one.plate) for one in taken(validation_plates(folders[0]))]
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    schedule = Schedule(seconds=options.hours * 3600, rate=options.rate)
    loops = begun({name: Reader(READERS[name]) for name in options.sizes}, schedule, options)
    can_read = [loop for loop in loops if loop.began_with_weights or loop.step > EASY_STEPS]
    course = Course(
        plates=photographs(can_read[0].averaged if can_read else None, folders),
        empty=empties(folders),
        printer=printer(folders[0], options.fonts),
    )
    with Feed(course.batch, workers=options.workers, seed=7) as feed:
        feed.set_stage(int(bool(can_read)))
        pupils = Pupils(loops, lambda d: Platefuls([feed.next() for _ in range(options.batches)], options.views, d))
        pupils.run(
            lambda n: measure(n, kept),
            lambda step: feed.set_stage(1) if step == EASY_STEPS else None,
        )


def main() -> int:
    """Command line."""
    parser = arguments(RATE, __doc__ or "")
    parser.add_argument("--views", type=count, default=1, help="of each crop, made on the device")
    options = parser.parse_args()
    return run(lambda: train(options))


if __name__ == "__main__":
    sys.exit(main())

"""Train the detector: python -m training.detector --data DIR --out DIR --hours 1.5."""

from __future__ import annotations

import training.needs  # noqa: F401 - first of all: it says what is missing

# isort: split

import argparse
import collections
import logging
import math
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training import boxes
from training.data import DataError, Photograph, data_folders, photographs, read_gray, taken, without_plates
from training.feed import Feed
from training.loop import Loop, Pupils, Schedule, half_precision
from training.networks import DETECTORS, Detector
from training.render import printer
from training.scenes import CELLS, WINDOW, Scene, Windows
from training.shapes import DETECTOR_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.render import Printer

    Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]

log = logging.getLogger("training")

BATCH = 24
RATE = 2.5e-3
COPIES = 2  # of one group: some sets hold turned and mirrored copies of a picture
WEIGHTS = {"openimages": 3.0, "robertlucian": 3.0, "openlpr-faisal": 2.0, "rf-experiment-plates": 1.5}
NEGATIVE_WEIGHT = 4.0
HELD_OUT = 20  # one group in so many is kept for validation
MEASURED = 160  # photographs of it that are measured while training
WIDE, SHIPPED, SMALL = "wide", "shipped", "small"
SEEN = 0.2  # chance of a centre from which a teacher's box counts


def held_out(photograph: Photograph) -> bool:
    """True for the groups that are kept for validation; by name, so the same in every run."""
    return sum(photograph.group.encode()) % HELD_OUT == 0


def chosen(found: list[Photograph], *, validation: bool) -> list[Photograph]:
    """One side of the split, at most two copies of a group where a set holds copies."""
    seen: collections.Counter[str] = collections.Counter()
    out = []
    for one in found:
        seen[one.group] += 1
        if one.source == "rf-experiment-plates" and seen[one.group] > COPIES:
            continue
        if held_out(one) == validation:
            out.append(one)
    return out


def scenes(folder: Path) -> list[Scene]:
    """Every training photograph of a folder in memory, gray, and the pictures without plates."""
    out = [
        Scene(taken(p), p.boxes, WEIGHTS.get(p.source, 1.0)) for p in chosen(photographs(folder), validation=False)
    ]
    return out + [Scene(one, (), NEGATIVE_WEIGHT) for one in without_plates(folder)]


def loss_of(output: Tensor, target: Tensor) -> Tensor:
    """Focal loss on the centres (CenterNet, arXiv 1904.07850) and smooth L1 on the boxes near them."""
    seen = output[:, 0].float().sigmoid().clamp(1e-4, 1 - 1e-4)
    truth = target[:, 0]
    centre = (truth >= 0.999).float()
    hit = centre * (1 - seen) ** 2 * seen.log()
    miss = (1 - centre) * (1 - truth) ** 4 * seen**2 * (1 - seen).log()
    focal = -(hit + miss).sum() / centre.sum().clamp(min=1)
    near = (truth > 0.3).float() * (target[:, 3] != 0).float() * truth
    error = functional.smooth_l1_loss(output[:, 1:].float(), target[:, 1:], reduction="none", beta=0.2)
    return focal + (error.sum(1) * near).sum() / near.sum().clamp(min=1)


class Course:
    """Draws windows from the scenes and turns batches into losses."""

    def __init__(self, found: list[Scene], printer: Printer) -> None:
        self._scenes = found
        self._windows = Windows(printer, np.random.default_rng(11))
        self._chances = np.cumsum([s.weight for s in found])

    def batch(self, rng: np.random.Generator, _stage: int) -> Batch:
        """Gray windows [24,1,320,320] and their maps."""
        images = np.empty((BATCH, 1, WINDOW, WINDOW), np.uint8)
        maps = np.empty((BATCH, 5, CELLS, CELLS), np.float32)
        for k in range(BATCH):
            index = int(np.searchsorted(self._chances, rng.random() * self._chances[-1]))
            images[k, 0], maps[k] = self._windows.draw(self._scenes[min(index, len(self._scenes) - 1)], rng)
        return images, maps


def distance(output: Tensor, agreed: Tensor) -> Tensor:
    """Of a map from what teachers made of it: cross entropy where they differ, and boxes where they see some."""
    said, chance = output[:, 0].float(), agreed[:, 0]
    entropy = functional.binary_cross_entropy_with_logits(said, chance, reduction="none")
    centres = (entropy * (said.sigmoid() - chance).square()).sum() / (chance > SEEN).sum().clamp(min=1)
    error = functional.smooth_l1_loss(output[:, 1:].float(), agreed[:, 1:], reduction="none", beta=0.2)
    weight = chance * (chance > SEEN)
    return centres + (error.sum(1) * weight).sum() / weight.sum().clamp(min=1)


class Windowful:
    """Windows [n,1,320,320] on the device with their maps."""

    def __init__(self, batches: list[Batch], device: torch.device) -> None:
        images, maps = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        x = torch.from_numpy(images).to(device).float().div_(255)
        self._x = x.contiguous(memory_format=torch.channels_last)
        self._maps = torch.from_numpy(maps).to(device)

    def see(self, network: nn.Module) -> Tensor:
        """Its map [n,5,40,40]."""
        with half_precision(self._x.device):
            return cast("Tensor", network(self._x))

    def loss(self, output: Tensor) -> Tensor:
        """By the true boxes."""
        return loss_of(output, self._maps)

    def agreed(self, outputs: list[Tensor]) -> Tensor:
        """The mean map, with the chance of a centre instead of its logit."""
        maps = torch.stack([torch.cat([one[:, :1].float().sigmoid(), one[:, 1:].float()], 1) for one in outputs])
        return maps.mean(0)

    def distance(self, output: Tensor, agreed: Tensor) -> Tensor:
        """From what the teachers made of it."""
        return distance(output, agreed)


def measure(network: nn.Module, found: list[Photograph]) -> str:
    """Capture and extra boxes a picture over validation photographs, as one line."""
    hits = total = extra = 0
    for one in found:
        fitted, scale = boxes.letterbox(read_gray(one.image), DETECTOR_INPUT)
        x = torch.from_numpy(fitted)[None, None].float().div(255)
        with torch.no_grad():
            output = network(x.to(next(network.parameters()).device))
        seen = [b.scaled(1 / scale) for b in boxes.decode(output[0].float().cpu().numpy())]
        truth = [boxes.Found(x, y, x + w, y + h, 1.0) for x, y, w, h in one.boxes]
        total += len(truth)
        hits += sum(any(boxes.overlap(t, s) >= 0.5 for s in seen) for t in truth)
        extra += sum(all(boxes.overlap(t, s) < 0.2 for t in truth) for s in seen)
    return f"capture(IoU .5) {hits / max(1, total):.3f} extra {extra / max(1, len(found)):.2f}"


def train(options: argparse.Namespace) -> None:
    """Train until the hours are spent; a second call goes on from the checkpoint."""
    folders = data_folders(options.data)
    kept = chosen(photographs(folders[0]), validation=True)[:MEASURED]
    course = Course([one for folder in folders for one in scenes(folder)], printer(folders[0], options.fonts))
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    schedule = Schedule(seconds=options.hours * 3600, rate=options.rate, warmup_steps=150)
    loops = begun({name: Detector(DETECTORS[name]) for name in options.sizes}, schedule, options)
    with Feed(course.batch, workers=options.workers, seed=5) as feed:
        pupils = Pupils(loops, lambda d: Windowful([feed.next() for _ in range(options.batches)], d))
        pupils.run(lambda n: measure(n, kept))


def begun(networks: dict[str, nn.Module], schedule: Schedule, options: argparse.Namespace) -> list[Loop]:
    """A loop for each size, in a folder of its own; resumed, or from the weights to start from."""
    loops = []
    for name, network in networks.items():
        log.info("%s: %d weights", name, sum(p.numel() for p in network.parameters()))
        loop = Loop(network=network, schedule=schedule, folder=Path(options.out) / name)
        if not loop.resume() and options.start and (weights := weights_of(name, Path(options.start))):
            loop.start_from(weights)
        loops.append(loop)
    return loops


def weights_of(name: str, start: Path) -> Path | None:
    """What a size begins from: its own folder in that of another training; a file is of the shipped size."""
    own = start / name
    return own if own.is_dir() else start if name in (SHIPPED, WIDE) else None


def arguments(rate: float, description: str) -> argparse.ArgumentParser:
    """Options that both trainings share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data", action="append", metavar="DIR",
        help="labelled folder, each that is given; default: $EDGE_AGENT_DATA",
    )  # fmt: skip
    parser.add_argument("--out", required=True, help="folder for the checkpoint; resumed from where it exists")
    parser.add_argument("--hours", type=positive, default=1.5, help="training time over all runs")
    parser.add_argument("--start", help="begin from weights of the shipped size, or from another training's --out")
    parser.add_argument("--rate", type=positive, default=rate, help="highest learning rate")
    parser.add_argument("--fonts", help="folder that training.fonts filled; default: $EDGE_AGENT_FONTS")
    parser.add_argument("--threads", type=count, default=1, help="of the network")
    parser.add_argument("--workers", type=count, default=1, help="processes that make the pictures")
    parser.add_argument("--batches", type=count, default=1, help="of theirs that make one step")
    parser.add_argument(
        "--sizes", nargs="+", choices=(WIDE, SHIPPED, SMALL), default=[SHIPPED],
        help="of the networks that learn together; all but the last teach each other and the last one",
    )  # fmt: skip
    return parser


def positive(text: str) -> float:
    """A finite number over 0, for argparse."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"should be more than 0, got {text}")
    return value


def count(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"should be 1 or more, got {text}")
    return value


def run(train: Callable[[], None]) -> int:
    """Train; what is wrong is one line, and who stops it loses nothing."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cv2.setNumThreads(1)
    try:
        train()
    except (DataError, ValueError) as error:
        log.error("%s", error)  # noqa: TRY400
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> int:
    """Command line."""
    options = arguments(RATE, __doc__ or "").parse_args()
    return run(lambda: train(options))


if __name__ == "__main__":
    sys.exit(main())

"""What int8 costs against float, on what is held out: asked before a network is put in place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import torch
from torch.nn import functional

from edge_agent.domain import folded
from training import boxes, ctc
from training.data import DataError, photographs, read_gray
from training.detector import chosen
from training.reader import crop, taken, validation_plates
from training.shapes import BLOCK, DETECTOR_INPUT, MIDDLE, SPREAD
from training.validation import CAPTURED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

log = logging.getLogger("training")

MOST_LOST = 0.02  # share of what is held out that int8 may cost


def run_of(path: Path, given: str) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """What runs a network of one input; one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {given: image})  # type: ignore[no-any-return]


def found_share(path: Path, folder: Path) -> float:
    """Share of the plates of validation photographs, letterboxed, that a detector finds."""
    run, hits = run_of(path, "blocks"), []
    for one in chosen(photographs(folder), validation=True):
        fitted, scale = boxes.letterbox(read_gray(one.image), DETECTOR_INPUT)
        seen = boxes.decode(run(blocks_of(fitted))[0][0])
        for x, y, w, h in one.boxes:
            truth = boxes.Found(x, y, x + w, y + h, 1.0).scaled(scale)
            hits.append(any(boxes.overlap(truth, box) >= CAPTURED for box in seen))
    return float(np.mean(hits))


def read_share(path: Path, folder: Path) -> float:
    """Share of the validation plates that a reader reads right at their true boxes."""
    run, right = run_of(path, "plate"), []
    for one in taken(validation_plates(folder)):
        image = crop(one)[0][None, None].astype(np.float32) / np.float32(255)
        right.append(folded(ctc.decode(run(image)[0][0].argmax(-1).tolist())) == folded(one.plate.text))
    return float(np.mean(right))


def compare(name: str, shares: list[float]) -> None:
    """Say what int8 costs against float. Raises DataError where that is too much to put in place."""
    whole, small = shares
    log.info("%s, held out: float %.4f, int8 %.4f", name, whole, small)
    if whole - small > MOST_LOST:
        message = f"{name}: int8 gets {small:.4f} of what is held out, float {whole:.4f}: not put in place"
        raise DataError(message)


def blocks_of(fitted: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A letterboxed picture as the detector sees it, [1,16,H/4,W/4]."""
    scaled = (torch.from_numpy(fitted)[None, None] / 255 - MIDDLE) * SPREAD
    return np.asarray(functional.pixel_unshuffle(scaled, BLOCK).numpy(), np.float32)

"""Measures on what is held out of the training tables: thresholds, margins and checkpoints are chosen by these."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_agent.domain import folded
from training import boxes, degrade
from training.data import photographs, read_gray, without_plates
from training.detector import chosen
from training.reader import kind, validation_plates
from training.regions import CODES, NOWHERE, STATES
from training.render import held_out_designs
from training.shapes import DETECTOR_INPUT
from training.shipped import found, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_agent.domain import Reading, RegionProbabilities
    from training.boxes import Found
    from training.data import Box, Gray
    from training.shipped import Models

CAPTURED = 0.3  # overlap that counts as found
APART = 0.2  # overlap under which a box belongs to no labelled plate
PLATES, BOXES, PICTURES = "validation-plates", "validation-boxes", "validation-pictures"
REGIONS = "validation-regions"
PHOTOGRAPHS, NEGATIVES = "validation-photographs", "validation-negatives"
MOVES = {
    "true box": (0.0, 0.0, 0.0),
    "5 % left": (-0.05, 0.0, 0.0),
    "5 % right": (0.05, 0.0, 0.0),
    "5 % up": (0.0, -0.05, 0.0),
    "5 % down": (0.0, 0.05, 0.0),
    "10 % larger": (0.0, 0.0, 0.1),
}
TOLD_FROM = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
HIDDEN_BELOW = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6)
THRESHOLDS = (
    *((0.3, 0.3, 1.1), (0.4, 0.4, 1.1), (0.4, 0.2, 1.1), (0.5, 0.5, 1.1), (0.5, 0.3, 1.1), (0.5, 0.2, 1.1)),
    *((0.5, 0.2, 0.95), (0.5, 0.2, 0.9), (0.5, 0.2, 0.5), (0.4, 0.2, 0.9), (0.4, 0.15, 0.9), (0.3, 0.1, 0.9)),
)
NO_PLATE_FROM = (1.1, 0.99, 0.95, 0.9, 0.7, 0.5)
ACROSS = 3  # plates side by side that the picture around one is wide: as near as the detector learns them
WIDTHS_PX = ((20.0, "under 20 px"), (30.0, "20..30 px"), (190.0, "30..190 px"), (math.inf, "over 190 px"))


def measure_plates(models: Models, folder: Path) -> dict[str, Any]:
    """Share of validation plates read right at their true boxes, by kind; and what its confidence is worth.

    `character_right` tells of characters of a share from 0.3 to 0.4 (and so on) the mean share, how often they are
    right, and how many they are, `plate_right` the same of whole texts; `calibration_error` is the expected one of
    both (Guo et al., 2017); `right_hidden_below` how many plates are right with characters under a share hidden.
    """
    right: dict[str, list[bool]] = {}
    characters_right: list[tuple[float, bool]] = []
    plates_right: list[tuple[float, bool]] = []
    hidden: dict[float, list[bool]] = {limit: [] for limit in HIDDEN_BELOW}
    for plate in validation_plates(folder):
        characters = models.read_plate(plate).characters
        truth, said = folded(plate.text), characters.text().replace("O", "0")
        right.setdefault(kind(plate), []).append(said == truth)
        plates_right.append((characters.confidence, said == truth))
        for limit, known in hidden.items():
            known.append(characters.text(unsure_below=limit).replace("O", "0") == truth)
        if len(said) == len(truth):
            pairs = zip(said, truth, characters.confidences, strict=True)
            characters_right += [(confidence, one == other) for one, other, confidence in pairs]
    return {
        "set": PLATES,
        **{name: [mean(v), len(v)] for name, v in sorted(right.items())},
        "character_right": reliability(characters_right),
        "plate_right": reliability(plates_right),
        "calibration_error": [calibration_error(characters_right), calibration_error(plates_right)],
        "right_hidden_below": {str(limit): mean(v) for limit, v in hidden.items()},
    }


def tenths(judged: Sequence[tuple[float, bool]]) -> dict[float, list[tuple[float, bool]]]:
    """Confidences with what they were worth, by tenths of the confidence."""
    out: dict[float, list[tuple[float, bool]]] = {}
    for confidence, known in sorted(judged):
        out.setdefault(min(0.9, int(confidence * 10) / 10), []).append((confidence, known))
    return out


def reliability(judged: Sequence[tuple[float, bool]]) -> dict[str, list[float]]:
    """For each tenth of confidence: its mean, how often it was right, and of how many."""
    return {
        f"{low:.1f}": [mean([confidence for confidence, _ in v]), mean([known for _, known in v]), len(v)]
        for low, v in tenths(judged).items()
    }


def calibration_error(judged: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error over tenths: the mean distance of confidence and share right."""
    far = [abs(sum(known - confidence for confidence, known in v)) for v in tenths(judged).values()]
    return round(sum(far) / max(1, len(judged)), 4)


def measure_regions(models: Models, folder: Path) -> dict[str, Any]:
    """Regions of validation plates and of designs that were held out, worsened as a camera does.

    For each least confidence: the share right of those told, and the share told; of US states too. Then, at the
    shipped least confidence, right, told and all of each region.
    """
    plates = [plate for plate in validation_plates(folder) if plate.region in CODES]
    told = [(plate.region, *_likeliest(models.read_plate(plate).regions)) for plate in plates]
    rng = np.random.default_rng(8)
    for design, code in held_out_designs(folder):
        worsened = degrade.photographed(read_gray(design), None, rng)
        told.append((code, *_likeliest(models.read_whole(worsened).regions)))
    states = [one for one in told if one[0] in STATES]
    by_region: dict[str, list[int]] = {}
    for truth, code, confidence in told:
        counts = by_region.setdefault(truth, [0, 0, 0])
        dares = confidence >= models.region_from and code not in NOWHERE
        counts[0] += dares and code == truth
        counts[1] += dares
        counts[2] += 1
    return {
        "set": REGIONS,
        "plates": len(told),
        "right_told_from": _by_limit(told),
        "states_right_told_from": _by_limit(states),
        **dict(sorted(by_region.items())),
    }


def _by_limit(told: Sequence[tuple[str, str, float]]) -> dict[str, list[float]]:
    out = {}
    for limit in TOLD_FROM:
        said = [code == truth for truth, code, confidence in told if confidence >= limit]
        out[str(limit)] = [mean(said), round(len(said) / len(told), 3)]
    return out


def _likeliest(regions: RegionProbabilities) -> tuple[str, float]:
    best = int(regions.shares.argmax())
    return regions.codes[best], float(regions.shares[best])


def measure_photographs(models: Models, folder: Path) -> dict[str, Any]:
    """Share of the plates found in validation photographs, by their width in a picture 640 pixels wide.

    `by_thresholds` tells for thresholds of the detector, of it for what is legible, and of "no plate" the share
    found and extra boxes.
    """
    hits: dict[str, list[bool]] = {}
    extra = pictures = 0
    doubted: list[tuple[list[Reading], list[Found]]] = []
    for photograph in chosen(photographs(folder), validation=True):
        image = read_gray(photograph.image)
        truth = [boxes.Found(x, y, x + w, y + h, 1.0) for x, y, w, h in photograph.boxes]
        doubted.append((models.doubted(image), truth))
        seen = models.find(image)
        pictures += 1
        extra += sum(all(boxes.overlap(b, t) < APART for t in truth) for b in seen)
        for one in truth:
            width = (one.x1 - one.x0) * 640 / image.shape[1]
            group = next(name for limit, name in WIDTHS_PX if width < limit)
            hits.setdefault(group, []).append(any(boxes.overlap(one, b) >= CAPTURED for b in seen))
    return {
        "set": PHOTOGRAPHS,
        **{name: [mean(hits[name]), len(hits[name])] for _, name in WIDTHS_PX if name in hits},
        "extra_per_image": round(extra / max(1, pictures), 3),
        "by_thresholds": {", ".join(map(str, one)): _found_from(doubted, *one) for one in THRESHOLDS},
    }


def _found_from(
    doubted: Sequence[tuple[list[Reading], list[Found]]], certain: float, if_read: float, no_plate: float
) -> list[float]:
    """Share of the true boxes found and extra boxes a picture, with these thresholds."""
    hits: list[bool] = []
    extra: list[int] = []
    for readings, truth in doubted:
        kept = [found(one.detection) for one in readings if _kept(one, certain, if_read, no_plate)]
        hits += [any(boxes.overlap(one, box) >= CAPTURED for box in kept) for one in truth]
        extra.append(sum(all(boxes.overlap(box, one) < APART for one in truth) for box in kept))
    return [mean(hits), mean(extra)]


def _kept(reading: Reading, certain: float, if_read: float, no_plate: float) -> bool:
    lettering = reading.characters.legible and reading.regions.no_plate < no_plate
    return reading.detection.confidence >= (if_read if lettering else certain)


def measure_boxes(models: Models, folder: Path) -> dict[str, Any]:
    """Share of validation plates read right where the box is not the true one: how far the read hangs on it.

    `looked_at_once` is the mean over them without the second look at what is in doubt.
    """
    plates = [(plate, folded(plate.text)) for plate in validation_plates(folder) if plate.box]

    def right(move: tuple[float, float, float], *, once: bool) -> float:
        said = (models.read_plate(plate, move, once=once).characters.text() for plate, _ in plates)
        return mean([folded(text) == truth for text, (_, truth) in zip(said, plates, strict=True)])

    moved = {name: right(move, once=False) for name, move in MOVES.items()}
    return {
        "set": BOXES,
        "plates": len(plates),
        **moved,
        "mean": mean(list(moved.values())),
        "looked_at_once": mean([right(move, once=True) for move in MOVES.values()]),
    }


def measure_pictures(models: Models, folder: Path) -> dict[str, Any]:
    """Share of validation plates found, and read right, by kind: in the detector's boxes, as near as it learns."""
    found_: dict[str, list[bool]] = {}
    right: dict[str, list[bool]] = {}
    for plate in (one for one in validation_plates(folder) if one.box):
        image, truth = surrounded(read_gray(plate.image), plate.box or (0.0, 0.0, 0.0, 0.0))
        seen = models.look(image)
        box, said = max(seen, key=lambda one: boxes.overlap(one[0], truth), default=(None, ""))
        hit = box is not None and boxes.overlap(box, truth) >= CAPTURED
        for name in (kind(plate), "all"):
            found_.setdefault(name, []).append(hit)
            right.setdefault(name, []).append(hit and folded(said) == folded(plate.text))
    return {"set": PICTURES, **{name: [mean(v), mean(right[name]), len(v)] for name, v in sorted(found_.items())}}


def surrounded(image: Gray, box: Box) -> tuple[Gray, Found]:
    """The picture, its edges drawn out until it is ACROSS plates wide and of a video's shape; the box there."""
    x, y, w, h = box
    wide, tall = ACROSS * w, ACROSS * w * DETECTOR_INPUT[0] / DETECTOR_INPUT[1]
    left, top = (
        max(0, round(full - side) // 2) for full, side in zip((wide, tall), image.shape[::-1], strict=True)
    )
    out = cv2.copyMakeBorder(image, top, top, left, left, cv2.BORDER_REPLICATE)
    return np.asarray(out, np.uint8), boxes.Found(x + left, y + top, x + left + w, y + top + h, 1.0)


def measure_negatives(models: Models, folder: Path) -> dict[str, Any]:
    """Pictures without a plate, held out of the training, in which a text is read.

    `by_no_plate` tells for shares of "no plate" how many such pictures there are with them as the threshold, and
    how many validation plates fall to it.
    """
    pictures = without_plates(folder, validation=True)
    texts = [[text for _, text in models.look(one) if text] for one in pictures]
    plates = [models.read_plate(one).regions.no_plate for one in validation_plates(folder)]
    told = [[_no_plate(one) for one in models.readings(picture) if _says(one)] for picture in pictures]
    return {
        "set": NEGATIVES,
        "pictures": len(pictures),
        "with_text": sum(map(bool, texts)),
        "texts": [one for one in texts if one],
        "by_no_plate": {
            str(limit): [
                sum(min(one, default=1.1) < limit for one in told),
                sum(share >= limit for share in plates),
            ]
            for limit in NO_PLATE_FROM
        },
    }


def _no_plate(reading: Reading) -> float:
    """The share of "no plate" where it counts: the detector's certainty outweighs it."""
    return 0.0 if reading.detection.certain else reading.regions.no_plate


def _says(reading: Reading) -> bool:
    return (reading.detection.certain or reading.characters.legible) and bool(text(reading))


def mean(known: Sequence[float]) -> float:
    return round(float(np.mean(known)), 4)


MEASURES = {
    PLATES: measure_plates,
    BOXES: measure_boxes,
    PICTURES: measure_pictures,
    REGIONS: measure_regions,
    PHOTOGRAPHS: measure_photographs,
    NEGATIVES: measure_negatives,
}

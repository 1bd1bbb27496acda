"""Fuses what several frames saw of one plate into one row of character probabilities."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from edge_agent.domain import (
    ALPHABET,
    ROUND,
    UNREADABLE,
    Candidate,
    CharacterProbabilities,
    Reading,
    RegionProbabilities,
    folded,
)
from edge_agent.reading.formats import is_known_format

FLOOR = 1e-4
"""No share counts as less: one frame's certainty must not outvote all the others."""

GAP = math.log(1 / 37)
"""What leaving a place unmatched costs when two readings are aligned: as much as a row that knows nothing."""

_ROUND_COLUMNS = [1 + ALPHABET.index(one) for one in ROUND]

FULL_WEIGHT_WIDTH_PX = 120.0
LEAST_CONFIDENCE = 0.05
SIZE_TRUST, SURE_TRUST = 6, 4
"""Exponents of a plate's size and of its weakest character's share in its weight: the many frames of a far plate
must not outvote the few of a near one (training/LOG.md)."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One frame's say: what it read, and how much that counts."""

    characters: CharacterProbabilities
    regions: RegionProbabilities
    weight: float


def ballot(reading: Reading) -> Ballot:
    """Weigh a reading: a larger plate and a surer weakest character count more."""
    size = min(1.0, reading.detection.box.width / FULL_WEIGHT_WIDTH_PX)
    sure = max(LEAST_CONFIDENCE, reading.characters.confidence)
    return Ballot(
        characters=reading.characters,
        regions=reading.regions,
        weight=reading.detection.confidence * size**SIZE_TRUST * sure**SURE_TRUST,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What frames say together.

    Evidence is how many frames' worth of them says just that, support the same by weight, agreement what part of
    all their weight that is.
    """

    characters: CharacterProbabilities
    evidence: float
    support: float
    agreement: float


def fuse(ballots: Sequence[Ballot]) -> Fused:
    """Align every ballot to the most trusted one and take the weighted mean of the log shares, place by place.

    Neighbouring frames err together, so n frames count as sqrt(n) independent ones; n as Kish has it, where weights
    differ. Places that most frames do not have fall out. A frame's part of the evidence is the share that it gives
    the weakest character of what all say: one that is sure of this text adds 1, one that says another hardly any.
    """
    reference = _reference(ballots)
    weights = np.array([one.weight for one in ballots])
    aligned = np.stack([_align(reference.table, one.characters.table) for one in ballots])
    logs = np.tensordot(weights, np.log(np.maximum(aligned, FLOOR)), axes=1) / weights.sum()
    logs *= math.sqrt(weights.sum() ** 2 / np.square(weights).sum())
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    said = shares.argmax(axis=1)
    aligned[:, :, _ROUND_COLUMNS] = aligned[:, :, _ROUND_COLUMNS].sum(axis=2, keepdims=True)
    saying = aligned[:, np.arange(len(said)), said].min(axis=1, initial=1.0)
    support = float(weights @ saying)
    return Fused(
        characters=CharacterProbabilities(shares[said > 0].astype(np.float32)),
        evidence=float(saying.sum()),
        support=support,
        agreement=support / float(weights.sum()),
    )


def fuse_regions(ballots: Sequence[Ballot]) -> RegionProbabilities:
    """The weighted mean of the shares: frames of one plate err together, so many are no surer than one."""
    first = ballots[0].regions
    shares = np.average([one.regions.shares for one in ballots], axis=0, weights=[one.weight for one in ballots])
    return RegionProbabilities(codes=first.codes, shares=shares.astype(np.float32), told_from=first.told_from)


def _reference(ballots: Sequence[Ballot]) -> CharacterProbabilities:
    """The heaviest ballot of the length that carries the most weight."""
    by_length: dict[int, float] = {}
    for one in ballots:
        by_length[len(one.characters)] = by_length.get(len(one.characters), 0.0) + one.weight
    length = max(by_length, key=lambda n: by_length[n])
    return max((one for one in ballots if len(one.characters) == length), key=lambda one: one.weight).characters


def _align(reference: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring `other` to the places of `reference` (Needleman-Wunsch, 1970); a place it lacks knows nothing."""
    if len(reference) == len(other):
        return other
    match = np.log(np.maximum(reference @ other.T, FLOOR))
    score = np.zeros((len(reference) + 1, len(other) + 1))
    score[1:, 0] = GAP * np.arange(1, len(reference) + 1)
    score[0, 1:] = GAP * np.arange(1, len(other) + 1)
    for i in range(1, len(reference) + 1):
        for j in range(1, len(other) + 1):
            score[i, j] = max(
                score[i - 1, j - 1] + match[i - 1, j - 1], score[i - 1, j] + GAP, score[i, j - 1] + GAP
            )
    aligned = np.full(reference.shape, 0.5 / len(ALPHABET), np.float32)
    aligned[:, 0] = 0.5
    i, j = len(reference), len(other)
    while i and j:
        if score[i, j] == score[i - 1, j - 1] + match[i - 1, j - 1]:
            i, j = i - 1, j - 1
            aligned[i] = other[j]
        elif score[i, j] == score[i - 1, j] + GAP:
            i -= 1
        else:
            j -= 1
    return aligned


def alike(one: CharacterProbabilities, other: CharacterProbabilities) -> float:
    """How much of two texts is the same, 0..1, wherever it stands (Ratcliff and Obershelp, 1988)."""
    return SequenceMatcher(None, folded(one.text()), folded(other.text()), autojunk=False).ratio()


def same_plate(one: CharacterProbabilities, other: CharacterProbabilities) -> bool:
    """Whether two fused readings may well be of one plate: no place where they contradict each other."""
    if len(one) != len(other):
        return False
    agreement = (one.table * other.table).sum(axis=1)
    return bool(agreement.min(initial=1.0) >= LEAST_CONFIDENCE)


def candidates(characters: CharacterProbabilities, *, text: str, count: int = 5) -> tuple[Candidate, ...]:
    """Give the likeliest other texts, those in the format of some state first; never the text itself.

    A candidate's confidence is its weakest character's share.
    """
    choices = [_choices(row) for row in characters.table]
    likeliest = heapq.nlargest(count * 4, _texts(choices), key=lambda pair: pair[1])
    ranked = sorted(
        (Candidate(text=one, confidence=weakest) for one, _, weakest in likeliest if one != text),
        key=lambda one: not is_known_format(one.text),
    )
    return tuple(ranked[:count])


def _choices(row: NDArray[np.float32]) -> list[tuple[str, float]]:
    """The three likeliest characters of one place that have a share worth naming."""
    order = np.argsort(row[1:])[::-1][:3]
    named = [(ALPHABET[i], float(row[1 + i])) for i in order if row[1 + i] >= LEAST_CONFIDENCE]
    return named or [(UNREADABLE, float(row[1:].max()))]


def _texts(choices: Sequence[Sequence[tuple[str, float]]]) -> list[tuple[str, float, float]]:
    """All texts of the choices with (text, product, weakest share), cut to the likeliest at each place."""
    beam: list[tuple[str, float, float]] = [("", 1.0, 1.0)]
    for place in choices:
        grown = [
            (text + character, product * share, min(weakest, share))
            for text, product, weakest in beam
            for character, share in place
        ]
        beam = heapq.nlargest(32, grown, key=lambda one: one[1])
    return beam

"""Between texts and the reader's output: targets, loss, greedy reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.data import CHARSET, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

ZERO, LETTER_O = CHARSET.index("0") + 1, CHARSET.index("O") + 1
NEVER = -30.0


class Labelled(NamedTuple):
    """What a plate says; upper is how many characters its upper line has, None where it is not known.

    Folded labels write O as 0. The region is as regions.label gives it.
    """

    text: str
    upper: int | None
    folded: bool
    region: str = ""


def encode(text: str) -> list[int]:
    """Class numbers of a text; 0 is the blank."""
    return [CHARSET.index(c) + 1 for c in text]


def decode(best: Sequence[int]) -> str:
    """Text of a row of class numbers: repeats joined, blanks dropped (Graves 2006)."""
    out, last = [], 0
    for k in best:
        if k not in (0, last):
            out.append(CHARSET[k - 1])
        last = k
    return "".join(out)


def fold(text: str) -> str:
    """The text with letter O as digit 0, as the measure compares it."""
    return clean(text).replace("O", "0")


def loss(logits: Tensor, labels: Sequence[Labelled]) -> Tensor:
    """Mean CTC loss a character of logits [n,2T,37]: T steps for the upper line, T for the lower one."""
    scores = functional.log_softmax(logits.float(), -1)
    either = torch.logsumexp(scores[..., [ZERO, LETTER_O]], -1)
    merged = scores.clone()
    merged[..., ZERO] = either
    merged[..., LETTER_O] = NEVER
    folded = torch.tensor([label.folded for label in labels], device=logits.device)
    scores = torch.where(folded[:, None, None], merged, scores)
    targets = [encode(fold(label.text) if label.folded else label.text) for label in labels]
    half = logits.shape[1] // 2
    known = [k for k, label in enumerate(labels) if label.upper is not None]
    unknown = [k for k, label in enumerate(labels) if label.upper is None]
    lost = _lost(scores[known, :half], [targets[k][: labels[k].upper] for k in known])
    lost = lost + _lost(scores[known, half:], [targets[k][labels[k].upper :] for k in known])
    lost = lost + _lost(scores[unknown], [targets[k] for k in unknown])
    return lost / sum(map(len, targets))


def _lost(scores: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """The sum of the CTC losses of log shares [n,T,37]."""
    if not targets:
        return scores.sum()
    return functional.ctc_loss(
        scores.transpose(0, 1),
        torch.tensor([k for target in targets for k in target], device=scores.device),
        torch.full((len(targets),), scores.shape[1]),
        torch.tensor([len(target) for target in targets]),
        reduction="sum",
        zero_infinity=True,
    )

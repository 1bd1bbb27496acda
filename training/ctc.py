"""Between texts and the reader's output: targets, loss, greedy reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from training.data import CHARSET, clean

if TYPE_CHECKING:
    from collections.abc import Sequence

ZERO, LETTER_O = CHARSET.index("0") + 1, CHARSET.index("O") + 1
NEVER = -30.0


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


def loss(logits: Tensor, texts: Sequence[str], folded: Tensor) -> Tensor:
    """CTC loss of logits [n,T,37]; where `folded` [n] is set, O and 0 count as one character."""
    scores = functional.log_softmax(logits.float(), -1)
    either = torch.logsumexp(scores[..., [ZERO, LETTER_O]], -1)
    merged = scores.clone()
    merged[..., ZERO] = either
    merged[..., LETTER_O] = NEVER
    scores = torch.where(folded[:, None, None], merged, scores)
    targets = [encode(fold(t) if f else t) for t, f in zip(texts, folded.tolist(), strict=True)]
    return functional.ctc_loss(
        scores.transpose(0, 1),
        torch.tensor([k for target in targets for k in target], device=logits.device),
        torch.full((len(texts),), logits.shape[1]),
        torch.tensor([len(target) for target in targets]),
        zero_infinity=True,
    )

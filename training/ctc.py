"""Between texts and the reader's output: targets, loss, greedy reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge_agent.domain import folded
from training.data import CHARSET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ZERO, LETTER_O = CHARSET.index("0") + 1, CHARSET.index("O") + 1
NEVER = -30.0


class Labelled(NamedTuple):
    """What a plate says; upper is how many characters its upper line has, None where it is not known.

    Folded labels write O as 0. Without a text the characters do not count. The region is as regions.label gives it.
    """

    text: str | None
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


def loss(logits: Tensor, labels: Sequence[Labelled]) -> Tensor:
    """Mean loss of plates' logits [n,2T,37]: T steps for the upper line, T for the lower one.

    A plate's is its CTC loss a character, beyond 1 its logarithm plus 1: crops that nobody can read, and wrong
    labels, would else make up most of the mean.
    """
    scores = functional.log_softmax(logits.float(), -1)
    either = torch.logsumexp(scores[..., [ZERO, LETTER_O]], -1)
    merged = scores.clone()
    merged[..., ZERO] = either
    merged[..., LETTER_O] = NEVER
    alike = torch.tensor([label.folded for label in labels], device=logits.device)
    scores = torch.where(alike[:, None, None], merged, scores)
    texts = {k: label.text for k, label in enumerate(labels) if label.text is not None}
    targets = {k: encode(folded(text) if labels[k].folded else text) for k, text in texts.items()}
    half = logits.shape[1] // 2
    known = [k for k in targets if labels[k].upper is not None]
    unknown = [k for k in targets if labels[k].upper is None]
    apart = _lost(scores[known, :half], [targets[k][: labels[k].upper] for k in known])
    apart = apart + _lost(scores[known, half:], [targets[k][labels[k].upper :] for k in known])
    whole = _lost(scores[unknown], [targets[k] for k in unknown])
    lengths = torch.tensor([max(1, len(targets[k])) for k in (*known, *unknown)], device=logits.device)
    lost = torch.cat([apart, whole]) / lengths
    return torch.where(lost < 1, lost, 1 + lost.clamp(min=1).log()).mean()


def _lost(scores: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """The CTC losses [n] of log shares [n,T,37]."""
    if not targets:
        return scores.sum((1, 2))
    return functional.ctc_loss(
        scores.transpose(0, 1),
        torch.tensor([k for target in targets for k in target], device=scores.device),
        torch.full((len(targets),), scores.shape[1]),
        torch.tensor([len(target) for target in targets]),
        reduction="none",
        zero_infinity=True,
    )


def places(log_shares: NDArray[np.float32], text: str) -> list[int]:
    """The step of log shares [T,37] at which each character is surest, in the likeliest way to write the text.

    Viterbi over the text with blanks between (Graves 2006); empty where T steps cannot hold it.
    """
    states = [0, *(state for k in encode(text) for state in (k, 0))]
    scores = log_shares[:, states]
    best = np.full(len(states), -np.inf)
    best[:2] = scores[0, :2]
    may_skip = np.array([k > 1 and states[k] not in (0, states[k - 2]) for k in range(len(states))])
    came = []
    for score in scores[1:]:
        one = np.concatenate([[-np.inf], best[:-1]])
        two = np.where(may_skip, np.concatenate([[-np.inf, -np.inf], best])[: len(states)], -np.inf)
        ways = np.stack([best, one, two])
        came.append(ways.argmax(0))
        best = ways.max(0) + score
    state = len(states) - 1 - int(best[-2] > best[-1])
    if not np.isfinite(best[state]):
        return []
    path = [state]
    for back in reversed(came):
        path.append(path[-1] - int(back[path[-1]]))
    path.reverse()
    steps = [[step for step, at in enumerate(path) if at == k] for k in range(1, len(states), 2)]
    return [max(held, key=lambda step: scores[step, path[step]]) for held in steps]

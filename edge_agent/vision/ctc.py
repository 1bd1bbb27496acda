"""What the steps of a CTC network say (Graves et al., Connectionist Temporal Classification, 2006)."""

import numpy as np
from numpy.typing import NDArray

from edge_agent.domain import CharacterProbabilities


def collapse(steps: NDArray[np.float32]) -> CharacterProbabilities:
    """Turn [steps, 37] of a CTC network into one row a character of its best path.

    Each character owns the steps up to half-way to its neighbours; its row holds the highest share every other
    character reaches there, so that a doubt between two of them survives until the frames are fused.
    """
    best = steps.argmax(axis=1)
    changes = np.flatnonzero(np.diff(best, prepend=0))
    starts = changes[best[changes] > 0]
    if not len(starts):
        return CharacterProbabilities(np.zeros((0, steps.shape[1]), np.float32))
    ends = np.append(changes[1:], len(best))[best[changes] > 0]
    firsts = np.append(0, (ends[:-1] + starts[1:] + 1) // 2)
    rows = np.maximum.reduceat(steps, firsts, axis=0)
    rows[:, 0] = np.minimum.reduceat(steps[:, 0], firsts)
    return CharacterProbabilities(rows / rows.sum(axis=1, keepdims=True))

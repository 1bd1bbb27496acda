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
    starts = [i for i in range(len(best)) if best[i] and (i == 0 or best[i] != best[i - 1])]
    ends = [next((j for j in range(i, len(best)) if best[j] != best[i]), len(best)) for i in starts]
    rows = np.zeros((len(starts), steps.shape[1]), np.float32)
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        first = (ends[place - 1] + start + 1) // 2 if place else 0
        last = (end + starts[place + 1] + 1) // 2 if place + 1 < len(starts) else len(best)
        own = steps[first:last]
        rows[place] = own.max(axis=0)
        rows[place, 0] = own[:, 0].min()
        rows[place] /= rows[place].sum()
    return CharacterProbabilities(rows)

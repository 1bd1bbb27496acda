"""When a plate in sight need not be read again: its text is sure, and the picture of it no larger.

Reading takes longer than finding (`benchmarks.cameras`), and neighbouring frames say the same. A plate that comes
nearer is read again at each step, a doubtful one in every frame.
"""

import math
from dataclasses import dataclass

from edge_agent.domain import Box, Reading

SETTLED_BY, SETTLED_FROM = 2, 0.9
"""So many readings in a row that say the same, each so sure of its weakest character, settle a text."""

READ_AGAIN_WIDER, READ_AGAIN_AFTER_S = 1.1, 0.5
"""It is read again once it is so many times as wide or as narrow as when it was read last, and after so long:
another plate may have taken its place unseen."""


@dataclass(slots=True)
class Settled:
    """What a plate's last readings said."""

    _text: str = ""
    _alike: int = 0
    _at_s: float = -math.inf
    _width_px: float = 1.0

    def add(self, reading: Reading, at_s: float) -> None:
        """Take the next reading, at a monotonic time."""
        text = reading.characters.text()
        is_sure = reading.characters.confidence >= SETTLED_FROM
        self._alike = (self._alike + 1 if text == self._text else 1) if is_sure else 0
        self._text, self._at_s, self._width_px = text, at_s, reading.detection.box.width

    def covers(self, box: Box, at_s: float) -> bool:
        """Whether another reading, in that box at that time, would tell nothing new."""
        return (
            self._alike >= SETTLED_BY
            and at_s - self._at_s < READ_AGAIN_AFTER_S
            and 1 / READ_AGAIN_WIDER < box.width / self._width_px < READ_AGAIN_WIDER
        )

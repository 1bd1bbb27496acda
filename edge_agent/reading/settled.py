"""When a plate in sight need not be read again: its text is sure, and the picture of it neither larger nor another.

Reading takes longer than finding (`benchmarks.cameras`), and neighbouring frames say the same. A plate that comes
nearer is read again at each step, a doubtful one in every frame.
"""

import math

from edge_agent.domain import Box, Frame, Reading
from edge_agent.reading.appearance import Appearance

SETTLED_BY, SETTLED_FROM = 2, 0.9
"""So many readings in a row that say the same, each so sure of its weakest character, settle a text."""

READ_AGAIN_WIDER, READ_AGAIN_AFTER_S = 1.1, 0.5
"""It is read again once it is so many times as wide or as narrow as when it was read last, and after so long."""


class Settled:
    """What a plate's last readings said, and how it looked in the last frame."""

    def __init__(self, frame: Frame, reading: Reading) -> None:
        self._text, self._alike = "", 0
        self.read(frame, reading)

    def read(self, frame: Frame, reading: Reading) -> None:
        """Take a sight that was read."""
        text = reading.characters.text()
        is_sure = reading.characters.confidence >= SETTLED_FROM
        self._alike = (self._alike + 1 if text == self._text else 1) if is_sure else 0
        self._text, self._read_s, self._width_px = text, frame.stamp.monotonic_s, reading.detection.box.width
        self.followed(frame, reading.detection.box)

    def followed(self, frame: Frame, box: Box) -> None:
        """Take a sight that was not."""
        self._looks = Appearance(frame.image, box) if self._alike >= SETTLED_BY else None

    def covers(self, frame: Frame, box: Box) -> bool:
        """Whether another reading, in that box of the next frame, would tell nothing new."""
        return (
            self._looks is not None
            and frame.stamp.monotonic_s - self._read_s < READ_AGAIN_AFTER_S
            and abs(math.log(box.width / self._width_px)) < math.log(READ_AGAIN_WIDER)
            and self._looks.is_at(frame.image, box)
        )

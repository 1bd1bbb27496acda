"""Quarters of a picture, to look for far plates in at nearly twice the scale of a look at the whole."""

import math

from edge_agent.domain import Box, Detection, Image

QUARTERS = 4
LOOK_EVERY_S = 0.25
"""From one look at a quarter to the next: each is seen once a second, while what is in it is still followed. A look
in every frame reads no more of the far plates (docs/decisions/0007-far-plates-by-quarters.md)."""

BEYOND = 0.45
"""Of the picture's width and height, what a quarter leaves out: they overlap, so a far plate is whole in one."""

WIDEST = 0.08
"""Of the picture's width: what is wider is not far, and may be cut off by the quarter's edge."""

EDGE_PX = 2


class FarLooks:
    """Says when to look closer at a quarter of a camera's picture, and at which: at each in turn."""

    def __init__(self) -> None:
        self._looks, self._at_s = 0, -math.inf

    def due(self, at_s: float) -> tuple[int, ...]:
        """The quarter that it is time for at a monotonic time, if any: it is taken to be looked at."""
        if at_s - self._at_s < LOOK_EVERY_S:
            return ()
        self._looks, self._at_s = self._looks + 1, at_s
        return (self._looks % QUARTERS,)


def quarter(image: Image, number: int) -> tuple[Image, tuple[int, int]]:
    """A quarter (0..3, row by row) of a picture, and where its top left corner lies, in pixels."""
    height, width = image.shape[:2]
    down, across = divmod(number % QUARTERS, 2)
    beyond_x, beyond_y = int(width * BEYOND), int(height * BEYOND)
    x, y = across * beyond_x, down * beyond_y
    return image[y : y + height - beyond_y, x : x + width - beyond_x], (x, y)


def in_whole(found: list[Detection], corner: tuple[int, int], part: Image, image: Image) -> list[Detection]:
    """The far plates found in a quarter, in the pixels of the whole picture; none that its inner edges cut."""
    (x, y), (rows, columns), (height, width) = corner, part.shape[:2], image.shape[:2]
    return [
        Detection(
            box=Box(one.box.x1 + x, one.box.y1 + y, one.box.x2 + x, one.box.y2 + y),
            confidence=one.confidence,
            certain=one.certain,
        )
        for one in found
        if one.box.width <= WIDEST * width
        and (x == 0 or one.box.x1 >= EDGE_PX)
        and (y == 0 or one.box.y1 >= EDGE_PX)
        and (x + columns == width or one.box.x2 <= columns - EDGE_PX)
        and (y + rows == height or one.box.y2 <= rows - EDGE_PX)
    ]

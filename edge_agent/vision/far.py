"""Quarters of a picture, to look for far plates in at nearly twice the scale of a look at the whole."""

from edge_agent.domain import Box, Detection, Image

QUARTERS = 4
BEYOND = 0.45
"""Of the picture's width and height, what a quarter leaves out: they overlap, so a far plate is whole in one."""

WIDEST = 0.08
"""Of the picture's width: what is wider is not far, and may be cut off by the quarter's edge."""

EDGE_PX = 2


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

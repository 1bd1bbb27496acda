"""What a person sees drawn into a picture."""

import numpy as np
import pytest

from edge_agent.vision.annotate import COLOUR, annotate
from tests import fakes


@pytest.mark.parametrize("height", [40, 400])
def test_the_label_is_in_the_picture_however_little_room_there_is(height: int) -> None:
    image = np.full((height, 120), 90, np.uint8)
    drawn = annotate(image, [fakes.reading("ABC123", x=5, y=4, width=70)], unsure_below=0.5)
    assert (drawn == COLOUR).all(axis=2).sum() > 1000  # a filled label, not the box's lines alone

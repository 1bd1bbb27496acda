"""Sizes that the networks, their data and their manifest agree on."""

STRIDE = 8  # pixels a cell of the detector's map
BLOCK = 4  # pixels on a side that the detector takes as one cell
MIDDLE, SPREAD = 128 / 255, 4.0  # the detector sees (pixel - MIDDLE) * SPREAD of pixels in 0..1
CLASSES = 37  # 0 is the CTC blank, then 0-9A-Z
DETECTOR_INPUT = (384, 640)  # height, width
READER_INPUT = (64, 160)
MARGIN = 0.06  # of the box, on each side: boxes of the detector are smaller than labels where a plate is sharp

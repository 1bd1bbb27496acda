"""Sizes that the networks, their data and their manifest agree on."""

STRIDE = 8  # pixels a cell of the detector's map
CLASSES = 37  # 0 is the CTC blank, then 0-9A-Z
DETECTOR_INPUT = (384, 640)  # height, width
READER_INPUT = (64, 160)
MARGIN = 0.04  # of the box's width and height, added on each side before reading

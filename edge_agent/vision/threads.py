"""How many processor threads OpenCV may use; ONNX Runtime is told per network."""

import cv2


def limit_threads(threads: int) -> None:
    """Hold OpenCV to so many threads in the whole process."""
    cv2.setNumThreads(threads)

"""Keeps OpenCV and its FFmpeg from writing to the terminal: our one line says what is wrong, without a password."""

import os

import cv2


def hush() -> None:
    """Silence both; FFmpeg looks once, when OpenCV loads it: so it is done where a camera's module is imported."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

"""Still pictures on the disk: which files are pictures, and what they show."""

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.camera.damage import damage
from edge_agent.camera.quiet import hush
from edge_agent.domain import Image
from edge_agent.errors import PictureError

hush()

SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".jp2",
        ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm", ".hdr",
    }
)  # fmt: skip
"""What a directory's pictures are called; one that is named itself may be called anything."""


def list_pictures(directory: Path, *, without: str | None = None) -> tuple[list[Path], int]:
    """Walk a directory: its pictures in order, and how many other files it holds. Raises PictureError.

    Names that end as `without` says are other files.
    """
    if not os.access(directory, os.R_OK | os.X_OK):
        raise PictureError(f"{directory}: this user may not read the directory")
    entries = sorted(path for path in directory.rglob("*") if not path.is_dir())
    pictures = [
        path
        for path in entries
        if path.suffix.lower() in SUFFIXES and path.is_file() and not (without and path.name.endswith(without))
    ]
    return pictures, len(entries) - len(pictures)


def decode(path: Path) -> Image:
    """Read a picture file: uint8 gray or blue-green-red, turned as its EXIF tag says. Raises PictureError."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise PictureError(f"{path}: not a regular file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror}") from None
    if not content:
        raise PictureError(f"{path}: the file is empty")
    if wrong := damage(content):
        raise PictureError(f"{path}: {wrong}")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error as error:
        reason = error.err if isinstance(error.err, str) else "refused"
        raise PictureError(f"{path}: cannot be decoded: {reason.splitlines()[0]}") from None
    if pixels is None:
        raise PictureError(f"{path}: not a picture of a known format, or damaged")
    return _to_uint8(np.asarray(pixels))


def _to_uint8(pixels: NDArray[np.generic]) -> Image:
    """Bring 16-bit and floating-point pixels to 0..255 by their own range; 8-bit ones stay as they are.

    What is infinite or no number does not count for the range: it becomes its end.
    """
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    values = pixels.astype(np.promote_types(pixels.dtype, np.float32))
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return np.asarray((values - low) * (255 / max(high - low, 1e-6)), np.uint8)

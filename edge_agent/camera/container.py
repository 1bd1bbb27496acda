"""What a video's container says of itself: whether its end is missing, and whether it counts its frames.

MP4 and MOV: ISO/IEC 14496-12; Matroska and WebM: RFC 9559; AVI: Microsoft's RIFF.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MP4_BEGINS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MP4_HOLDS = (b"moov", b"moof", b"mdat")
_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of a video file before it is played.

    cut_off: it is shorter than it says. counts: it stores how many frames it holds; where it does not, OpenCV gives
    its duration by its frame rate, which is no count of what is there.
    """

    cut_off: bool = False
    counts: bool = False


def inspect(path: Path) -> Container:
    """Look at a file's outermost structure; of one of another kind nothing is known. Raises OSError."""
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in _MP4_BEGINS:
            boxes = list(_boxes(file, length))
            fragmented = any(kind == b"moof" for kind, _ in boxes)
            return Container(
                cut_off=any(end > length for kind, end in boxes if kind in _MP4_HOLDS), counts=not fragmented
            )
        if head.startswith(b"RIFF"):
            return Container(cut_off=int.from_bytes(head[4:8], "little") + 8 > length)
        if head.startswith(_EBML):
            return Container(cut_off=_segment_end(file) > length)
    return Container()


def _boxes(file: BinaryIO, length: int) -> Iterator[tuple[bytes, int]]:
    """The kinds of a file's outermost boxes, and where each should end."""
    at = 0
    while at + 8 <= length:
        file.seek(at)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:  # to the end of the file
            size = length - at
        at += max(8, size)
        yield head[4:8], at


def _segment_end(file: BinaryIO) -> int:
    """Where the segment, which is all but the head, should end; 0 where it does not say."""
    file.seek(len(_EBML))
    file.seek(_size(file) or 0, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return 0
    size = _size(file)
    return file.tell() + size if size is not None else 0


def _size(file: BinaryIO) -> int | None:
    """A size of variable length; None where it is left open, as while a stream is written."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    bits = 7 * (more + 1)
    value = int.from_bytes(first + file.read(more), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value

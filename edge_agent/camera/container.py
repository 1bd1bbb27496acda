"""What a video's container says of itself: whether some of it is missing, and whether it counts its frames.

MP4 and MOV: ISO/IEC 14496-12; Matroska and WebM: RFC 9559; AVI: Microsoft's RIFF; transport_stream.py has MPEG's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_agent.camera import transport_stream

_MP4_BEGINS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MP4_HOLDS = (b"moov", b"moof", b"mdat")
_EBML, _SEGMENT, _CLUSTER = b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x1fC\xb6u"
_IN_SEGMENT = frozenset(
    bytes.fromhex(one)
    for one in (
        "1f43b675", "114d9b74", "1549a966", "1654ae6b", "1c53bb6b", "1941a469", "1043a770", "1254c367", "ec", "bf",
        "e7", "a3", "a0", "ab", "a7", "af", "5854",  # in a cluster: its time, its blocks and what is said of them
    )
)  # fmt: skip

_HEAD = 3 * max(length for length, _ in transport_stream.LAYOUTS)


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of a video file before it is played.

    cut_off: it is shorter than it says. broken: parts of it cannot be followed. counts: it stores how many frames
    it holds; where it does not, OpenCV gives its duration by its frame rate, which is no count of what is there.
    """

    cut_off: bool = False
    broken: bool = False
    counts: bool = False


def inspect(path: Path) -> Container:
    """Look at a file's outermost structure; of one of another kind nothing is known. Raises OSError."""
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head[4:8] in _MP4_BEGINS:
            boxes = list(_boxes(file, length))
            fragmented = any(kind == b"moof" for kind, _ in boxes)
            return Container(
                cut_off=any(end > length for kind, end in boxes if kind in _MP4_HOLDS), counts=not fragmented
            )
        if head.startswith(b"RIFF"):
            return Container(cut_off=int.from_bytes(head[4:8], "little") + 8 > length)
        if head.startswith(_EBML):
            begin, end = _segment(file, length)
            return Container(cut_off=end > length, broken=_is_broken(file, begin, min(end, length)))
    if packets := transport_stream.layout(head):
        return Container(broken=transport_stream.has_lost(path, packets))
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


def _segment(file: BinaryIO, length: int) -> tuple[int, int]:
    """Where the segment, which is all but the head, begins and should end: with the file where it does not say."""
    file.seek(len(_EBML))
    file.seek(_size(file) or 0, 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return length, length
    size = _size(file)
    return file.tell(), length if size is None else file.tell() + size


def _is_broken(file: BinaryIO, at: int, end: int) -> bool:
    """Whether a segment's elements do not follow each other to its end; clusters are gone into."""
    while at < end:
        file.seek(at)
        kind = _kind(file)
        size = _size(file)
        if kind not in _IN_SEGMENT or (size is None and kind != _CLUSTER):
            return True
        at = file.tell() + (0 if kind == _CLUSTER or size is None else size)
    return False


def _kind(file: BinaryIO) -> bytes:
    """An element's identifier; empty where there is none."""
    first = file.read(1)
    return first + file.read(8 - first[0].bit_length()) if first and first[0] else b""


def _size(file: BinaryIO) -> int | None:
    """A size of variable length; None where it is left open, as while a stream is written."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    bits = 7 * (more + 1)
    value = int.from_bytes(first + file.read(more), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value

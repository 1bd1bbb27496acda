"""The write-ahead log of an outbox, frame by frame: SQLite stops at the first damaged one, and says nothing.

The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import functools
import itertools
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from edge_agent.outbox.file import PAGE_BYTES, index_of, is_empty

_LITTLE, _BIG = 0x377F0682, 0x377F0683
_NATIVE = _LITTLE if sys.byteorder == "little" else _BIG
_MAGIC = {_LITTLE: "<u4", _BIG: ">u4"}
"""How the words are laid that are summed."""

_HEADER, _FRAME = struct.Struct(">8I"), struct.Struct(">6I")
_SUMMED_BYTES = 24
"""Of the log's header, before its sum."""

_CHECKED_BYTES = 8
"""Of a frame's header, before its page."""

_PART_BYTES = 1 << 20

_INDEX_BYTES, _INDEX_SALTS = 48, slice(32, 40)
"""Of each of the two headers that the index beside the log begins with, and what the log's frames have there."""


@dataclass(frozen=True, slots=True)
class Log:
    """Pages by their numbers as the last readable commit left them; whether something before it is damaged."""

    pages: dict[int, bytes]
    is_damaged: bool


def read_log(path: Path) -> Log:
    """Look at every frame of a log, also behind a damaged one; of what cannot be read SQLite says why.

    A power cut can tear the last transaction, which nobody was told of; but it was written after the others were on
    the disk. So two commits behind a damaged frame were damaged later; and so was the header before any, and a file
    that is empty beside them.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except OSError:
        return Log({}, is_damaged=False)


def log_bytes(frames: int, page_bytes: int) -> int:
    """How many bytes of a log so many frames take, with its header."""
    return _HEADER.size + frames * (_FRAME.size + page_bytes)


def is_unused(path: Path) -> bool:
    """Whether nothing was written into a log since it was emptied: it may keep room on the disk, of zeros."""
    try:
        with path.open("rb") as file:
            file.seek(_HEADER.size)
            return all(part.count(0) == len(part) for part in iter(lambda: file.read(_PART_BYTES), b""))
    except OSError:
        return True


def raw_pages(path: Path) -> Iterator[bytes]:
    """Whatever lies where a log has pages, of any frame. Raises OSError."""
    with path.open("rb") as file:
        file.seek(_HEADER.size)
        while len(frame := file.read(_FRAME.size + PAGE_BYTES)) == _FRAME.size + PAGE_BYTES:
            yield frame[_FRAME.size :]


def _begins(header: bytes) -> bool:
    """Whether a log's header is one."""
    if len(header) < _HEADER.size:
        return False
    magic, *_, sum1, sum2 = _HEADER.unpack(header)
    words = _MAGIC.get(magic, "")
    return bool(words) and _summed(header[:_SUMMED_BYTES], [0, 0], words) == (sum1, sum2)


def _read(file: IO[bytes], path: Path) -> Log:
    header, start = file.read(_HEADER.size), _HEADER.size
    whole = iter(lambda: file.read(_FRAME.size + PAGE_BYTES), b"")  # one by one: what a reader held up may be large
    frame = next(whole, b"")
    if len(frame) < _FRAME.size + PAGE_BYTES:
        return Log({}, is_damaged=False)
    magic, _format, _page_bytes, _number, *salts, sum1, sum2 = _HEADER.unpack(header)
    words = _MAGIC.get(magic, "")
    begins = _begins(header)
    if not begins:  # it was on the disk before the frames: they tell what it said
        words = _MAGIC[_NATIVE]
        salts = list(_salts_of_frames(path))
    most_pages = _most_pages(path)
    before = [sum1, sum2]
    frames: list[tuple[int, bool, int]] = []  # number of the page, whether it ends a commit, where the page begins
    sound, behind = 0, 0  # frames up to the last commit before the first damage; commits behind it
    is_damaged = not begins
    while len(frame) == _FRAME.size + PAGE_BYTES:
        number, size, *its_salts, sum1, sum2 = _FRAME.unpack_from(frame)
        checked = frame[:_CHECKED_BYTES] + frame[_FRAME.size :]
        # Of the first one behind a damaged header no more can be told.
        is_first = not begins and start == _HEADER.size and 0 < number <= most_pages
        if its_salts == salts and (is_first or _summed(checked, before, words) == (sum1, sum2)):
            frames.append((number, size > 0, start + _FRAME.size))
            if size and is_damaged:
                behind += 1
            elif size:
                sound = len(frames)
        else:
            is_damaged = True
        before = [sum1, sum2]
        start += len(frame)
        frame = next(whole, b"")
    is_damaged = behind > (1 if begins else 0)
    if is_damaged:
        sound = max(k for k, (_, ends, _) in enumerate(frames, start=1) if ends)
    last = {number: place for number, _, place in frames[:sound]}
    is_damaged = is_damaged or (len(last) > 1 and is_empty(_outbox(path)))  # a read takes two pages at least
    return Log({number: _page(file, place) for number, place in last.items()}, is_damaged)


def _most_pages(path: Path) -> int:
    """That an outbox can have with what is in its log; the log may lie there alone."""
    return sum(one.stat().st_size for one in (_outbox(path), path) if one.exists()) // PAGE_BYTES


def _outbox(path: Path) -> Path:
    return path.with_name(path.name.removesuffix("-wal"))


def _indexed_salts(path: Path) -> tuple[int, int] | None:
    """What the index beside a log says that its frames have: those of before it last began anew have others.

    This process must have no connection: to close any descriptor of the index ends SQLite's locks on it.
    """
    try:
        with index_of(_outbox(path)).open("rb") as file:
            first, second = file.read(_INDEX_BYTES), file.read(_INDEX_BYTES)
    except OSError:
        return None
    if len(second) < _INDEX_BYTES or first != second or not any(first[_INDEX_SALTS]):
        return None
    one, two = struct.unpack(">2I", first[_INDEX_SALTS])
    return one, two


def _salts_of_frames(path: Path) -> tuple[int, int]:
    """Those that the index says, where a frame has them: whoever looked in may have made it of a damaged header.

    Else of the first two that have the same, or the first; those of before the log last began anew lie behind.
    """
    with path.open("rb") as file:
        starts = range(_HEADER.size, path.stat().st_size - _FRAME.size, _FRAME.size + PAGE_BYTES)
        heads = (os.pread(file.fileno(), _FRAME.size, start) for start in starts)
        every = [_FRAME.unpack(head)[2:4] for head in heads if len(head) == _FRAME.size]  # another may cut it now
    if (indexed := _indexed_salts(path)) in every:
        return indexed
    return next((one for one, two in itertools.pairwise(every) if one == two and any(one)), (every or [(0, 0)])[0])


def _page(file: IO[bytes], place: int) -> bytes:
    file.seek(place)
    return file.read(PAGE_BYTES)


def _summed(content: bytes, before: list[int], words: str) -> tuple[int, int]:
    """SQLite's sum of a frame: of each pair of words s1 += x1 + s2, s2 += x2 + s1; here all pairs at once."""
    x = np.frombuffer(content, words).astype(np.uint64).reshape(-1, 2)
    weights, of_before = _weights(len(x))
    sums = np.einsum("kij,kj->i", weights, x) + of_before @ np.array(before, np.uint64)
    s1, s2 = (int(one) % 2**32 for one in sums)
    return s1, s2


@functools.cache
def _weights(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """What each of so many pairs counts in the sums [count, 2, 2], and the sums before them [2, 2]; modulo 2^32."""
    step, taken = np.array([[1, 1], [1, 2]], np.uint64), np.array([[1, 0], [1, 1]], np.uint64)
    power = np.eye(2, dtype=np.uint64)
    weights = np.empty((count, 2, 2), np.uint64)
    for k in reversed(range(count)):
        weights[k] = power @ taken % 2**32
        power = power @ step % 2**32
    return weights, power

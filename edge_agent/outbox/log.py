"""The write-ahead log of an outbox, frame by frame: SQLite stops at the first damaged one, and says nothing.

The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import functools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}
"""How the words are laid that are summed."""

_HEADER, _FRAME = struct.Struct(">8I"), struct.Struct(">6I")
_CHECKED_BYTES = 8
"""Of a frame's header, before its page."""


@dataclass(frozen=True, slots=True)
class Log:
    """Pages by their numbers as the last readable commit left them; whether something before it is damaged."""

    pages: dict[int, bytes]
    is_damaged: bool


def read_log(path: Path) -> Log:
    """Look at every frame of a log, also behind a damaged one; of what cannot be read SQLite says why.

    A power cut can tear the last transaction, which nobody was told of; but it was written after the others were on
    the disk. So two commits behind a damaged frame were damaged later.
    """
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if len(content) < _HEADER.size:
        return Log({}, is_damaged=False)
    magic, _format, page_bytes, _number, *salts_and_sums = _HEADER.unpack_from(content)
    if magic not in _MAGIC or not 512 <= page_bytes <= 65536:
        return Log({}, is_damaged=False)
    salts, before = salts_and_sums[:2], salts_and_sums[2:]
    frames: list[tuple[int, bool, bytes]] = []  # number of the page, whether it ends a commit, the page
    sound, behind = 0, 0  # frames up to the last commit before the first damage; commits behind it
    is_damaged = False
    for start in range(_HEADER.size, len(content) - _FRAME.size - page_bytes + 1, _FRAME.size + page_bytes):
        number, size, *its_salts, sum1, sum2 = _FRAME.unpack_from(content, start)
        page = content[start + _FRAME.size : start + _FRAME.size + page_bytes]
        checked = content[start : start + _CHECKED_BYTES] + page
        if its_salts == salts and _summed(checked, before, _MAGIC[magic]) == (sum1, sum2):
            frames.append((number, size > 0, page))
            if size and is_damaged:
                behind += 1
            elif size:
                sound = len(frames)
        else:
            is_damaged = True
        before = [sum1, sum2]
    is_damaged = behind > 1
    if is_damaged:
        sound = max(k for k, (_, ends, _) in enumerate(frames, start=1) if ends)
    return Log({number: page for number, _, page in frames[:sound]}, is_damaged)


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

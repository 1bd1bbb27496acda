"""Whether an MPEG transport stream has lost packets (ISO/IEC 13818-1): each kind is counted, modulo 16."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SYNC = 0x47
PACKET = 188
LAYOUTS = ((PACKET, 0), (PACKET + 4, 4))
"""How long a packet is in the file and where in it it begins: Blu-ray and camcorders write a time before each."""

NULL_PID = 0x1FFF
AT_ONCE = 1 << 16  # packets

_Packets = NDArray[np.uint8]


def layout(head: bytes) -> tuple[int, int] | None:
    """How a file's packets lie, one of LAYOUTS; None where this is no transport stream."""
    return next((one for one in LAYOUTS if head[one[1] :: one[0]][:3] == bytes([SYNC]) * 3), None)


def has_lost(path: Path, packets: tuple[int, int]) -> bool:
    """Whether packets are missing, out of step, or marked as damaged. Raises OSError."""
    length, begin = packets
    if path.stat().st_size % length:
        return True
    counts: dict[int, int] = {}
    with path.open("rb") as file:
        while content := file.read(AT_ONCE * length):
            rows = np.frombuffer(content, np.uint8).reshape(-1, length)[:, begin:]
            if (rows[:, 0] != SYNC).any() or (rows[:, 1] & 0x80).any() or _skips(rows, counts):
                return True
    return False


def _skips(rows: _Packets, counts: dict[int, int]) -> bool:
    """Whether a count jumps where no packet says that it will; counts has the last of each kind before these."""
    pids = (rows[:, 1].astype(np.uint16) & 0x1F) << 8 | rows[:, 2]
    counted = (rows[:, 3] & 0x10 > 0) & (pids != NULL_PID)
    rows, pids = rows[counted], pids[counted]
    announced = (rows[:, 3] & 0x20 > 0) & (rows[:, 4] > 0) & (rows[:, 5] & 0x80 > 0)
    for pid in np.unique(pids).tolist():
        own = pids == pid
        numbers = rows[own, 3] & 0x0F
        before = np.concatenate(([counts.get(pid, (int(numbers[0]) - 1) & 0x0F)], numbers[:-1]))
        counts[pid] = int(numbers[-1])
        steps = (numbers.astype(np.int16) - before) & 0x0F
        begins_anew = numbers == 0  # where recordings were put one behind the other
        if ((steps > 1) & ~announced[own] & ~begins_anew).any():
            return True
    return False

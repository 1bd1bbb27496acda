"""Programs beside us that can be killed and looked at."""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.services.demo import processes


class Server(processes.Program):
    """A program that is gone with us."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes took together: memory now, shared pages counted once (MiB), and processor time (s) so far."""

    memory_mib: float = 0.0
    processor_s: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.memory_mib + other.memory_mib, self.processor_s + other.processor_s)


def usage(pids: Iterable[int | None]) -> Usage:
    """Ask the kernel about processes and their children; one that is gone took nothing."""
    return sum((_one(pid) for parent in pids if parent for pid in (parent, *_children(parent))), Usage())


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def _one(pid: int) -> Usage:
    try:
        # The proportional set: PostgreSQL's processes share most of what each of them has.
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        times = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return Usage()
    kib = next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return Usage(kib / 1024, (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"))

"""Runs a program as its user does, and notes when its first line came and how much memory it took at most."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import EdgeAgentError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a program to its end."""

    lines: tuple[str, ...]
    first_line_s: float
    """Seconds from the start of the process to its first line; to its end where it printed none."""

    peak_mib: float
    """The most memory that was resident (ru_maxrss of wait4(2)); never less than this process's own."""

    exit_status: int
    complaint: str
    """The last line on its stderr."""


def run(command: Sequence[str], *, name: str, limit_s: float) -> Ran:
    """Run a command. Raises EdgeAgentError where it cannot be started or takes longer than limit_s."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile() as errors:
        started_s = time.monotonic()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": path},
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise EdgeAgentError(f"{name} cannot be started: {error.strerror}") from None
        with process:
            lines, first_line_s, peak_kib, late = _follow(process, started_s=started_s, limit_s=limit_s)
        if late:
            raise EdgeAgentError(f"{name} took longer than {limit_s:.0f} s and was ended")
        errors.seek(0)
        complaints = errors.read().decode(errors="replace").strip().splitlines()
    return Ran(
        lines=tuple(lines),
        first_line_s=first_line_s,
        peak_mib=peak_kib / 1024,
        exit_status=process.returncode,
        complaint=complaints[-1].strip() if complaints else "",
    )


def _follow(
    process: subprocess.Popen[str], *, started_s: float, limit_s: float
) -> tuple[list[str], float, int, bool]:
    """Take a process's lines to its end: lines, seconds to the first, peak memory in KiB, whether it was ended."""
    late = threading.Event()

    def end() -> None:
        late.set()
        os.kill(process.pid, signal.SIGKILL)

    limit = threading.Timer(limit_s, end)
    limit.start()
    lines: list[str] = []
    first_line_s: float | None = None
    try:
        for line in process.stdout or ():
            first_line_s = first_line_s or time.monotonic() - started_s
            lines.append(line.rstrip("\n"))
        # The process is not reaped before the timer is still: its number cannot have become another's.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except BaseException:
        os.kill(process.pid, signal.SIGKILL)
        raise
    finally:
        limit.cancel()
        limit.join()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if first_line_s is None:
        first_line_s = time.monotonic() - started_s
    return lines, first_line_s, usage.ru_maxrss, late.is_set()

"""Runs edge-agent as its user does: a process with its exit status, stdout and stderr."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "edge_agent")
TIMEOUT_S = 120


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The surroundings of the program: a wide, plain terminal."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "140", "TERM": "dumb", **(extra or {})}


def edge_agent(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )

"""Runs edge-agent as its user does: a process with its exit status, stdout and stderr."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "edge_agent")
TIMEOUT_S = 120
SET_BY_US = "ORT_DISABLE_TELEMETRY"
"""The program sets it for itself; what the tests' own process set must not help it."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The surroundings of the program: a wide, plain terminal."""
    inherited = {k: v for k, v in os.environ.items() if k != SET_BY_US}
    return {**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "140", "TERM": "dumb", **(extra or {})}


def edge_agent(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with variables in its environment."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
    )

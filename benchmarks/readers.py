"""Readers side by side: the same pictures, in turns, so that a busy machine is as unkind to one as to the other."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import lines, program
from edge_agent.errors import EdgeAgentError

PICTURES_A_TURN = 25
"""Each turn is a process: with 25 pictures the first one, which is slower, lies beyond the 95th percentile."""

LIMIT_S, LIMIT_PER_PICTURE_S = 120.0, 10.0


@dataclass(frozen=True, slots=True)
class Reader:
    """A program that takes pictures and prints lines.Picture for each."""

    name: str
    command: tuple[str, ...]


@dataclass(slots=True)
class Measured:
    """What a reader showed in all its turns."""

    reader: Reader
    pictures: dict[str, lines.Picture] = field(default_factory=dict)
    first_read_s: list[float] = field(default_factory=list)
    """Seconds from the start of the process to its first line, one a turn."""

    peak_mib: float = 0.0

    @property
    def timings(self) -> dict[str, lines.Timing]:
        """The pictures that were read, with their milliseconds."""
        return {name: one.timing_ms for name, one in self.pictures.items() if one.timing_ms is not None}


def ours(*, threads: int, engine: str | None = None, models: Path | None = None) -> Reader:
    """The program as its user runs it, perhaps with another engine or other networks."""
    command = [sys.executable, "-m", "edge_agent", "read", "--jsonl", "--threads", str(threads)]
    name = "edge-agent"
    if engine is not None:
        command += ["--engine", engine]
        name += f", {engine}"
    if models is not None:
        command += ["--models", str(models)]
        name += f", {models.name}"
    return Reader(name=name, command=tuple(command))


def peer(script: Path) -> Reader:
    """Another reader's script. Raises EdgeAgentError where there is none."""
    if not script.is_file():
        raise EdgeAgentError(f"{script}: there is no such reader script")
    return Reader(name="the peer", command=(sys.executable, str(script)))


def measure(readers: Sequence[Reader], pictures: Sequence[Path]) -> list[Measured]:
    """Let the readers take turns, each turn in the opposite order of the last. Raises EdgeAgentError."""
    measured = [Measured(reader=reader) for reader in readers]
    order = list(measured)
    for start in range(0, len(pictures), PICTURES_A_TURN):
        for one in order:
            _take_turn(one, [str(path) for path in pictures[start : start + PICTURES_A_TURN]])
        order.reverse()
    for one in measured:
        if not one.timings:
            first = next(iter(one.pictures.values()))
            raise EdgeAgentError(f"{one.reader.name} could read none of the pictures: {first.error}")
    return measured


def _take_turn(measured: Measured, paths: Sequence[str]) -> None:
    name = measured.reader.name
    ran = program.run(
        [*measured.reader.command, *paths], name=name, limit_s=LIMIT_S + LIMIT_PER_PICTURE_S * len(paths)
    )
    results = [lines.parse(line, lines.Picture, printed_by=name) for line in ran.lines if line.strip()]
    # A reader that met a picture it cannot read may say so with its exit status too.
    if ran.exit_status and not any(one.error for one in results):
        raise EdgeAgentError(
            f"{name} failed with exit status {ran.exit_status}: {ran.complaint or 'no reason given'}"
        )
    by_path = {one.image: one for one in results}
    for path in paths:
        if path not in by_path:
            raise EdgeAgentError(f"{name} printed no line for {path}")
        if by_path[path].timing_ms is None and by_path[path].error is None:
            raise EdgeAgentError(f"{name} gave no timing_ms for {path}")
        measured.pictures[path] = by_path[path]
    measured.first_read_s.append(ran.first_line_s)
    measured.peak_mib = max(measured.peak_mib, ran.peak_mib)

"""One simulated drive through the pipeline onto the disk: python -m benchmarks.timed_drive SECONDS THREADS SEED.

Prints lines.DriveFrame a frame, then lines.DriveEnd. A process of its own, so that its memory and its start can be
measured from outside.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.lines import DriveEnd, DriveFrame
from edge_agent import host, wiring
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.config.settings import AgentSettings, ModelSettings, MqttSettings, StateSettings, VehicleSettings
from edge_agent.domain import Frame, Read
from edge_agent.errors import EdgeAgentError
from edge_agent.pipeline import Look, Pipeline
from edge_agent.services.demo.account import settle

VEHICLE = VehicleSettings(agency="bench", id="car-1")
RATE_FPS = 15.0

Keep = Callable[[Sequence[Read]], None]


def main(arguments: Sequence[str]) -> int:
    seconds, threads, seed = float(arguments[0]), int(arguments[1]), int(arguments[2])
    try:
        drive(seconds=seconds, threads=threads, seed=seed)
    except EdgeAgentError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def drive(*, seconds: float, threads: int, seed: int) -> None:
    """Drive once, printing what each frame took. Raises EdgeAgentError."""
    started = time.perf_counter()
    camera = SimCamera(name="sim", now=host.now, seed=seed, seconds=seconds, rate_fps=RATE_FPS, pace="fast")
    camera.open()
    build_ms = _since(started)
    reads: list[Read] = []
    with tempfile.TemporaryDirectory(prefix="edge-agent-bench-") as directory, ExitStack() as opened:
        settings = AgentSettings(
            vehicle=VEHICLE,
            state=StateSettings(directory=Path(directory)),
            mqtt=MqttSettings(host="127.0.0.1", tls=False),
            models=ModelSettings(threads=threads),
        )
        pipeline = wiring.pipeline(models=settings.models, reading=settings.reading, tracking=settings.tracking)
        outbox = opened.enter_context(wiring.outbox(settings))
        # The car's own way to the disk; its publisher is never started, so nothing is sent.
        keep = wiring.keep_reads(settings, outbox, wiring.publisher(settings, outbox))
        while True:
            drawn = time.perf_counter()
            frame = camera.read()
            if frame is None:
                break
            found, line = measure(frame, render_ms=_since(drawn), pipeline=pipeline, keep=keep)
            reads += found
            print(line.model_dump_json(), flush=True)
        last = pipeline.finish()
        keep(last)
        reads += last
        account = settle(
            truth=camera.truth(), reads=reads, committed=outbox.status().last_seq, stored=(), undelivered=0
        )
    end = DriveEnd(
        build_ms=build_ms,
        passed=account.passed,
        captured=account.captured,
        right=account.right,
        wrong=account.wrong,
        duplicates=account.duplicates,
        false_reads=account.false_reads,
        committed=account.committed,
    )
    print(end.model_dump_json(), flush=True)


def measure(frame: Frame, *, render_ms: float, pipeline: Pipeline, keep: Keep) -> tuple[list[Read], DriveFrame]:
    """Take one frame through the pipeline onto the disk; give the reads it completed and what it took."""
    looks: list[Look] = []
    started = time.perf_counter()
    reads = pipeline.step(frame, looked=lambda _frame, look: looks.append(look))
    step_ms, commit_ms = _since(started), None
    detect_ms, read_ms = sum(one.detect_ms for one in looks), sum(one.read_ms for one in looks)
    if reads:
        started = time.perf_counter()
        keep(reads)
        commit_ms = _since(started)
    return reads, DriveFrame(
        render=render_ms, detect=detect_ms, read=read_ms, track=step_ms - detect_ms - read_ms, commit=commit_ms
    )


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

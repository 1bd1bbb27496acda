"""Cameras that play recordings over and over, through the complete agent.

python -m benchmarks.timed_cameras SECONDS decode|agent VIDEO... prints one lines.CamerasEnd. A process of its own,
so that its time and memory are its alone. `decode` plays them at the same pace and lets the frames go.
"""

import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.lines import CamerasEnd
from edge_agent import host, wiring
from edge_agent.camera.files import FilesCamera
from edge_agent.config.settings import AgentSettings, ModelSettings, MqttSettings, StateSettings, VehicleSettings
from edge_agent.domain import Frame, Read
from edge_agent.errors import EdgeAgentError
from edge_agent.host import ServiceManager
from edge_agent.latest import Latest
from edge_agent.pipeline import Look, Pipeline
from edge_agent.services.agent import Agent
from edge_agent.services.demo import processes
from edge_agent.services.line import CameraLine

VEHICLE = VehicleSettings(agency="bench", id="car-1")
SAMPLE_S = 1.0


class Looping:
    """A recording that begins anew when it ends."""

    def __init__(self, path: Path) -> None:
        self._camera = FilesCamera(name=path.stem, path=path, pace="recorded", now=host.now)

    def open(self) -> None:
        self._camera.open()

    def read(self) -> Frame | None:
        frame = self._camera.read()
        if frame is None:
            self._camera.open()
            frame = self._camera.read()
        return frame

    def close(self) -> None:
        self._camera.close()


class Timed:
    """A camera's pipeline that keeps the times of its stages."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.detect_ms: list[float] = []
        self.read_ms: list[float] = []
        self.follow_ms: list[float] = []
        """What is left of a frame: whether it shows something new, tracking and fusing."""
        self._looked_ms = 0.0

    @property
    def in_sight(self) -> bool:
        return self._pipeline.in_sight

    def step(self, frame: Frame, *, quarters: Iterable[int]) -> list[Read]:
        began_s, self._looked_ms = time.perf_counter(), 0.0
        reads = self._pipeline.step(frame, quarters=quarters, looked=self._looked)
        self.follow_ms.append((time.perf_counter() - began_s) * 1e3 - self._looked_ms)
        return reads

    def advance(self, now_s: float) -> list[Read]:
        return self._pipeline.advance(now_s)

    def finish(self) -> list[Read]:
        return self._pipeline.finish()

    def _looked(self, _frame: Frame, look: Look) -> None:
        self.detect_ms.append(look.detect_ms)
        self.read_ms.append(look.read_ms)
        self._looked_ms = look.detect_ms + look.read_ms


def decode(videos: Sequence[Path], stop: threading.Event) -> CamerasEnd:
    """Play and let go."""
    frames = [0] * len(videos)

    def play(number: int, path: Path) -> None:
        camera = Looping(path)
        camera.open()
        while not stop.is_set():
            camera.read()
            frames[number] += 1

    threads = [threading.Thread(target=play, args=(k, path)) for k, path in enumerate(videos)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began_s
    return CamerasEnd(seconds=seconds, cpu_s=_cpu_s(), frames=frames, processed=frames)


def agent(videos: Sequence[Path], stop: threading.Event) -> CamerasEnd:
    """The whole agent with a broker and a central store of its own. Raises EdgeAgentError."""
    delays: list[float] = []
    commits: list[float] = []
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="edge-agent-bench-")))
        port = processes.free_port()
        broker = processes.broker(port=port, directory=scratch)
        store = processes.store(port=port, database=scratch / "store.db", directory=scratch)
        for program in (broker, store):
            opened.callback(program.stop)
            program.start()
            if program is broker:
                processes.wait_for_port(broker, port)
        settings = AgentSettings(
            vehicle=VEHICLE,
            state=StateSettings(directory=scratch / "state"),
            mqtt=MqttSettings(host="127.0.0.1", port=port, tls=False),
            models=ModelSettings(threads=1),
        )
        outbox = wiring.outbox(settings)
        publisher = wiring.publisher(settings, outbox)
        keep = wiring.keep_reads(settings, outbox, publisher)

        def timed_keep(reads: Sequence[Read]) -> None:
            began_s = time.monotonic()
            keep(reads)
            ended_s = time.monotonic()
            commits.append((ended_s - began_s) * 1e3)
            delays.extend(ended_s - read.last.monotonic_s for read in reads if not read.revision)

        lines, timed = [], []
        for path in videos:
            latest: Latest[Frame] = Latest()
            timed.append(
                Timed(wiring.pipeline(models=settings.models, reading=settings.reading, tracking=settings.tracking))
            )
            lines.append(
                CameraLine(
                    name=path.stem,
                    capture=wiring.capture(path.stem, Looping(path), latest),
                    latest=latest,
                    pipeline=timed[-1],
                    keep=timed_keep,
                    tell_lost=outbox.not_written,
                    max_fps=settings.reading.max_fps,
                    far_plates=settings.reading.far_plates,
                )
            )
        samples = _Samples(lambda: outbox.status().pending)
        service = Agent(
            outbox=outbox,
            publisher=publisher,
            lines=lines,
            service_manager=ServiceManager(address=None, watchdog_s=None),
            tick=samples.tick,
        )
        began_s = time.monotonic()
        service.run(stop)
        seconds = time.monotonic() - began_s
    return CamerasEnd(
        seconds=seconds,
        cpu_s=_cpu_s(),
        frames=[line.status.capture.frames for line in lines],
        processed=[line.status.processed for line in lines],
        detect_ms=[ms for one in timed for ms in one.detect_ms],
        read_ms=[ms for one in timed for ms in one.read_ms],
        follow_ms=[ms for one in timed for ms in one.follow_ms],
        commit_ms=commits,
        delay_s=delays,
        memory_mib=samples.memory_mib,
        waiting=samples.waiting,
    )


class _Samples:
    """The process's memory and the outbox's queue, each second."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.memory_mib: list[float] = []
        self.waiting: list[int] = []
        self._count_waiting = waiting
        self._next_s = 0.0

    def tick(self) -> None:
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + SAMPLE_S
            self.memory_mib.append(_resident_mib())
            self.waiting.append(self._count_waiting())


def _resident_mib() -> float:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cpu_s() -> float:
    """Processor seconds of this process, not of the broker and the store beside it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str]) -> int:
    seconds, what, *videos = arguments
    stop = threading.Event()
    timer = threading.Timer(float(seconds), stop.set)
    timer.daemon = True
    timer.start()
    try:
        end = (decode if what == "decode" else agent)([Path(one) for one in videos], stop)
    except EdgeAgentError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(end.model_dump_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

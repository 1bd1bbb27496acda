"""The agent as it ships, but for its eyes: real outbox, publisher, line and supervisor; a read a frame, made up.

As a program, `python -m tests.faults.small_agent PORT OUTBOX [options]`. What becomes of each read stands, synced,
in files beside the outbox's folder: FOLDER.offered has its id before it is committed, FOLDER.committed has
"seq id sha256 ms" afterwards, ms being what the commit took.
"""

import argparse
import logging
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from edge_agent import host
from edge_agent.camera.capture import Capture
from edge_agent.contract.record import draft
from edge_agent.domain import Frame, Jpeg, Read
from edge_agent.host import ServiceManager
from edge_agent.latest import Latest
from edge_agent.mqtt import Broker, MqttLink
from edge_agent.outbox import Bounds, Outbox
from edge_agent.publisher import Publisher, last_will
from edge_agent.services.agent import Agent
from edge_agent.services.line import CameraLine
from edge_agent.vision.patch import small_jpeg
from tests.contract.reads import CLOCK, POSITION, SOURCE, make_read
from tests.e2e.broker import wait_until
from tests.e2e.car import OWNER, TOPICS

ROOT = Path(__file__).parents[2]


class Eyes:
    """A camera of noise, and a pipeline that reads a plate in each frame."""

    def __init__(self, fps: float, plate: str | None) -> None:
        self._period_s = 1 / fps
        self._plate = plate
        self._frames = 0

    def open(self) -> None:
        pass

    def read(self) -> Frame | None:
        time.sleep(self._period_s)
        self._frames += 1
        image = np.random.default_rng(self._frames).integers(0, 255, (36, 64), np.uint8)
        return Frame(camera="front", number=self._frames, stamp=host.now(), image=image)

    def close(self) -> None:
        pass

    in_sight = False

    def step(self, frame: Frame, *, quarters: Iterable[int]) -> list[Read]:
        return [make_read(self._plate or f"{random.choice('ABCXYZ')}{random.randint(100, 999_999)}")]

    def advance(self, now_s: float) -> list[Read]:
        return []

    def finish(self) -> list[Read]:
        return []


class Keeper:
    """Commits reads, and swears to it in a file."""

    def __init__(self, outbox: Outbox, publisher: Publisher, *, pictures: bool) -> None:
        self._outbox = outbox
        self._pictures = pictures
        self._publisher = publisher

    def open(self, state: Path) -> None:
        self._offered, self._committed = (
            os.open(state.with_suffix(suffix), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            for suffix in (".offered", ".committed")
        )

    def __call__(self, reads: Sequence[Read]) -> None:
        drafts = [
            draft(
                read,
                agency=TOPICS.agency,
                vehicle=TOPICS.vehicle,
                source=SOURCE,
                clock=CLOCK,
                position=POSITION,
                image=picture(read) if self._pictures else None,
            )
            for read in reads
        ]
        _swear(self._offered, [str(read.id) for read in reads])
        began_s = time.monotonic()
        seqs = self._outbox.append(drafts)
        ms = (time.monotonic() - began_s) * 1000
        places = zip(seqs, drafts, strict=True)
        _swear(
            self._committed,
            [f"{seq} {one.key.id} {sha256(one.encode(seq)).hexdigest()} {ms:.3f}" for seq, one in places],
        )
        self._publisher.notify()


def picture(read: Read) -> Jpeg:
    """A JPEG of about 1 KB, another one for each read."""
    noise = np.random.default_rng(read.id.int).integers(0, 256, (36, 64), np.uint8)
    return small_jpeg(noise, width=120, height=60, most_bytes=1200)


def _swear(file: int, lines: list[str]) -> None:
    os.write(file, "".join(f"{line}\n" for line in lines).encode())
    os.fsync(file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("outbox", type=Path)
    parser.add_argument("--quota", type=int, default=10**9)
    parser.add_argument("--keep", type=float, default=math.inf, help="seconds")
    parser.add_argument("--key", type=bytes.fromhex)
    parser.add_argument("--fps", type=float, default=20)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--plate", help="instead of any")
    told = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    bounds = Bounds(quota_bytes=told.quota, keep_s=told.keep)
    outbox = Outbox(path=told.outbox, now=host.now, owner=OWNER, key=told.key, bounds=bounds)
    link = MqttLink(broker=Broker("127.0.0.1", told.port), client_id="hartford-pd-car-12", will=last_will(TOPICS))
    publisher = Publisher(outbox=outbox, link=link, topics=TOPICS)
    eyes, latest, keeper = (
        Eyes(told.fps, told.plate),
        Latest[Frame](),
        Keeper(outbox, publisher, pictures=told.pictures),
    )
    line = CameraLine(
        name="front",
        capture=Capture(name="front", camera=eyes, sink=latest, now=host.now, jitter=random.Random()),
        latest=latest,
        pipeline=eyes,
        keep=keeper,
        tell_lost=outbox.not_written,
        max_fps=1000,
        far_plates=False,
    )
    keeper.open(told.outbox.parent)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    manager = ServiceManager.from_environment()
    Agent(outbox=outbox, publisher=publisher, lines=[line], service_manager=manager).run(stop)


class SmallAgent:
    """Starts, stops and kills the program, and knows what it owes."""

    def __init__(self, place: Path, port: int, *options: str, environment: dict[str, str] | None = None) -> None:
        self.state = place / "state"
        self._log = place / "agent.log"
        self._command = [sys.executable, "-m", "tests.faults.small_agent", str(port), str(self.state / "outbox.db")]
        self._command += options
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=ROOT, env=self._environment)

    def kill(self) -> None:
        """End it as a crash would; it must not have ended before."""
        self._end(signal.SIGKILL, -signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM, 0)

    def _end(self, number: int, expected: int) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(number)
            status = process.wait(30)
            assert status == expected, f"the agent ended with {status}: {self.log()[-2000:]}"

    def log(self) -> str:
        return self._log.read_text()

    def offered(self) -> list[str]:
        """Ids of all reads that were to be committed."""
        file = self.state.with_suffix(".offered")
        return file.read_text().splitlines() if file.exists() else []

    def committed(self) -> dict[str, tuple[int, str]]:
        """Place in the count and hash by id, of all reads whose commit was sworn to."""
        return {id_: (int(seq), hash_) for seq, id_, hash_, _ in self._sworn()}

    def commits_ms(self) -> list[float]:
        """What each commit took."""
        return [float(ms) for *_, ms in self._sworn()]

    def _sworn(self) -> list[list[str]]:
        file = self.state.with_suffix(".committed")
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        return [line.split() for line in lines if line.endswith("\n")]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def reads_on(self, *, more: int = 1) -> None:
        """Wait until so many more reads were committed."""
        before = len(self.committed())
        wait_until(lambda: len(self.committed()) >= before + more, "the agent to commit reads")


if __name__ == "__main__":
    main()

"""Drives the demo: a simulated drive through the real agent, with a broker that goes away half-way."""

import contextlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from edge_agent import host, wiring
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.config.settings import AgentSettings, ModelSettings, MqttSettings, StateSettings, VehicleSettings
from edge_agent.domain import Frame, Read
from edge_agent.errors import StateDirectoryError
from edge_agent.host import ServiceManager
from edge_agent.latest import Latest
from edge_agent.outbox import read_status
from edge_agent.services.agent import Agent
from edge_agent.services.demo import processes
from edge_agent.services.demo.account import Account, settle, stored_seqs, vehicle_of
from edge_agent.services.demo.screen import Arrival, LiveScreen, Moment, PlainScreen, Screen, show_account
from edge_agent.services.line import CameraLine

VEHICLE = VehicleSettings(agency="demo", id="car-1")
STORE_FILE = "store.db"
MARK_FILE = "edge-agent-demo"
"""Tells a demo's state directory from others."""

RATE_FPS = 15.0
OUTAGE_FROM = 0.45
"""Share of the drive after which the broker goes away."""

OUTAGE_SHARE = 0.2
LONGEST_OUTAGE_S = 12.0
DRAIN_S = 90.0
RESEND_AFTER_S = 5.0


def default_state() -> Path:
    """Where the demo keeps its outbox and store, so that one that was killed can be gone on with."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "edge-agent-demo"


def _take_over(state: Path) -> bool:
    """Make the state directory ours; true when an earlier demo left something in it. Raises StateDirectoryError.

    A directory that is not a demo's is refused: what it holds may be somebody's, a real car's outbox above all.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        if any(state.iterdir()) and not (state / MARK_FILE).exists():
            raise StateDirectoryError(
                f"{state}: is not empty and no demo's: delete it, or give another one to --state"
            )
        (state / MARK_FILE).touch()
    except OSError as error:
        raise StateDirectoryError(f"{state}: cannot be the demo's state directory: {error.strerror}") from None
    return (state / wiring.OUTBOX_FILE).exists()


def _clear(state: Path) -> None:
    """Remove what a demo makes, and nothing else."""
    for name in (wiring.OUTBOX_FILE, STORE_FILE):
        for path in state.glob(f"{Path(name).stem}.*"):
            path.unlink(missing_ok=True)
    (state / MARK_FILE).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody else's files keep it
        state.rmdir()


class Demo:
    """One demo from its start to its table."""

    def __init__(self, *, seconds: float, seed: int, state: Path, screen: Screen) -> None:
        self._seconds = seconds
        self._state = state
        self._screen = screen
        self._camera = SimCamera(name="sim", now=host.now, seed=seed, seconds=seconds, rate_fps=RATE_FPS)
        self._port = processes.free_port()
        self._settings = AgentSettings(
            vehicle=VEHICLE,
            state=StateSettings(directory=state),
            mqtt=MqttSettings(host="127.0.0.1", port=self._port, tls=False, resend_after_s=RESEND_AFTER_S),
            models=ModelSettings(threads=1),
        )
        self._outbox = wiring.outbox(self._settings)
        self._database = state / STORE_FILE
        self._latest: Latest[Frame] = Latest()
        self._reads: list[Read] = []
        self._reads_lock = threading.Lock()
        self._shown = 0
        self._broker_up = True
        self._started_s = 0.0
        self._outage_s = (0.0, 0.0)

    def run(self, stop: threading.Event) -> Account:
        """Drive, deliver, compare; stop ends the drive early. Raises EdgeAgentError."""
        resumed = _take_over(self._state)
        with self._outbox:
            pass  # Another demo's outbox is refused before our store opens that demo's database.
        with ExitStack() as opened:
            scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="edge-agent-demo-")))
            self._broker = processes.broker(port=self._port, directory=scratch)
            self._store = processes.store(port=self._port, database=self._database, directory=scratch)
            for program in (self._broker, self._store):
                opened.callback(program.stop)
            self._broker.start()
            processes.wait_for_port(self._broker, self._port)
            self._store.start()
            self._screen.start()
            opened.callback(self._screen.stop)
            if resumed:
                self._screen.event("an earlier demo did not finish: what its outbox still holds goes first")
            self._agent().run(stop)
            self._show_arrivals()
            self._store.check()
            left = read_status(self._state / wiring.OUTBOX_FILE)
            return settle(
                truth=self._camera.truth(),
                reads=self._reads,
                committed=left.last_seq,
                stored=stored_seqs(self._database, VEHICLE.id),
                undelivered=left.waiting,
            )

    def _agent(self) -> Agent:
        settings = self._settings
        self._publisher = wiring.publisher(settings, self._outbox)
        keep = wiring.keep_reads(settings, self._outbox, self._publisher)

        def keep_and_note(reads: Sequence[Read]) -> None:
            keep(reads)
            with self._reads_lock:
                self._reads += reads

        self._line = CameraLine(
            name="sim",
            capture=wiring.capture("sim", self._camera, self._latest),
            latest=self._latest,
            pipeline=wiring.pipeline(models=settings.models, reading=settings.reading, tracking=settings.tracking),
            keep=keep_and_note,
            tell_lost=self._outbox.not_written,
            max_fps=settings.reading.max_fps,
            far_plates=settings.reading.far_plates,
        )
        self._started_s = time.monotonic()
        outage_s = min(LONGEST_OUTAGE_S, OUTAGE_SHARE * self._seconds)
        self._outage_s = (OUTAGE_FROM * self._seconds, OUTAGE_FROM * self._seconds + outage_s)
        return Agent(
            outbox=self._outbox,
            publisher=self._publisher,
            lines=[self._line],
            service_manager=ServiceManager(address=None, watchdog_s=None),
            drain_s=DRAIN_S,
            tick=self._tick,
        )

    def _tick(self) -> None:
        """Run on the calling thread a few times a second: the broker's outage and the screen."""
        at_s = time.monotonic() - self._started_s
        out_from_s, out_until_s = self._outage_s
        if self._broker_up and out_from_s <= at_s < out_until_s:
            self._broker.stop()
            self._broker_up = False
            self._screen.event(f"{at_s:.0f} s: the broker is stopped: reads stay on disk")
        elif not self._broker_up and at_s >= out_until_s:
            self._broker.start()
            self._broker_up = True
            self._screen.event(f"{at_s:.0f} s: the broker is back: the queue drains")
        elif self._broker_up:
            self._broker.check()
        self._store.check()
        self._show_arrivals()
        status = self._outbox.status()
        line = self._line.status
        self._screen.moment(
            Moment(
                at_s=at_s,
                camera_fps=line.capture.fps,
                processed=line.processed,
                dropped=line.dropped,
                committed=status.last_seq,
                waiting=status.waiting,
                receipts=self._publisher.counters.receipted,
                broker="up" if self._broker_up else "stopped",
            )
        )

    def _show_arrivals(self) -> None:
        with self._reads_lock:
            fresh, self._shown = self._reads[self._shown :], len(self._reads)
        truth = self._camera.truth() if fresh else ()
        for read in fresh:
            vehicle = vehicle_of(read, truth)
            delay_s = time.monotonic() - read.last.monotonic_s
            self._screen.arrived(Arrival(read=read, delay_s=delay_s, truth=vehicle))


def run(*, seconds: float, seed: int, state: Path, tty: bool, stop: threading.Event) -> bool:
    """Run the demo and print its table; true when every committed read is in the store once."""
    console = Console()
    # The outage is part of the show: the publisher's warnings about it would tear the screen.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s", force=True)
    screen: Screen = LiveScreen(console) if tty and console.is_terminal else PlainScreen()
    account = Demo(seconds=seconds, seed=seed, state=state, screen=screen).run(stop)
    show_account(account, console)
    if account.nothing_lost:
        _clear(state)
        console.print("Every committed read is in the central store exactly once.")
    elif stop.is_set():
        console.print(
            f"Stopped: {account.undelivered} not yet delivered; the next demo goes on with what lies in {state}."
        )
    else:
        console.print(f"NOT every committed read is in the central store exactly once. Kept for a look: {state}")
    return account.nothing_lost

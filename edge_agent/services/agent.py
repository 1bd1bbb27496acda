"""The service: opens in order, watches, closes in reverse."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from edge_agent import __version__
from edge_agent.camera.capture import CaptureState
from edge_agent.domain import counted
from edge_agent.errors import EdgeAgentError, OutboxDamaged, OutboxError
from edge_agent.host import ServiceManager, clock_state
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.services.line import CameraLine

log = logging.getLogger(__name__)

TICK_S = 0.5
HANGS_AFTER_S = 30.0
"""A pipeline or publisher that has not turned for so long hangs."""

CAMERA_HANGS_AFTER_S = 150.0
"""A camera may wait for its own time-outs, which the settings bound to 120 s, before it turns."""

CLOSE_S = 10.0

SWITCH_S = 0.001
"""Python lets a busy thread run 5 ms before another's turn: while a backlog drains, a commit would wait that long
for each of its steps."""

EXPIRE_EVERY_S = 15.0
"""The shortest law asks for three minutes."""

TELL_EVERY_S = 600.0
"""How often the log says what was done."""


class Agent:
    """Reads with every camera and delivers, until it is stopped or its sources have ended."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        publisher: Publisher,
        lines: Sequence[CameraLine],
        service_manager: ServiceManager,
        drain_s: float = 5.0,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._lines = lines
        self._service_manager = service_manager
        self._drain_s = drain_s
        """How long to go on publishing once every camera has ended."""
        self._tick = tick
        """Called a few times a second on the calling thread; the demo draws its screen there."""
        self._expire_at_s = 0.0
        self._refused = ""
        """Why the disk let nothing leave the last time."""

    def run(self, stop: threading.Event) -> None:
        """Work until stop is set or every camera has ended. Raises what keeps it from working at all."""
        sys.setswitchinterval(SWITCH_S)
        with ExitStack() as opened:
            with self._service_manager.starting():  # a full outbox may have to be salvaged or encrypted
                opened.enter_context(self._outbox)
                opened.callback(lambda: log.info("stopped; %s", self._left()))
                log.info(
                    "edge-agent %s: cameras %s; %s",
                    __version__, ", ".join(line.name for line in self._lines), self._left(),
                )  # fmt: skip
                if not clock_state().synchronized:
                    log.warning(
                        "the clock is not synchronized: every read says so; let systemd-timesyncd or chrony run"
                    )
                while self._expire() and not stop.is_set():
                    pass  # before anything is sent: the service may have rested for weeks
            no_more = threading.Event()
            publishing = threading.Thread(
                target=self._publisher.run, args=(no_more,), name="publisher", daemon=True
            )
            publishing.start()
            opened.callback(publishing.join, CLOSE_S)
            opened.callback(no_more.set)
            for line in self._lines:
                line.start()
                opened.callback(line.close, CLOSE_S)
            opened.callback(self._stop_lines)
            opened.callback(self._service_manager.stopping)
            self._watch(stop, publishing)
        if lost := sum(line.status.lost for line in self._lines):
            raise EdgeAgentError(f"{counted(lost, 'read')} lost: not taken by the disk")

    def _stop_lines(self) -> None:
        """Ask all cameras at once: the slowest alone decides how long it takes."""
        for line in self._lines:
            line.stop()

    def _watch(self, stop: threading.Event, publishing: threading.Thread) -> None:
        """Feed the watchdog while every stage turns; a dead stage ends the service, which is then restarted."""
        ready, told, told_s = False, "", time.monotonic()
        ended_s: float | None = None
        while not stop.wait(TICK_S):
            if not ready and all(self._is_settled(line) for line in self._lines):
                ready = True
                self._service_manager.ready()
            stuck = self._stuck(publishing)
            if stuck is None:
                self._service_manager.alive()
                if (summary := self._summary()) != told:
                    self._service_manager.status(summary)
                    told = summary
            else:
                log.error("%s makes no progress: the watchdog is no longer fed", stuck)
            if time.monotonic() >= told_s + TELL_EVERY_S:
                told_s = time.monotonic()
                log.info("%s", self._account())
            self._tick()
            if time.monotonic() >= self._expire_at_s:
                self._expire()
            if any(line.status.capturing or line.status.processing for line in self._lines):
                continue
            if ended_s is None:
                ended_s = time.monotonic()
                log.info(
                    "every camera has ended: the service stops once the outbox is empty, or in %g s", self._drain_s
                )
            if not self._waiting() or time.monotonic() - ended_s >= self._drain_s:
                return

    def _left(self) -> str:
        """What is still to be delivered, in words."""
        status = self._outbox.status()
        gaps = f" and {counted(status.gaps, 'gap record')}" if status.gaps else ""
        images = f", {counted(status.images, 'picture')}" if status.images else ""
        return f"{counted(status.pending + status.sent, 'read')}{images}{gaps} still in the outbox"

    def _waiting(self) -> int:
        return self._outbox.status().waiting

    def _expire(self) -> bool:
        """Delete what the car may keep no longer, for which no network is needed; tell whether there was any."""
        self._expire_at_s = time.monotonic() + EXPIRE_EVERY_S
        try:
            gone = any(self._outbox.expire())
        except OutboxDamaged:
            raise  # the next start salvages it
        except OutboxError as error:
            if self._refused != str(error):
                self._refused = str(error)
                log.error(  # noqa: TRY400 - the line says it
                    "the disk lets nothing go: what is too old stays, and the outbox's log grows: %s", error
                )
            return False
        if self._refused:
            log.info("the disk lets go again of what is too old")
            self._refused = ""
        return gone

    @staticmethod
    def _is_settled(line: CameraLine) -> bool:
        """The camera gives frames, or has said why it does not: the service runs degraded."""
        capture = line.status.capture
        return capture.frames > 0 or bool(capture.last_error) or capture.state is CaptureState.ENDED

    def _stuck(self, publishing: threading.Thread) -> str | None:
        if not publishing.is_alive():
            raise EdgeAgentError("the publisher has ended: see the log above")
        now_s = time.monotonic()
        if now_s - self._publisher.progress_s > HANGS_AFTER_S:
            return "the publisher"
        for line in self._lines:
            status = line.status
            if not status.capturing and status.capture.state is not CaptureState.ENDED:
                raise EdgeAgentError(f"camera {line.name}: its capture has ended: see the log above")
            if not status.processing and not status.finished:
                raise EdgeAgentError(f"camera {line.name}: its pipeline has ended: see the log above")
            if status.capturing and now_s - status.capture.turned_s > CAMERA_HANGS_AFTER_S:
                return f"the capture of camera {line.name}"
            if status.processing and now_s - status.turned_s > HANGS_AFTER_S:
                return f"the pipeline of camera {line.name}"
        return None

    def _account(self) -> str:
        """What an operator wants to see in the log: that it reads, and that it delivers."""
        lines = [
            f"{line.name} {line.status.capture.fps:.0f} fps {line.status.capture.condition.value},"
            f" {counted(line.status.processed, 'frame')} looked at, {line.status.dropped} left out,"
            f" {counted(line.status.reads, 'read')}"
            for line in self._lines
        ]
        delivered = self._publisher.counters.receipted
        return "; ".join([*lines, f"{counted(delivered, 'read')} delivered; {self._left()}"])

    def _summary(self) -> str:
        cameras = ", ".join(
            f"{line.name} {line.status.capture.fps:.0f} fps {line.status.capture.condition.value}"
            for line in self._lines
        )
        return f"{cameras}; {'connected' if self._publisher.counters.connected else 'no connection'}"

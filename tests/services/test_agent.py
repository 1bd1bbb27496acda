"""How the service ends."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self, cast

import pytest

from edge_agent.camera.capture import CaptureState, CaptureStatus
from edge_agent.errors import EdgeAgentError, OutboxError
from edge_agent.host import ServiceManager
from edge_agent.outbox import OutboxStatus
from edge_agent.publisher import Counters
from edge_agent.services.agent import Agent
from edge_agent.services.line import LineStatus


class Outbox:
    """Holds so many reads that wait."""

    def __init__(self, pending: int, refuses: Sequence[int] = (1,)) -> None:
        self.pending = pending
        self.refuses = refuses
        self.expired = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def expire(self) -> tuple[int, int]:
        self.expired += 1
        if self.expired in self.refuses:
            raise OutboxError("outbox: disk full")
        return (0, 0)

    def status(self) -> OutboxStatus:
        return OutboxStatus(
            owner="a/v",
            pending=self.pending,
            sent=0,
            quarantined=0,
            images=0,
            gaps=0,
            oldest=None,
            last_seq=self.pending,
            size_bytes=0,
        )


class Publisher:
    """Never gets through to the broker."""

    counters = Counters()

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.expired_before = 0

    @property
    def progress_s(self) -> float:
        return time.monotonic()

    def run(self, stop: threading.Event) -> None:
        self.expired_before = self._outbox.expired
        stop.wait()


class EndedLine:
    """A camera that has ended, and lost so many reads."""

    name = "front"

    def __init__(self, lost: int) -> None:
        capture = CaptureStatus(state=CaptureState.ENDED)
        self.status = LineStatus(
            capture=replace(capture, frames=1), processed=1, dropped=0, reads=0, waiting=0, lost=lost,
            turned_s=0.0, capturing=False, processing=False, finished=True,
        )  # fmt: skip

    def start(self) -> None:
        pass

    stop = start

    def close(self, timeout_s: float) -> None:
        pass


def run(*, pending: int = 0, lost: Sequence[int] = (0,)) -> Publisher:
    outbox = Outbox(pending)
    publisher = Publisher(outbox)
    Agent(
        outbox=cast("Any", outbox),
        publisher=cast("Any", publisher),
        lines=cast("Any", [EndedLine(one) for one in lost]),
        service_manager=ServiceManager(address=None, watchdog_s=None),
        drain_s=0.0,
    ).run(threading.Event())
    return publisher


def test_reads_that_are_lost_are_no_good_end() -> None:
    with pytest.raises(EdgeAgentError, match="5 reads lost: not taken by the disk"):
        run(lost=(2, 0, 3))


def test_what_is_too_old_is_deleted_before_anything_is_sent() -> None:
    assert run().expired_before == 1


def test_a_disk_that_lets_nothing_go_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(0, refuses=(1, 2, 4))
    agent = Agent(
        outbox=cast("Any", outbox), publisher=cast("Any", None), lines=[], service_manager=cast("Any", None)
    )
    with caplog.at_level("INFO"):
        assert not any(agent._expire() for _ in range(4))
    refused = "the disk lets nothing go: what is too old stays, and the outbox's log grows: outbox: disk full"
    assert caplog.messages == [refused, "the disk lets go again of what is too old", refused]


def test_what_still_waits_on_disk_is_said_at_the_end_and_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        run(pending=72)
    assert "stopped; 72 reads still in the outbox" in caplog.text

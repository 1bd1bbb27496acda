import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from edge_agent import host
from edge_agent.domain import ClockState
from edge_agent.host import ServiceManager, stop_on_signals


def test_now_reads_both_clocks() -> None:
    first, second = host.now(), host.now()
    assert first.utc.tzinfo is UTC
    assert second.monotonic_s >= first.monotonic_s


def test_the_clock_since_boot_goes_on_while_the_computer_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {time.CLOCK_BOOTTIME: 90_000.0, time.CLOCK_MONOTONIC: 3_600.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert host.now_since_boot().monotonic_s == 90_000.0


class TestClock:
    def test_this_machines_clock_is_told_without_guessing(self) -> None:
        state = host.clock_state()
        assert (state.source == "ntp") == state.synchronized
        assert (state.error_ms is None) == (not state.synchronized)

    def test_a_clock_that_a_time_service_keeps(self) -> None:
        state = host._clock_state(status=0x2001, max_error_us=12_001)
        assert state == ClockState(synchronized=True, source="ntp", error_ms=13)

    def test_a_clock_that_nobody_keeps(self) -> None:
        state = host._clock_state(status=0x40, max_error_us=16_000_000)
        assert state == ClockState(synchronized=False, source="none", error_ms=None)


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Stand in for systemd: a datagram socket, and the address that NOTIFY_SOCKET would hold."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@edge-agent-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0", 1) if request.param == "abstract" else address)
        receiver.settimeout(10)
        yield receiver, address


def test_the_service_manager_hears_every_state(listener: tuple[socket.socket, str]) -> None:
    receiver, address = listener
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"})
    manager.ready()
    manager.status("3 reads\nwait")
    manager.alive()
    manager.stopping()
    heard = [receiver.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1", b"STATUS=3 reads wait", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_long_start_asks_for_time_until_it_is_over(
    listener: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.host.ASK_EVERY_S", 0.05)
    receiver, address = listener
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": address})
    with manager.starting():
        assert [receiver.recv(4096) for _ in range(3)] == 3 * [b"EXTEND_TIMEOUT_USEC=200000"]
    assert "starting" not in {one.name for one in threading.enumerate()}


def test_the_watchdogs_period_is_this_processs_own() -> None:
    assert ServiceManager.from_environment({"WATCHDOG_USEC": "2500000"}).watchdog_s == 2.5
    mine = {"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}
    assert ServiceManager.from_environment(mine).watchdog_s == 2.5
    assert ServiceManager.from_environment(mine | {"WATCHDOG_PID": "1"}).watchdog_s is None
    assert ServiceManager.from_environment({"WATCHDOG_USEC": "soon"}).watchdog_s is None


def test_without_a_watchdog_it_is_not_fed(listener: tuple[socket.socket, str]) -> None:
    receiver, address = listener
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": address})
    manager.alive()
    manager.stopping()
    assert receiver.recv(4096) == b"STOPPING=1"


def test_without_a_service_manager_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    manager = ServiceManager.from_environment({})
    manager.ready()
    manager.alive()
    assert caplog.records == []


def test_a_service_manager_that_does_not_listen_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manager = ServiceManager(address=str(tmp_path / "none"), watchdog_s=None)
    with caplog.at_level(logging.WARNING):
        manager.ready()
    assert "cannot be told READY" in caplog.text


def test_signals_that_ask_for_the_end_may_come_at_any_moment() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for _ in range(20):
            stop = stop_on_signals()
            numbers = (signal.SIGINT, signal.SIGINT, signal.SIGTERM)
            asking = [threading.Timer(0.001, os.kill, (os.getpid(), number)) for number in numbers]
            for one in asking:
                one.start()
            assert stop.wait(20)
            for one in asking:
                one.join()
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)

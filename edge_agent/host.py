"""The only module that asks the machine: its clocks, its signals, its service manager."""

import ctypes
import functools
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from edge_agent.domain import NOT_SYNCHRONIZED, ClockState, Stamp

log = logging.getLogger(__name__)

ASK_EVERY_S, LONGEST_START_S = 15.0, 3600.0


def now() -> Stamp:
    """Read both clocks."""
    return Stamp(monotonic_s=time.monotonic(), utc=datetime.now(UTC))


def now_since_boot() -> Stamp:
    """Read both clocks, of the monotonic ones that which goes on while the computer is suspended."""
    return Stamp(time.clock_gettime(time.CLOCK_BOOTTIME), datetime.now(UTC), clock_state().synchronized)


class _Timex(ctypes.Structure):
    """The head of `struct timex` of adjtimex(2); the rest is room that the kernel fills."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


_UNSYNCHRONIZED = 0x40
"""STA_UNSYNC of adjtimex(2)."""


def clock_state() -> ClockState:
    """Ask the kernel whether a time service keeps its clock, and how wrong it may be at most.

    The kernel does not tell who that service asks: a clock kept by a local GPS receiver shows as `ntp` too.
    """
    timex = _Timex()
    if _libc().adjtimex(ctypes.byref(timex)) < 0:
        return NOT_SYNCHRONIZED
    return _clock_state(status=timex.status, max_error_us=timex.maxerror)


def _clock_state(*, status: int, max_error_us: int) -> ClockState:
    if status & _UNSYNCHRONIZED:
        return NOT_SYNCHRONIZED
    return ClockState(synchronized=True, source="ntp", error_ms=-(-max_error_us // 1000))


def stop_on_signals() -> threading.Event:
    """An event that is set when the program is asked to end.

    A handler of Python's runs in the main thread, in the middle of whatever that does, and may take no lock; nor
    does it run while that thread waits, if the signal came just before. So a thread is told by the handler in C.
    """
    stop = threading.Event()
    asked, asking = socket.socketpair()
    asking.setblocking(False)

    def wait() -> None:
        while asked.recv(1):
            stop.set()
        asking.close()  # until then it is held here: the handler writes to its number

    threading.Thread(target=wait, name="signals", daemon=True).start()
    signal.set_wakeup_fd(asking.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return stop


class ServiceManager:
    """Tells systemd how the service is, as sd_notify(3) does; without systemd it tells nobody."""

    def __init__(self, *, address: str | None, watchdog_s: float | None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s
        """Seconds without `alive` after which systemd kills the service; None where it does not watch."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ServiceManager":
        """Find the service manager that started this process, if one did."""
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        is_watched = watchdog_us.isdecimal() and environment.get("WATCHDOG_PID", str(os.getpid())) == str(
            os.getpid()
        )
        return cls(
            address=environment.get("NOTIFY_SOCKET") or None,
            watchdog_s=int(watchdog_us) / 1e6 if is_watched else None,
        )

    def ready(self) -> None:
        self._tell("READY=1")

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Ask for more time, again and again, while what goes on before `ready` may be long; not for ever."""
        over = threading.Event()

        def ask() -> None:
            for _ in range(int(LONGEST_START_S / ASK_EVERY_S)):
                self._tell(f"EXTEND_TIMEOUT_USEC={int(4 * ASK_EVERY_S * 1e6)}")
                if over.wait(ASK_EVERY_S):
                    return

        asking = threading.Thread(target=ask, name="starting", daemon=True)
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()

    def alive(self) -> None:
        """Feed the watchdog; at least twice in watchdog_s, and only while everything makes progress."""
        if self.watchdog_s is not None:
            self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows; no plates, no positions."""
        self._tell("STATUS=" + " ".join(text.split()))

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), address)
        except OSError as error:
            log.warning("the service manager cannot be told %s: %s", message.partition("=")[0], error)

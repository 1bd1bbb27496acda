"""Where the car is and how fast it drives, as gpsd says.

https://gpsd.gitlab.io/gpsd/gpsd_json.html
"""

import json
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from edge_agent.domain import Position

log = logging.getLogger(__name__)

WATCH = b'?WATCH={"enable":true,"json":true}\n'
OLDEST_FIX_S = 60.0
"""What is older says nothing of where the car is: at 100 km/h it has gone on for more than a mile."""

REMEMBERED_S = 180.0
"""A read is made seconds after its frame, and a correction of it later still."""

SILENT_S = 10.0
"""gpsd tells of a receiver each second: where it is silent for longer, it is gone, or has none."""

SHORTEST_S = 0.05
"""Of two fixes that come faster the later one is kept: a receiver gives ten a second."""

TRY_AGAIN_S = 5.0
LOOK_UP_S = 0.5
LONGEST_LINE_BYTES = 65536
KMH = 3.6
FIX = "TPV"
"""The class of the reports that come each second, with a fix or without."""

TWO_DIMENSIONS = 2
"""The mode of a fix that has a latitude and a longitude."""


@dataclass(frozen=True, slots=True)
class Fix:
    """Where the car was at a monotonic time."""

    at_s: float
    lat_deg: float
    lon_deg: float
    speed_kmh: float | None
    heading_deg: float | None


class NoPosition:
    """Of a car without a receiver nobody knows where it is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def at(self, _monotonic_s: float) -> Position | None:
        return None

    def speed_kmh(self) -> float | None:
        return None

    def fix_age_s(self) -> float | None:
        return None

    def problem(self) -> str:
        return ""


NOWHERE = NoPosition()


class Gpsd(NoPosition):
    """A thread that listens to gpsd while it is entered, and what it heard; any thread may ask."""

    def __init__(self, *, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._fixes: deque[Fix] = deque()
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="position", daemon=True)
        self._began_s = time.monotonic()
        self._problem = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(SILENT_S)

    def at(self, monotonic_s: float) -> Position | None:
        """Give the last fix up to a monotonic time, with its age then; None where that is older than a minute."""
        with self._guard:
            fix = next((one for one in reversed(self._fixes) if one.at_s <= monotonic_s), None)
        if fix is None or monotonic_s - fix.at_s > OLDEST_FIX_S:
            return None
        return Position(
            lat_deg=fix.lat_deg,
            lon_deg=fix.lon_deg,
            speed_kmh=fix.speed_kmh,
            heading_deg=fix.heading_deg,
            fix_age_ms=int(1000 * (monotonic_s - fix.at_s)),
        )

    def speed_kmh(self) -> float | None:
        """How fast the car drives; None where nobody knows."""
        position = self.at(time.monotonic())
        return position.speed_kmh if position else None

    def fix_age_s(self) -> float | None:
        """How old the last fix is; None where there was none."""
        with self._guard:
            return time.monotonic() - self._fixes[-1].at_s if self._fixes else None

    def problem(self) -> str:
        """What a person should know, in one line; empty where all is well."""
        if self._problem:
            return self._problem
        if (age_s := self.fix_age_s()) is None:
            age_s = time.monotonic() - self._began_s
        return f"gpsd has had no fix for {age_s:.0f} s" if age_s > OLDEST_FIX_S else ""

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (OSError, UnicodeError) as error:  # the latter of a name that is none
                problem = f"gpsd {self._host}:{self._port}: {getattr(error, 'strerror', None) or error}"
                if problem != self._problem:
                    log.warning("%s: reads carry no position; trying again", problem)
                self._problem = problem
            self._stop.wait(TRY_AGAIN_S)

    def _listen(self) -> None:
        with socket.create_connection((self._host, self._port), timeout=SILENT_S) as connection:
            connection.sendall(WATCH)
            for line in self._lines(connection):
                report = _report(line)
                if self._problem and report["class"] == FIX:
                    log.info("gpsd %s:%d: tells of its receiver", self._host, self._port)
                    self._problem = ""
                if (fix := fix_of(report, at_s=time.monotonic())) is not None:
                    self.keep(fix)

    def _lines(self, connection: socket.socket) -> Iterator[bytes]:
        """Whole lines, until the end is asked for. Raises OSError where none come."""
        connection.settimeout(LOOK_UP_S)
        rest, heard_s = b"", time.monotonic()
        while not self._stop.is_set():
            try:
                more = connection.recv(4096)
            except TimeoutError:
                if time.monotonic() - heard_s > SILENT_S:
                    raise OSError("says nothing of a receiver") from None
                continue
            if not more:
                raise OSError("closed the connection")
            heard_s = time.monotonic()
            *lines, rest = (rest + more).split(b"\n")
            if len(rest) > LONGEST_LINE_BYTES:
                raise OSError("is no gpsd")
            yield from filter(bytes.strip, lines)

    def keep(self, fix: Fix) -> None:
        """Remember a fix for as long as a read may ask for it."""
        with self._guard:
            if self._fixes and fix.at_s - self._fixes[-1].at_s < SHORTEST_S:
                self._fixes.pop()
            self._fixes.append(fix)
            while self._fixes[0].at_s < fix.at_s - REMEMBERED_S:
                self._fixes.popleft()


def _report(line: bytes) -> dict[str, Any]:
    """One report of gpsd. Raises OSError for what is none."""
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict) or "class" not in report:
        raise OSError("is no gpsd")
    return report


def fix_of(report: dict[str, Any], *, at_s: float) -> Fix | None:
    """The fix of a report that has one; every field but its class and mode may be missing, speeds are in m/s."""
    mode = _number(report, "mode", 0, 3)
    lat, lon = _number(report, "lat", -90, 90), _number(report, "lon", -180, 180)
    if report["class"] != FIX or mode is None or mode < TWO_DIMENSIONS or lat is None or lon is None:
        return None
    speed = _number(report, "speed", 0, 9999 / KMH)
    return Fix(
        at_s=at_s,
        lat_deg=lat,
        lon_deg=lon,
        speed_kmh=None if speed is None else speed * KMH,
        heading_deg=_number(report, "track", 0, 360),
    )


def _number(report: dict[str, Any], name: str, least: float, most: float) -> float | None:
    value = report.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if least <= value <= most else None

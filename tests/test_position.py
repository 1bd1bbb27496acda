"""Where the car is: gpsd itself playing a drive, and a scripted one that misbehaves."""

import json
import logging
import shutil
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from operator import xor
from pathlib import Path

import pytest

from edge_agent import position
from edge_agent.domain import Position
from edge_agent.position import NOWHERE, Gpsd, fix_of
from tests.e2e.broker import free_port, wait_until

TPV = {"class": "TPV", "mode": 3, "lat": 41.76, "lon": -72.67, "speed": 10.0, "track": 45.0}


@contextmanager
def scripted(*answers: bytes) -> Iterator[int]:
    """A server with an answer for each client, which then waits for its end; after an empty one it hangs up."""
    left = list(answers)

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if answer := left.pop(0) if left else b"":
                self.wfile.write(answer)
                with suppress(ConnectionError):
                    self.rfile.read()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def line(**report: object) -> bytes:
    return json.dumps(report).encode() + b"\r\n"


def known(gpsd: Gpsd) -> Position | None:
    return gpsd.at(time.monotonic())


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position, "TRY_AGAIN_S", 0.02)
    monkeypatch.setattr(position, "LOOK_UP_S", 0.02)


def test_gpsd_itself_says_where_the_car_is(tmp_path: Path) -> None:
    if shutil.which("gpsfake") is None:
        pytest.skip("gpsfake is not installed: apt-get install gpsd gpsd-clients")
    log = tmp_path / "drive.nmea"
    log.write_text("".join(nmea(second) for second in range(50)))
    for _ in range(3):  # gpsfake does not always get its gpsd to hear the drive
        with driven(log) as port, Gpsd(host="127.0.0.1", port=port) as gpsd:
            with suppress(AssertionError):
                wait_until(gpsd.speed_kmh, "a fix with a speed", patience_s=20)
            if (found := known(gpsd)) is not None:
                break
    assert found is not None
    assert (found.lat_deg, found.lon_deg) == pytest.approx((41.7634, -72.675), abs=2e-3)
    assert found.speed_kmh == pytest.approx(20 * 1.852, abs=0.1)
    assert found.heading_deg == pytest.approx(45)
    assert found.fix_age_ms < 60_000


@contextmanager
def driven(log: Path) -> Iterator[int]:
    """The port of a gpsd that is fed a recording."""
    port = free_port()
    playing = subprocess.Popen(
        ["gpsfake", "-q", "-P", str(port), "-c", "0.1", log],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port
    finally:
        playing.terminate()
        playing.wait(20)


def nmea(second: int) -> str:
    """What a receiver says in a second of a drive through Hartford at 20 knots."""
    at = f"1200{second:02d}.00"
    place = f"4145.{8000 + 10 * second:04d},N,07240.5000,W"
    said = (f"GPGGA,{at},{place},1,08,1.0,20.0,M,-34.0,M,,", f"GPRMC,{at},A,{place},20.0,45.0,261126,,,A")
    return "".join(f"${one}*{reduce(xor, one.encode()):02X}\r\n" for one in said)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (41.76, -72.67, 36.0, 45.0)),
        ({"mode": 2}, (41.76, -72.67, 36.0, 45.0)),
        ({"speed": None, "track": None}, (41.76, -72.67, None, None)),
        ({"speed": -1.0, "track": 400}, (41.76, -72.67, None, None)),
        ({"speed": True}, (41.76, -72.67, None, 45.0)),
        ({"speed": float("nan")}, (41.76, -72.67, None, 45.0)),
        ({"mode": 1}, None),
        ({"mode": None}, None),
        ({"mode": "3"}, None),
        ({"lat": None}, None),
        ({"lat": 10**400}, None),
        ({"lat": 91.0}, None),
        ({"lon": -180.5}, None),
        ({"lon": float("inf")}, None),
        ({"class": "SKY"}, None),
    ],
)
def test_a_report_is_a_fix_where_it_has_one(
    changed: dict[str, object], expected: tuple[float | None, ...] | None
) -> None:
    fix = fix_of({name: value for name, value in (TPV | changed).items() if value is not None}, at_s=7.0)
    found = None if fix is None else (fix.lat_deg, fix.lon_deg, fix.speed_kmh, fix.heading_deg)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_a_position_is_that_of_the_time_asked_for() -> None:
    gpsd = Gpsd(host="127.0.0.1", port=1)
    for at_s in (100.0, 101.0, 102.0, 300.0):
        if (fix := fix_of(TPV | {"lat": at_s / 10}, at_s=at_s)) is not None:
            gpsd.keep(fix)
    assert gpsd.at(99.0) is None
    assert gpsd.at(119.0) is None  # no longer remembered
    assert gpsd.at(200.0) is None
    found = gpsd.at(300.5)
    assert found is not None
    assert (found.lat_deg, found.fix_age_ms) == (30.0, 500)
    assert gpsd.at(359.0) is not None
    assert gpsd.at(361.0) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "closed the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no gpsd"),
        (b"[]\r\n", "is no gpsd"),
        (b"[" * 60_000 + b"\r\n", "is no gpsd"),
        (b"x" * 70_000, "is no gpsd"),
        (b'{"class":"VERSION"}\r\n', "says nothing of a receiver"),
    ],
)
def test_what_is_no_gpsd_is_said_once_and_a_sound_one_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: bytes, said: str
) -> None:
    monkeypatch.setattr(position, "SILENT_S", 0.2)
    with (
        caplog.at_level(logging.INFO),
        scripted(answer, answer, line(**TPV), line(**TPV)) as port,
        Gpsd(host="127.0.0.1", port=port) as gpsd,
    ):
        wait_until(lambda: known(gpsd), "a fix")
        gpsd.__exit__()
    warned = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert f"gpsd 127.0.0.1:{port}: {said}: reads carry no position; trying again" in warned
    assert len(set(warned)) == len(warned)


def test_a_receiver_without_a_fix_is_a_problem_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(line(**(TPV | {"mode": 1}))) as port, Gpsd(host="127.0.0.1", port=port) as gpsd:
        assert (gpsd.problem(), gpsd.fix_age_s(), known(gpsd), gpsd.speed_kmh()) == ("", None, None, None)
        monkeypatch.setattr(position, "OLDEST_FIX_S", -1.0)
        assert gpsd.problem() == "gpsd has had no fix for 0 s"


@pytest.mark.parametrize("host", ["gps..local", "x" * 70 + ".local"])
def test_a_name_that_is_none_is_a_problem(host: str) -> None:
    with Gpsd(host=host, port=1) as gpsd:
        wait_until(gpsd.problem, "the problem")
        assert gpsd.problem().startswith(f"gpsd {host}:1: ")


def test_of_fixes_that_come_too_fast_the_last_is_kept() -> None:
    gpsd = Gpsd(host="127.0.0.1", port=1)
    for number in range(1000):
        if (fix := fix_of(TPV | {"lat": number / 100}, at_s=100 + number / 1e6)) is not None:
            gpsd.keep(fix)
    found = gpsd.at(101.0)
    assert found is not None
    assert found.lat_deg == 9.99
    assert gpsd.at(100.0) is None


def test_nobody_there_is_a_problem() -> None:
    port = free_port()
    with Gpsd(host="127.0.0.1", port=port) as gpsd:
        wait_until(gpsd.problem, "the problem")
        assert gpsd.problem() == f"gpsd 127.0.0.1:{port}: Connection refused"


def test_without_a_receiver_nobody_knows() -> None:
    with NOWHERE as nowhere:
        assert (nowhere.at(1.0), nowhere.speed_kmh(), nowhere.fix_age_s(), nowhere.problem()) == (None,) * 3 + ("",)

"""Fleets of light cars against a real broker and a real store, in short."""

import re
import resource
import shutil
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from benchmarks.fleet import __main__ as fleet
from benchmarks.fleet import databases, tables
from benchmarks.fleet.course import Outcome, Plan
from benchmarks.fleet.databases import Held, Verdict, judge
from benchmarks.fleet.distance import Distance
from edge_agent.errors import EdgeAgentError

SHORT = ["--cars", "5", "--seconds", "3", "--rate", "4", "--backlog", "100"]
IDS = [uuid4() for _ in range(3)]


def cells(out: str) -> dict[str, str]:
    lines = (re.split(r"\s{2,}", line.strip()) for line in out.splitlines())
    return {found[0]: found[1] for found in lines if len(found) == 2}


@pytest.fixture
def mosquitto() -> None:
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")


@pytest.fixture
def postgres() -> None:
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")


@pytest.mark.usefixtures("mosquitto")
def test_a_small_fleet_loses_nothing_over_an_outage(capsys: pytest.CaptureFixture[str]) -> None:
    outage = ["--database", "sqlite", "--outage", "1.5", "--far-reads", "150", "--round-trip", "20"]
    assert fleet.main([*SHORT, *outage]) == 0, capsys.readouterr().err
    said = cells(capsys.readouterr().out)
    assert int(said["reads made"]) > 100
    assert said["lost, twice, strange"] == "0, 0, 0"
    assert int(said["quiet time, reads"]) > 0
    assert 0 < float(said["delay to receipt, p50, ms"]) <= float(said["delay to receipt, p99, ms"])
    assert 0 < int(said["largest message, bytes (<= 1024)"]) <= 1024
    assert 1 <= int(said["cars back, most in one second"]) <= 5
    assert float(said["memory, broker, most, MiB"]) > 0
    assert float(said["acknowledged by the broker, reads/s"]) > 0


@pytest.mark.usefixtures("mosquitto", "postgres")
def test_workers_share_a_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.main([*SHORT, "--outage", "0", "--round-trip", "0", "--workers", "2"]) == 0
    out = capsys.readouterr().out
    assert "workers: 2" in out
    assert cells(out)["lost, twice, strange"] == "0, 0, 0"
    assert float(cells(out)["memory, database, most, MiB"]) > 0
    assert "cars back" not in out
    assert "ms away" not in out


@pytest.mark.parametrize(
    ("rows", "rejected", "told"),
    [
        ([("car-1", 1, IDS[0]), ("car-1", 2, IDS[1]), ("car-2", 1, IDS[2])], 0, (0, 0, 0)),
        ([("car-1", 1, IDS[0]), ("car-2", 1, IDS[2])], 0, (1, 0, 0)),
        ([("car-1", 1, IDS[0]), ("car-1", 1, IDS[0]), ("car-1", 2, IDS[1]), ("car-2", 1, IDS[2])], 0, (0, 1, 0)),
        ([("car-1", 1, IDS[1]), ("car-1", 2, IDS[0]), ("car-2", 1, IDS[2])], 1, (0, 0, 3)),
    ],
)
def test_the_database_has_the_last_word(
    rows: list[tuple[str, int, UUID]], rejected: int, told: tuple[int, int, int]
) -> None:
    verdict = judge({"car-1": IDS[:2], "car-2": IDS[2:]}, Held(rows, deliveries=5, rejected=rejected))
    assert (verdict.lost, verdict.twice, verdict.strange) == told
    assert verdict.repeats == 5 - len(rows)
    assert verdict.made == 3


@pytest.mark.usefixtures("mosquitto")
def test_a_read_that_is_lost_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.fleet.course.judge", lambda *_: Verdict(made=3, lost=1))
    options = ["--database", "sqlite", "--outage", "0", "--round-trip", "0"]
    assert fleet.main([*SHORT, *options]) == 1
    assert "fleet: reads are lost, twice or strange" in capsys.readouterr().err


def test_figures_of_fleets() -> None:
    outcome = Outcome(
        cars=3, backlog=600, backlog_s=0.5, busy={"cars": 0.25}, delays_s=[0.03, 0.01, 0.02], waited=9,
        returns_s=[0.2, 1.1, 1.9], late_s=[1.0, 2.0, 3.0], memory_mib={"broker": 5.0, "cars": 0.0},
        verdict=Verdict(made=612, repeats=4),
    )  # fmt: skip
    plan = Plan(seconds=1, rate=1, outage_s=1, backlog=600)
    said = {row.what: row.cells[0] for row in tables.fleet_rows([outcome], plan)}
    assert said["reads a second, end to end"] == "1200"
    assert said["delay to receipt, p50, ms"] == "20"
    assert said["delay to receipt, p99, ms"] == "30"
    assert said["cars back: first, half, last, s"] == "0.2, 1.1, 1.9"
    assert said["cars back, most in one second"] == "2"
    assert said["what waited receipted: half, 99 %, all, s"] == "2.0, 3.0, 3.0"
    assert said["memory, broker, most, MiB"] == "5.0"
    assert "memory, cars, most, MiB" not in said


def test_the_floor_is_named_where_it_applies() -> None:
    near = tables.distance_rows([Distance(round_trip_ms=20, reads=9, acknowledged=900, receipted=800)])
    far = tables.distance_rows([Distance(round_trip_ms=80, reads=9, acknowledged=900, receipted=800)])
    assert [row.cells for row in near] == [row.cells for row in far] == [("9",), ("900",), ("800",)]
    assert far[1].what == "acknowledged by the broker, reads/s (>= 500)"
    assert near[1].what == "acknowledged by the broker, reads/s"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cars", "0"], "--cars should be 1 to 20000"),
        (["--seconds", "0"], "--seconds should be 1 to 86400"),
        (["--rate", "0"], "--rate should be 0.001 to 100"),
        (["--backlog", "-1"], "--backlog should be 0 to 1000000"),
        (["--round-trip", "-1"], "--round-trip should be 0 to 5000"),
        (["--outage", "0", "--plot", "fleet.svg"], "--plot draws the outage"),
        (["--database", "oracle"], "invalid choice: 'oracle'"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        sys.exit(fleet.main(arguments))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("fleet: ")
    assert error.count("\n") == 1


def test_without_a_broker_or_a_database_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert fleet.main([*SHORT, "--database", "sqlite"]) == 1
    assert capsys.readouterr().err == "fleet: mosquitto is not installed: apt-get install mosquitto\n"
    monkeypatch.setattr(databases, "PROGRAMS", Path("/none"))
    with pytest.raises(EdgeAgentError, match="PostgreSQL is not installed: apt-get install postgresql"):
        databases.PostgresDatabase()


def test_too_many_cars_for_the_open_files_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    assert fleet.main(["--cars", "1000"]) == 1
    assert capsys.readouterr().err == (
        "fleet: so many cars need 1200 open files, and 512 are allowed: ulimit -n 1200\n"
    )

"""What the car tells of itself once a minute."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge_agent import host
from edge_agent.camera.capture import CaptureState, CaptureStatus
from edge_agent.camera.health import Condition
from edge_agent.config.settings import AgentSettings, MqttSettings, StateSettings, VehicleSettings
from edge_agent.contract.health import HealthRecord, decode_health
from edge_agent.domain import ClockState
from edge_agent.errors import ContractError
from edge_agent.outbox import Outbox
from edge_agent.position import NOWHERE, NoPosition
from edge_agent.publisher import Counters
from edge_agent.services.health import Health
from edge_agent.services.line import LineStatus
from tests.contract.test_messages import valid
from tests.faults.certificates import Authority
from tests.outbox.test_outbox import Note

CAPTURE = CaptureStatus(state=CaptureState.RUNNING, frames=900, fps=14.97)
LINE = LineStatus(
    capture=CAPTURE, processed=800, dropped=100, reads=12, waiting=0, lost=0,
    turned_s=0.0, capturing=True, processing=True, finished=False,
)  # fmt: skip


@pytest.fixture(autouse=True)
def right_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ClockState(synchronized=True, source="ntp", error_ms=4)
    monkeypatch.setattr("edge_agent.services.health.clock_state", lambda: clock)


def record(
    directory: Path,
    *lines: LineStatus,
    mqtt: MqttSettings | None = None,
    key: bool = True,
    position: NoPosition = NOWHERE,
    problem: str | None = None,
    after: timedelta = timedelta(),
) -> HealthRecord:
    key_file = directory / "outbox.key"
    key_file.write_text("00" * 32)
    key_file.chmod(0o600)
    agent = AgentSettings(
        vehicle=VehicleSettings(agency="hpd", id="car-12"),
        state=StateSettings(directory=directory / "state", key_file=key_file if key else None),
        mqtt=mqtt or MqttSettings(),
    )
    with Outbox(path=directory / "state" / "outbox.db", now=host.now, owner="hpd/car-12") as outbox:
        outbox.append([Note()])
        outbox.purge()
        outbox.append([Note(), Note(image=b"picture")])
        outbox.quarantine(3, why="refused")
        health = Health(
            agent=agent,
            outbox=outbox,
            publisher=cast("Any", SimpleNamespace(counters=Counters(receipted=7, refused=1, problem=problem))),
            lines=cast("Any", [SimpleNamespace(name=f"cam-{k}", status=one) for k, one in enumerate(lines)]),
            position=position,
        )
        assert decode_health(health.encode()).cameras == health.record(datetime.now(UTC)).cameras
        return health.record(datetime.now(UTC) + after)


def test_the_record_says_how_everything_is_and_fits_the_published_schema(tmp_path: Path) -> None:
    found = record(tmp_path, LINE)
    message = json.loads(found.encode())
    assert valid(message, "health.schema.json")
    assert not valid(message | {"plate": "AB12CD3"}, "health.schema.json")
    (camera,) = found.cameras
    assert (camera.name, camera.state, camera.picture, camera.fps, camera.processed) == (
        "cam-0",
        "running",
        "ok",
        15,
        800,
    )
    assert (found.outbox.pending, found.outbox.quarantined, found.outbox.images, found.outbox.gaps) == (1, 1, 1, 2)
    assert [one.model_dump() for one in found.outbox.left] == [{"what": "reads", "reason": "purged", "reads": 1}]
    assert (found.delivery.receipted, found.delivery.refused) == (7, 1)
    assert found.warnings == ("1 read quarantined: not taken by the broker",)
    assert found.certificate_expires_at is None
    assert b"note" not in found.encode()


def test_what_is_wrong_is_a_line_for_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edge_agent.services.health.shutil.disk_usage", lambda _: SimpleNamespace(free=3_000_000, total=2e9)
    )
    clock = ClockState(synchronized=False, source="none", error_ms=None)
    monkeypatch.setattr("edge_agent.services.health.clock_state", lambda: clock)
    waiting = replace(CAPTURE, state=CaptureState.WAITING, last_error="no answer")
    found = record(
        tmp_path,
        replace(LINE, capture=waiting),
        replace(LINE, capture=replace(CAPTURE, condition=Condition.FROZEN), lost=3),
        key=False,
    )
    assert found.warnings == (
        "camera cam-0: no answer",
        "camera cam-1: 3 reads lost: not taken by the disk",
        "camera cam-1: its picture is frozen",
        "1 read quarantined: not taken by the broker",
        "the disk has 3 MB left",
        "the clock is not synchronized",
        "reads lie on the disk unencrypted: state.key_file is not set",
    )
    assert found.disk_free_bytes == 3_000_000


def test_what_keeps_reads_from_being_delivered_is_a_warning(tmp_path: Path) -> None:
    problem = "access rules refuse lpr/v1/hpd/car-12/reads"
    assert record(tmp_path, LINE, problem=problem).warnings[0] == problem


def test_reads_that_the_store_does_not_confirm_are_a_warning(tmp_path: Path) -> None:
    assert "the oldest read" not in str(record(tmp_path, LINE, after=timedelta(minutes=14)).warnings)
    warnings = record(tmp_path, LINE, after=timedelta(minutes=20)).warnings
    assert warnings[0] == "the oldest read has waited 20 minutes for the store"


def with_certificate(directory: Path, days: int) -> MqttSettings:
    certificate = Authority(directory).issue("car-12", days=days)
    key = certificate.with_suffix(".key")
    key.chmod(0o600)
    return MqttSettings(certificate_file=certificate, key_file=key)


@pytest.mark.parametrize(("days", "warned"), [(20, True), (60, False)])
def test_a_certificate_that_expires_within_thirty_days_is_told(tmp_path: Path, days: int, *, warned: bool) -> None:
    certificate = Authority(tmp_path).issue("car-12", days=days)
    certificate.with_suffix(".key").chmod(0o600)
    found = record(
        tmp_path, LINE, mqtt=MqttSettings(certificate_file=certificate, key_file=certificate.with_suffix(".key"))
    )
    assert found.certificate_expires_at is not None
    assert abs(found.certificate_expires_at - datetime.now(UTC) - timedelta(days=days - 1)) < timedelta(hours=1)
    assert any("the client certificate expires in" in one for one in found.warnings) == warned


def test_a_certificate_that_has_expired_is_told_and_stops_nothing(tmp_path: Path) -> None:
    certificate = Authority(tmp_path).issue("car-12", days=0)
    certificate.with_suffix(".key").chmod(0o600)
    found = record(
        tmp_path, LINE, mqtt=MqttSettings(certificate_file=certificate, key_file=certificate.with_suffix(".key"))
    )
    assert "expired" in found.warnings[0]


def test_the_age_of_the_last_fix_is_told_and_no_position(tmp_path: Path) -> None:
    class Parked(NoPosition):
        def fix_age_s(self) -> float:
            return 125.4

        def problem(self) -> str:
            return "gpsd has had no fix for 125 s"

    assert record(tmp_path, LINE).fix_age_s is None
    found = record(tmp_path, LINE, position=Parked())
    assert found.fix_age_s == 125
    assert "gpsd has had no fix for 125 s" in found.warnings
    assert "lat" not in found.encode().decode()


def test_what_is_no_health_record_is_refused_in_one_line() -> None:
    with pytest.raises(ContractError, match=r"^health record: ") as caught:
        decode_health(b'{"schema": "lpr.health/1"}')
    assert "\n" not in str(caught.value)

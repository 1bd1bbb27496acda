import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent import host, wiring
from edge_agent.config.settings import (
    AgentSettings,
    ImageSettings,
    ModelSettings,
    MqttSettings,
    PositionSettings,
    RetentionSettings,
    StateSettings,
    VehicleSettings,
)
from edge_agent.contract.record import decode_read
from edge_agent.domain import ClockState, Stamp
from edge_agent.errors import ConfigurationError
from edge_agent.outbox import Outbox
from edge_agent.position import Gpsd, fix_of
from tests.contract.reads import make_read
from tests.outbox.test_outbox import Note

VEHICLE = VehicleSettings(agency="test", id="car-1")


def test_a_read_that_the_contract_cannot_say_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(path=tmp_path / "outbox.db", now=host.now, owner="test/car-1")
    agent = AgentSettings(vehicle=VEHICLE)
    keep = wiring.keep_reads(agent, outbox, wiring.publisher(agent, outbox))
    with outbox, caplog.at_level(logging.ERROR):
        keep([make_read("AB12"), make_read("TOOLONGFORAPLATE"), make_read("CD34")])
        rows = outbox.take(limit=10)
    assert [decode_read(row.payload).plate.text for row in rows] == ["AB12", "CD34"]
    assert caplog.text.count("not kept") == 1
    assert "TOOLONG" not in caplog.text


def test_reads_grow_old_while_the_computer_is_suspended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep_s, awake = 0.0, host.now_since_boot
    monkeypatch.setattr(
        host, "now_since_boot", lambda: replace(awake(), monotonic_s=awake().monotonic_s + asleep_s)
    )
    agent = AgentSettings(
        vehicle=VEHICLE, state=StateSettings(directory=tmp_path), retention=RetentionSettings(reads="3 minutes")
    )
    with wiring.outbox(agent) as outbox:
        outbox.append([Note()])
        assert outbox.expire().reads == 0
        asleep_s = 181
        assert outbox.expire().reads == 1


@pytest.mark.parametrize("send", [False, True])
def test_a_read_has_its_picture_where_the_site_wants_it(tmp_path: Path, *, send: bool) -> None:
    outbox = Outbox(path=tmp_path / "outbox.db", now=host.now, owner="test/car-1")
    agent = AgentSettings(vehicle=VEHICLE, images=ImageSettings(send=send))
    keep = wiring.keep_reads(agent, outbox, wiring.publisher(agent, outbox))
    with outbox:
        keep([make_read("AB12")])
        (row,) = outbox.take(limit=9)
        outbox.receipted([row.key])
        pictures = outbox.take_images(limit=9)
    named = decode_read(row.payload).image
    assert [one.key.sha256 for one in pictures] == ([named.sha256] if named else [])
    assert (named is not None) is send


def test_a_read_says_where_the_car_was_when_its_frame_was_taken(tmp_path: Path) -> None:
    read = make_read("AB12")
    fix = fix_of({"class": "TPV", "mode": 2, "lat": 41.76, "lon": -72.67}, at_s=read.captured.monotonic_s - 2)
    gpsd = wiring.position(PositionSettings(gpsd_host="127.0.0.1"))
    assert isinstance(gpsd, Gpsd)
    assert fix is not None
    gpsd.keep(fix)
    outbox = Outbox(path=tmp_path / "outbox.db", now=host.now, owner="test/car-1")
    agent = AgentSettings(vehicle=VEHICLE)
    with outbox:
        wiring.keep_reads(agent, outbox, wiring.publisher(agent, outbox), gpsd)([read])
        wiring.keep_reads(agent, outbox, wiring.publisher(agent, outbox))([make_read("CD34")])
        found, unknown = (decode_read(row.payload).position for row in outbox.take(limit=9))
    assert found is not None
    assert (found.lat_deg, found.lon_deg, found.speed_kmh, found.fix_age_ms) == (41.76, -72.67, None, 2000)
    assert unknown is None


def test_a_read_from_before_the_clock_was_set_is_not_called_synchronized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "clock_state", lambda: ClockState(synchronized=True, source="ntp", error_ms=4))
    now = host.now()
    sound = replace(make_read("AB12"), captured=Stamp(now.monotonic_s - 2, now.utc - timedelta(seconds=2)))
    before = replace(make_read("CD34"), captured=Stamp(now.monotonic_s - 2, datetime(1970, 1, 1, 0, 5, tzinfo=UTC)))
    outbox = Outbox(path=tmp_path / "outbox.db", now=host.now, owner="test/car-1")
    agent = AgentSettings(vehicle=VEHICLE)
    with outbox:
        wiring.keep_reads(agent, outbox, wiring.publisher(agent, outbox))([sound, before])
        clocks = [decode_read(row.payload).clock.synchronized for row in outbox.take(limit=9)]
    assert clocks == [True, False]


def test_a_record_names_the_networks_by_the_hashes_that_were_checked() -> None:
    source = wiring.source(ModelSettings())
    manifest = wiring.manifest(ModelSettings())
    assert manifest.detector.sha256.startswith(source.detector.sha256)
    assert manifest.reader.sha256.startswith(source.reader.sha256)


def test_a_password_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xff\xfe\x00")
    file.chmod(0o600)
    mqtt = MqttSettings.model_construct(
        **{**MqttSettings().model_dump(), "username": "car-1", "password_file": file, "tls": False}
    )
    with pytest.raises(ConfigurationError, match="the password cannot be read: is not text"):
        wiring.publisher(
            AgentSettings.model_construct(vehicle=VEHICLE, mqtt=mqtt),
            Outbox(path=tmp_path / "outbox.db", now=host.now, owner="test/car-1"),
        )

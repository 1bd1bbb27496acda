"""Bad roads between the car and the broker: every read arrives once, and one line says what is wrong."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from edge_agent import host
from edge_agent.domain import Stamp
from edge_agent.mqtt import Broker, Tls
from edge_agent.outbox import Outbox
from tests.contract.reads import make_read
from tests.e2e.broker import Mosquitto, free_port, wait_until
from tests.e2e.car import OWNER, Car
from tests.e2e.central import CentralStore
from tests.faults.amount import amount
from tests.faults.certificates import Authority
from tests.faults.road import Road
from tests.faults.test_brokers_that_refuse import running, tls_settings

READS = amount(150, 5000)


@pytest.fixture
def store(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[CentralStore]:
    made = CentralStore(tmp_path, mosquitto)
    made.start()
    yield made
    made.kill()


def delivered_once(store: CentralStore, count: int) -> None:
    """Every read is in the store, and once; a read that was sent twice is counted there, not kept twice."""
    assert store.seqs() == list(range(1, count + 1))
    assert store.rejected() == []


@pytest.mark.parametrize("round_trip_ms", [80, 600])
def test_a_slow_link_delivers_everything_over_one_connection(
    tmp_path: Path, mosquitto: Mosquitto, store: CentralStore, round_trip_ms: int
) -> None:
    with (
        Road(mosquitto.port, delay_s=round_trip_ms / 2000) as road,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", road.port), resend_after_s=60) as car,
    ):
        car.see(READS)
        wait_until(car.empty, "an empty outbox", patience_s=amount(60, 300))
        assert car.publisher.counters.problem is None
        assert (road.connections, car.publisher.counters.resent) == (1, 0)
    delivered_once(store, READS)
    assert store.deliveries() == READS


def test_a_link_that_loses_one_packet_in_twenty_delivers_everything(
    tmp_path: Path, mosquitto: Mosquitto, store: CentralStore
) -> None:
    with (
        Road(mosquitto.port, delay_s=0.04, stalls=0.05, stall_s=0.25) as road,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", road.port), resend_after_s=60) as car,
    ):
        car.see(READS)
        wait_until(car.empty, "an empty outbox", patience_s=amount(60, 600))
        assert road.connections == 1
        assert road.stalled > 3
    delivered_once(store, READS)


def test_a_black_hole_is_noticed_said_and_left(tmp_path: Path, mosquitto: Mosquitto, store: CentralStore) -> None:
    with (
        Road(mosquitto.port) as road,
        Car(
            tmp_path / "outbox.db",
            broker=Broker("127.0.0.1", road.port),
            acknowledge_within_s=1.0,
            resend_after_s=60,
        ) as car,
    ):
        for time in range(1, amount(1, 10) + 1):
            car.see(10)
            wait_until(car.empty, "an empty outbox")
            road.silent = True
            car.see(10)
            wait_until(lambda: car.publisher.counters.connections_lost >= time, "it to be noticed")  # noqa: B023
            assert car.publisher.counters.problem is not None
            assert "\n" not in car.publisher.counters.problem
            assert car.outbox.status().pending + car.outbox.status().sent == 10
            road.silent = False
            road.cut()
            wait_until(car.empty, "an empty outbox")
        assert car.publisher.counters.quarantined == 0
    delivered_once(store, amount(1, 10) * 20)


def test_the_line_about_a_black_hole(
    tmp_path: Path, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Road(mosquitto.port) as road,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", road.port), acknowledge_within_s=0.5) as car,
    ):
        wait_until(lambda: car.publisher.counters.connected, "a connection")
        road.silent = True
        car.see()
        wait_until(lambda: car.publisher.counters.connections_lost, "it to be noticed")
    assert "the broker acknowledged nothing for 0.5 s: connecting anew" in caplog.messages


def test_a_flapping_link_delivers_everything_and_quarantines_nothing_for_good(
    tmp_path: Path, mosquitto: Mosquitto, store: CentralStore
) -> None:
    path, total = tmp_path / "outbox.db", 0
    with Road(mosquitto.port, delay_s=0.02) as road:
        broker = Broker("127.0.0.1", road.port)
        with Car(path, broker=broker) as car:
            for time in range(1, amount(8, 100) + 1):
                car.see(20)
                total += 20
                wait_until(lambda: car.publisher.counters.connected, "a connection")
                road.cut()
                wait_until(lambda: car.publisher.counters.connections_lost >= time, "it to be lost")  # noqa: B023
            wait_until(car.empty, "an empty outbox")
        with Car(path, broker=broker) as car:  # where a read was set aside, it goes at the next start
            wait_until(car.empty, "an empty outbox")
            assert car.outbox.status().quarantined == 0
            wait_until(lambda: car.outbox.status().gaps == 0, "no gap record left")
    delivered_once(store, total)


@dataclass(frozen=True, slots=True)
class PlainDoor:
    """The broker's second door, for the store."""

    address: str


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "expired": ({"address": "127.0.0.1", "days": 0}, "(certificate has expired)", "that host is its name"),
    "other host": ({"host": "broker.example"}, "(IP address mismatch", "that host is its name"),
    "our clock in 1970": (
        {"address": "127.0.0.1", "starts": 1},
        "(certificate is not yet valid)",
        "check this computer's clock",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_certificate_is_said_in_one_line_and_the_reads_wait_until_it_is_right(
    tmp_path: Path, wrong: str
) -> None:
    options, why, what_to_check = WRONG[wrong]
    authority, plain = Authority(tmp_path), free_port()
    door = f"listener {plain} 127.0.0.1"
    right = tls_settings(authority, authority.issue("right", address="127.0.0.1"), door)
    with (
        running(tmp_path / "broker", *tls_settings(authority, authority.issue("wrong", **options), door)) as broker,
        ExitStack() as closing,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port, Tls(authority.ca_file))) as car,
    ):
        store = CentralStore(tmp_path, cast("Mosquitto", PlainDoor(f"127.0.0.1:{plain}")))
        closing.callback(store.kill)
        store.start()
        car.see(2)
        wait_until(lambda: why in (car.publisher.counters.problem or ""), "the line")
        problem = car.publisher.counters.problem or ""
        assert "\n" not in problem
        assert what_to_check in problem
        assert car.outbox.status().pending == 2
        broker.kill()
        broker._settings = right
        broker.start()
        wait_until(car.empty, "an empty outbox")
        assert car.publisher.counters.problem is None
        delivered_once(store, 2)


class In1970:
    """The car's computer woke without its clock; after a while the network tells it the time."""

    def __init__(self) -> None:
        self.right = threading.Event()

    def __call__(self) -> Stamp:
        now = host.now()
        return now if self.right.is_set() else Stamp(now.monotonic_s, datetime(1970, 1, 1, 0, 1, tzinfo=UTC))


def test_a_clock_in_1970_keeps_no_read_from_its_way_and_expires_none(
    tmp_path: Path, mosquitto: Mosquitto, store: CentralStore
) -> None:
    clock = In1970()
    with Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", mosquitto.port)) as car:
        car.outbox._session._now = clock
        early = make_read()
        car.keep([early])
        wait_until(car.empty, "an empty outbox")
        store.kill()
        car.see(5)
        assert car.outbox.expire().reads == 0
        clock.right.set()
        car.see(5)
        assert car.outbox.expire().reads == 0
        store.start()
        wait_until(car.empty, "an empty outbox")
    delivered_once(store, 11)
    with Outbox(path=tmp_path / "outbox.db", now=host.now, owner=OWNER) as outbox:
        assert outbox.status().gaps == 0

"""Acknowledgements late, twice or for nothing, connections that the broker ends, and the window throughout."""

import struct
from pathlib import Path

import pytest

from edge_agent.mqtt import Broker
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.car import TOPICS, Car
from tests.e2e.central import CentralStore
from tests.faults.amount import amount
from tests.faults.scripted import DISCONNECT, PUBACK, PUBLISH, SUBSCRIBE, Packet, Peer, ScriptedBroker

WINDOW = 5
READS = 23


def served(peer: Peer) -> Packet:
    """Give the next PUBLISH; a SUBSCRIBE before it is granted."""
    while (packet := peer.read()).kind != PUBLISH:
        if packet.kind == SUBSCRIBE:
            peer.grant(packet)
    return packet


def test_acknowledgements_late_twice_backwards_and_for_nothing(tmp_path: Path) -> None:
    most = 0

    def script(peer: Peer) -> None:
        nonlocal most
        peer.accept()
        while True:
            waiting = [served(peer)]
            while peer.more(0.05):
                waiting.append(served(peer))
            most = max(most, len(waiting))
            for packet in reversed(waiting):
                peer.send(PUBACK, struct.pack("!H", 60_000 + packet.mid))  # nobody's
                peer.acknowledge(packet)
                peer.acknowledge(packet)
                peer.acknowledge(packet, 0x80)  # it was good before

    with (
        ScriptedBroker(script) as broker,
        Car(
            tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), window=WINDOW, resend_after_s=3600
        ) as car,
    ):
        car.see(READS)
        wait_until(lambda: car.outbox.status().sent == READS, "all reads to be sent")
        assert car.publisher.counters.published == READS
        assert car.publisher.counters.sent == READS
        assert broker.connections == 1
    assert 1 < most <= WINDOW


def test_never_more_than_the_window_is_under_way_whatever_the_connections_do(tmp_path: Path) -> None:
    under_way: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        waiting: list[Packet] = []
        while True:
            while not waiting or peer.more(0.05):
                waiting.append(served(peer))
            under_way.append(len(waiting))
            if broker.connections in (1, 2):  # gone with all that was under way
                return
            peer.acknowledge(waiting.pop(0))

    with (
        ScriptedBroker(script) as broker,
        Car(
            tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), window=WINDOW, resend_after_s=3600
        ) as car,
    ):
        car.see(READS)
        wait_until(lambda: car.outbox.status().sent == READS, "all reads to be sent")
        assert broker.connections == 3
        assert car.outbox.status().quarantined == 0
    assert max(under_way) == WINDOW


CODES = [0x81, 0x82, 0x89, 0x8B, 0x8D, 0x8E, 0x93, 0x94, 0x95, 0x97, 0x98, 0x9C, 0x9D]


@pytest.mark.parametrize("code", CODES[:: amount(6, 1)])
def test_a_broker_that_ends_the_connection_says_why_and_gets_everything_on_the_next(
    tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        packet = served(peer)
        while packet.topic != TOPICS.reads:
            peer.acknowledge(packet)
            packet = served(peer)
        if broker.connections == 1:
            peer.send(DISCONNECT, bytes([code, 0]))
            while True:  # closed at once, with something unread, it would be a reset that drowns the word
                peer.read()
        while True:
            peer.acknowledge(packet)
            packet = served(peer)

    with (
        ScriptedBroker(script) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), resend_after_s=3600) as car,
    ):
        car.see(5)
        wait_until(lambda: car.outbox.status().sent == 5, "all reads to be sent")
        assert broker.connections == 2
        assert car.publisher.counters.connections_lost == 1
    (line,) = (one for one in caplog.messages if one.startswith("broker "))
    assert f"broker 127.0.0.1:{broker.port}: ended the connection (" in line
    assert "\n" not in line


def test_a_broker_that_dies_after_its_acknowledgements_with_the_store_away_loses_nothing(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    reads = amount(300, 5000)
    store = CentralStore(tmp_path, mosquitto)
    try:
        store.start()
        with Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", mosquitto.port), resend_after_s=3600) as car:
            car.see(10)
            wait_until(car.empty, "an empty outbox")
            store.kill()  # mosquitto keeps its subscription, and some of what comes
            for _ in range(0, reads, 100):
                car.see(100)
            wait_until(lambda: car.publisher.counters.sent >= reads + 10, "acknowledgements without a store")
            mosquitto.kill()
            wait_until(lambda: not car.publisher.counters.connected, "the car to see it")
            mosquitto.start()
            store.start()
            wait_until(car.empty, "an empty outbox")
        assert store.seqs() == list(range(1, reads + 11))
    finally:
        store.kill()

"""The publisher and the real connection against a broker that answers by script."""

from pathlib import Path

import pytest

from edge_agent.contract.gap import decode_gap
from edge_agent.mqtt import Broker
from tests.e2e.broker import wait_until
from tests.e2e.car import TOPICS, Car
from tests.faults.scripted import PUBLISH, SUBSCRIBE, Peer, ScriptedBroker


class Answering:
    """Answers the first reads with the codes it was given, all others well; a patient one when no more come."""

    def __init__(self, *codes: int, properties: bytes = b"", patient: bool = False) -> None:
        self._codes = list(codes)
        self._properties = properties
        self._patient = patient
        self.most_unanswered = 0
        self.reads: list[bytes] = []
        self.gaps: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        peer.accept(self._properties)
        waiting = []
        while True:
            packet = peer.read()
            if packet.kind == SUBSCRIBE:
                peer.grant(packet)
            elif packet.kind == PUBLISH:
                if packet.topic == TOPICS.reads:
                    self.reads.append(packet.payload)
                elif packet.topic == TOPICS.gaps:
                    self.gaps.append(packet.payload)
                waiting.append(packet)
                self.most_unanswered = max(self.most_unanswered, len(waiting))
            if waiting and not (self._patient and peer.more(0.05)):
                for one in waiting:
                    read = one.topic == TOPICS.reads
                    peer.acknowledge(one, self._codes.pop(0) if read and self._codes else 0)
                waiting.clear()


@pytest.mark.parametrize("code", [0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97])
def test_whatever_the_broker_answers_every_read_is_sent_in_the_end(tmp_path: Path, code: int) -> None:
    answering = Answering(code, 0, code, code)
    with (
        ScriptedBroker(answering) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), resend_after_s=3600) as car,
    ):
        car.see(5)
        wait_until(lambda: car.outbox.status().sent == 5, "all reads to be sent")
        assert broker.connections == 1
        assert len(answering.reads) == 8


def test_an_answer_that_mqtt_does_not_know_costs_a_connection_and_no_read(tmp_path: Path) -> None:
    answering = Answering(0, 0x95)  # a code of DISCONNECT, not of PUBACK
    with (
        ScriptedBroker(answering) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), resend_after_s=3600) as car,
    ):
        car.see(5)
        wait_until(lambda: car.outbox.status().sent == 5, "all reads to be sent")
        assert broker.connections == 2


def test_a_read_that_is_refused_for_itself_is_set_aside_and_told_and_goes_at_the_next_start(tmp_path: Path) -> None:
    answering = Answering(0, 0x99)
    with (
        ScriptedBroker(answering) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), resend_after_s=3600) as car,
    ):
        car.see(5)
        wait_until(lambda: car.outbox.status().sent == 4, "the other reads to be sent")
        wait_until(lambda: len(answering.gaps) == 1, "the gap record")
        assert car.outbox.status().quarantined == 1
        gap = decode_gap(answering.gaps[0])
        assert (gap.reason, gap.reads, gap.acknowledged) == ("quarantined", 1, 0)
        assert broker.connections == 1
    with (
        ScriptedBroker(Answering()) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), resend_after_s=3600) as car,
    ):
        wait_until(lambda: car.outbox.status().sent == 5, "all reads to be sent")


@pytest.mark.parametrize(("receive_maximum", "most"), [(b"\x21\x00\x01", 1), (b"\x21\x00\x04", 4)])
def test_no_more_than_receive_maximum_wait_for_an_answer(tmp_path: Path, receive_maximum: bytes, most: int) -> None:
    answering = Answering(properties=receive_maximum, patient=True)
    with (
        ScriptedBroker(answering) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), resend_after_s=3600) as car,
    ):
        car.see(20)
        wait_until(lambda: car.outbox.status().sent == 20, "all reads to be sent")
    assert 0 < answering.most_unanswered <= most


def test_a_read_heavier_than_the_broker_takes_stays_and_the_connection_too(tmp_path: Path) -> None:
    answering = Answering(properties=b"\x27\x00\x00\x02\x00")
    with (
        ScriptedBroker(answering) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port)) as car,
    ):
        car.see(2)
        wait_until(lambda: car.publisher.counters.refused >= 2, "the reads to be kept back")
        assert "too large" in str(car.publisher.counters.problem)
        assert car.outbox.status().pending == 2
        assert broker.connections == 1
    assert answering.reads == []


def test_a_broker_that_hangs_up_after_each_read_gets_them_all(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.accept(b"\x21\x00\x01")
        while True:
            packet = peer.read()
            if packet.kind == PUBLISH:
                peer.acknowledge(packet)
                if packet.topic == TOPICS.reads:
                    return

    with (
        ScriptedBroker(script) as broker,
        Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", broker.port), confirm="broker") as car,
    ):
        car.see(5)
        wait_until(car.empty, "an empty outbox")
        assert car.publisher.counters.receipted == 5


def test_an_acknowledgement_that_never_comes_costs_the_connection_not_the_read(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            packet = peer.read()
            if packet.kind == PUBLISH and (packet.topic != TOPICS.reads or broker.connections > 1):
                peer.acknowledge(packet)

    with (
        ScriptedBroker(script) as broker,
        Car(
            tmp_path / "outbox.db",
            broker=Broker("127.0.0.1", broker.port),
            confirm="broker",
            acknowledge_within_s=0.5,
        ) as car,
    ):
        car.see(2)
        wait_until(car.empty, "an empty outbox")
        assert car.publisher.counters.connections_lost >= 1

"""How a connection ends, and that a link outlives it."""

import struct
import threading
import time

import pytest

from edge_agent.mqtt import (
    Broker,
    Connected,
    Disconnected,
    Message,
    MqttLink,
    Subscribed,
    Woken,
)
from edge_agent.mqtt.link import _RECEIVED_AT_MOST, _Connection
from tests.e2e.broker import wait_until
from tests.faults.scripted import DISCONNECT, Closed, Peer
from tests.mqtt.links import event_of, linked, until_closed

PATIENCE_S = 60
NO_MQTT = "sent what is no MQTT 5: check what listens on this port"


def more_answers_than_questions(peer: Peer) -> None:
    peer.accept()
    body = struct.pack("!HB", peer.read().mid, 0) + bytes(20_000)
    peer.send_raw(bytes([9 << 4, len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14]) + body)


def test_a_flood_of_answers_ends_the_connection_and_not_the_link() -> None:
    with linked(more_answers_than_questions) as link:
        event_of(link)
        link.subscribe("receipts")
        wait_until(link._events.full, "the answers")
        while isinstance(event := event_of(link), Subscribed):
            pass
        assert isinstance(event, Disconnected)
        assert event.reason.endswith(": sent far more answers than there were questions")


def test_a_link_can_be_closed_while_its_end_cannot_be_told() -> None:
    with linked(more_answers_than_questions) as link:
        event_of(link)
        link.subscribe("receipts")
        wait_until(link._events.full, "the answers")
    assert not any(thread.name == "mqtt" for thread in threading.enumerate())


def test_a_link_can_be_closed_in_the_middle_of_a_flood() -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        for _ in range(4000):
            peer.publish("receipts", b"{}")
        until_closed(peer)

    with linked(script) as link:
        event_of(link)
        wait_until(lambda: link._events.qsize() >= _RECEIVED_AT_MOST, "the flood to stand still")
    assert not any(thread.name == "mqtt" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("farewell", "expected"),
    [
        (b"", "connection lost"),
        (b"\xe0\x02\x8e\x00", "ended the connection (Session taken over)"),
        (b"\xe0\x02\x8b\x00", "ended the connection (Server shutting down)"),
        (b"\x40\x01\x00", NO_MQTT),  # an acknowledgement of one byte
        (b"\x20\x03\x00\x00\x00", NO_MQTT),  # a second greeting
        (b"\xf0\x00", NO_MQTT),  # a packet nobody asked for
    ],
)
def test_an_end_of_the_connection_is_told_once_and_the_link_can_connect_again(
    farewell: bytes, expected: str
) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.send_raw(farewell)
        if farewell:
            until_closed(peer)

    with linked(script) as link:
        for _ in range(2):
            assert isinstance(event_of(link), Connected)
            event = event_of(link)
            assert isinstance(event, Disconnected)
            assert event.reason.endswith(expected)
            assert link.publish(Message("t", b"")) is None
            assert link.next_event(0) is None
            link.connect()


def test_a_broker_that_falls_silent_is_noticed() -> None:
    silence = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        silence.wait(PATIENCE_S)

    with linked(script, keepalive_s=1) as link:
        event_of(link)
        event = event_of(link)
        silence.set()
    assert isinstance(event, Disconnected)
    assert event.reason.endswith("no answer for 1 s")


def test_a_dropped_connection_ends_without_goodbye_and_a_closed_one_with_it() -> None:
    packets: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        try:
            while True:
                packets.append(peer.read().kind)
        except Closed:
            packets.append(0)

    with linked(script) as link:
        event_of(link)
        link.drop()
        assert isinstance(event_of(link), Disconnected)
        link.connect()
        assert isinstance(event_of(link), Connected)
    assert packets == [0, DISCONNECT, 0]


def test_a_link_that_is_closed_while_it_connects_says_nothing_before_its_greeting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packets: list[int] = []
    connecting = threading.Event()

    def script(peer: Peer) -> None:
        while True:
            packets.append(peer.read().kind)

    def until_it_is_closed(connection: _Connection, *_: object) -> None:
        connecting.set()
        connection._closing.wait(PATIENCE_S)
        time.sleep(0.1)  # close() goes on meanwhile

    monkeypatch.setattr(_Connection, "_on_socket_open", until_it_is_closed)
    with linked(script):
        assert connecting.wait(PATIENCE_S)
    assert packets == []


def test_a_waker_is_heard_once() -> None:
    link = MqttLink(broker=Broker("127.0.0.1", 1), client_id="car")
    assert link.next_event(0) is None
    for _ in range(10_000):
        link.wake()
    assert link.next_event(1) == Woken()
    assert link.next_event(0) is None
    link.wake()
    assert link.next_event(1) == Woken()


def test_without_a_connection_there_is_nothing_to_publish_on() -> None:
    link = MqttLink(broker=Broker("127.0.0.1", 1), client_id="car")
    assert link.publish(Message("t", b"")) is None
    link.subscribe("t")
    link.drop()
    link.close()

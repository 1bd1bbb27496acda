import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.mqtt import (
    Acknowledged,
    Broker,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Message,
    MqttLink,
    Received,
    Subscribed,
    SubscriptionRefused,
    Tls,
    Woken,
)
from edge_agent.mqtt.link import _RECEIVED_AT_MOST, _Connection
from tests.e2e.broker import wait_until
from tests.faults.scripted import DISCONNECT, PUBLISH, SUBSCRIBE, Closed, Packet, Peer, ScriptedBroker

PATIENCE_S = 60
NO_MQTT = "sent what is no MQTT 5: check what listens on this port"


def event_of(link: MqttLink) -> Event:
    event = link.next_event(PATIENCE_S)
    assert event is not None, "no event came"
    return event


@contextmanager
def linked(
    script: Callable[[Peer], None], *, will: Message | None = None, keepalive_s: int = 20
) -> Iterator[MqttLink]:
    """A link that has begun to connect to a broker with this script."""
    with ScriptedBroker(script) as broker:
        link = MqttLink(
            broker=Broker("127.0.0.1", broker.port), client_id="car", will=will, keepalive_s=keepalive_s
        )
        link.connect()
        yield link
        link.close()


def until_closed(peer: Peer) -> None:
    while True:
        peer.read()


def failure(script: Callable[[Peer], None], *, keepalive_s: int = 20) -> str:
    with linked(script, keepalive_s=keepalive_s) as link:
        event = event_of(link)
    assert isinstance(event, ConnectFailed)
    assert event.reason.startswith("broker 127.0.0.1:")
    assert "\n" not in event.reason
    return event.reason


def test_limits_of_the_broker_are_told() -> None:
    def script(peer: Peer) -> None:
        peer.accept(b"\x21\x00\x03" + b"\x27\x00\x00\x03\xe8")
        until_closed(peer)

    with linked(script) as link:
        assert event_of(link) == Connected(receive_maximum=3, maximum_packet_size=1000)


def test_without_limits_the_protocols_hold() -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        until_closed(peer)

    with linked(script) as link:
        assert event_of(link) == Connected(receive_maximum=65535, maximum_packet_size=None)


def test_the_connect_packet_says_what_it_should() -> None:
    seen: list[Packet] = []

    def script(peer: Peer) -> None:
        seen.append(peer.accept())
        until_closed(peer)

    with linked(script, will=Message("lpr/state", b"offline", retain=True)) as link:
        event_of(link)
        client = link._connection._client  # type: ignore[union-attr]
        sock = client.socket()
        assert isinstance(sock, socket.socket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    (body,) = [packet.body for packet in seen]
    clean_start, will, will_qos_1, will_retain = 0x02, 0x04, 0x08, 0x20
    assert body[:10] == b"\0\4MQTT\5" + bytes([clean_start | will | will_qos_1 | will_retain]) + b"\0\x14"
    assert b"lpr/state\0\7offline" in body


def test_a_kept_session_does_not_start_clean() -> None:
    seen: list[Packet] = []

    def script(peer: Peer) -> None:
        seen.append(peer.accept())
        until_closed(peer)

    with ScriptedBroker(script) as broker:
        link = MqttLink(broker=Broker("127.0.0.1", broker.port), client_id="store", session_expiry_s=3600)
        link.connect()
        event_of(link)
        link.close()
    assert seen[0].body[7] == 0
    assert b"\x11\x00\x00\x0e\x10" in seen[0].body


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x84, "does not speak MQTT 5"),
        (0x86, "check username and password_file"),
        (0x87, "access rules"),
        (0x88, "is not available"),
        (0x9A, "retained"),
        (0x9C, "refused the connection (Use another server)"),
    ],
)
def test_a_refusal_says_what_to_check(code: int, expected: str) -> None:
    def script(peer: Peer) -> None:
        peer.accept(code=code)

    assert expected in failure(script)


def test_a_broker_of_mqtt_3_is_told_apart() -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send_raw(b"\x20\x02\x00\x01")  # CONNACK of 3.1.1: unacceptable protocol version

    assert "does not speak MQTT 5" in failure(script)


def test_a_broker_that_hangs_up_on_mqtt_5() -> None:
    def script(peer: Peer) -> None:
        peer.read()

    assert "closed the connection before answering: check that it speaks MQTT 5" in failure(script)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "closed the connection before answering"),
        (b"\x20\x03\x00\x05\x00", NO_MQTT),
        (b"\xff" * 40, NO_MQTT),
    ],
)
def test_something_that_is_no_broker(answer: bytes, expected: str) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send_raw(answer)

    assert expected in failure(script)


@pytest.mark.parametrize("properties", [b"\x21\0\0", b"\x27\0\0\0\0", b"\x21\0\5\x21\0\7", b"\x99\1\2"])
def test_a_greeting_that_breaks_the_protocol(properties: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.accept(properties)

    assert NO_MQTT in failure(script)


def test_a_broker_that_only_offers_qos_0() -> None:
    def script(peer: Peer) -> None:
        peer.accept(b"\x24\x00")
        until_closed(peer)

    assert "offers only QoS 0" in failure(script)


def test_a_broker_that_never_answers() -> None:
    assert "no answer for 1 s" in failure(until_closed, keepalive_s=1)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    link = MqttLink(broker=Broker("127.0.0.1", port), client_id="car")
    link.connect()
    assert event_of(link) == ConnectFailed(
        f"broker 127.0.0.1:{port}: refuses connections: check that it runs and that the port is right"
    )
    link.close()


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    link = MqttLink(broker=Broker("broker.example", 8883), client_id="car")
    link.connect()
    assert event_of(link) == ConnectFailed(
        "broker broker.example:8883: name not found (Name or service not known): check host and the network"
    )
    link.close()


@pytest.mark.parametrize(("field", "name"), [("ca_file", "ca_file"), ("certificate_file", "certificate_file")])
@pytest.mark.parametrize("contents", [None, "not a certificate"])
def test_a_tls_file_that_cannot_be_used(tmp_path: Path, field: str, name: str, contents: str | None) -> None:
    file = tmp_path / "file.pem"
    if contents is not None:
        file.write_text(contents)
    link = MqttLink(broker=Broker("127.0.0.1", 1, Tls(**{field: file})), client_id="car")
    link.connect()
    event = event_of(link)
    assert isinstance(event, ConnectFailed)
    assert event.reason.startswith(f"{file}: cannot be used as {name}")
    assert "\n" not in event.reason


def test_tls_towards_a_port_without_it() -> None:
    with ScriptedBroker(lambda peer: peer.send_raw(b"\x20\x03\x00\x00\x00" * 3)) as broker:
        link = MqttLink(broker=Broker("127.0.0.1", broker.port, Tls()), client_id="car")
        link.connect()
        event = event_of(link)
        link.close()
    assert isinstance(event, ConnectFailed)
    assert "check that this is the TLS port" in event.reason


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Broker("h", 1, username="u", password="hunter2"))  # noqa: S106


@pytest.mark.parametrize("code", [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
def test_each_answer_to_a_message_is_told(code: int) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.acknowledge(peer.read(), code)
        until_closed(peer)

    with linked(script) as link:
        event_of(link)
        mid = link.publish(Message("t", b"payload"))
        event = event_of(link)
        assert isinstance(event, Acknowledged)
        assert (event.mid, event.code) == (mid, code)


def test_many_messages_wait_for_their_answers_at_once() -> None:
    seen: list[Packet] = []

    def script(peer: Peer) -> None:
        peer.accept()
        seen.extend(peer.read() for _ in range(300))  # no window of paho's own holds any back
        for packet in seen:
            peer.acknowledge(packet)
        until_closed(peer)

    with linked(script) as link:
        event_of(link)
        mids = [link.publish(Message("t", f"{n}".encode())) for n in range(300)]
        answered = [event_of(link) for _ in range(300)]
    assert [event.mid for event in answered if isinstance(event, Acknowledged)] == mids
    assert [packet.payload for packet in seen] == [f"{n}".encode() for n in range(300)]
    assert {packet.flags for packet in seen} == {0b0010}


def test_a_retained_message_is_marked() -> None:
    seen: list[Packet] = []

    def script(peer: Peer) -> None:
        peer.accept()
        seen.append(peer.read())
        peer.acknowledge(seen[0])
        until_closed(peer)

    with linked(script) as link:
        event_of(link)
        link.publish(Message("lpr/state", b"online", retain=True))
        event_of(link)
    assert (seen[0].kind, seen[0].flags, seen[0].topic) == (PUBLISH, 0b0011, "lpr/state")


def test_messages_of_a_subscription_arrive_and_a_refused_one_is_told() -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        packet = peer.read()
        assert packet.kind == SUBSCRIBE
        peer.grant(packet)
        peer.publish("receipts", b"{}")
        peer.grant(peer.read(), code=0x87)
        until_closed(peer)

    with linked(script) as link:
        event_of(link)
        link.subscribe("receipts")
        assert event_of(link) == Subscribed()
        assert event_of(link) == Received("receipts", b"{}")
        link.subscribe("forbidden")
        assert event_of(link) == SubscriptionRefused("Not authorized")


def test_a_flood_waits_and_nothing_of_it_is_lost() -> None:
    count = 5000

    def script(peer: Peer) -> None:
        peer.accept()
        for number in range(count):
            peer.publish("receipts", f"{number}".encode())
        peer.acknowledge(peer.read())
        until_closed(peer)

    with linked(script) as link:
        event_of(link)
        mid = link.publish(Message("t", b""))  # while the flood stands still at the full queue
        wait_until(lambda: link._events.qsize() >= _RECEIVED_AT_MOST, "the flood to stand still")
        received = [event_of(link) for _ in range(count)]
        assert received == [Received("receipts", f"{number}".encode()) for number in range(count)]
        assert event_of(link) == Acknowledged(mid or 0, 0, "Success")


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

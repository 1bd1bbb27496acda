"""What a link says while it connects."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.mqtt import (
    Broker,
    Connected,
    ConnectFailed,
    Message,
    MqttLink,
    Tls,
)
from tests.faults.scripted import Packet, Peer, ScriptedBroker
from tests.mqtt.links import event_of, linked, until_closed

NO_MQTT = "sent what is no MQTT 5: check what listens on this port"


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

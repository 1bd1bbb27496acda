"""The shipped mosquitto example, run by mosquitto itself: each car its own topics, no other."""

import getpass
import queue
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from edge_agent import resources
from tests.config.certificates import Authority

PATIENCE_S = 20.0
SUCCESS, NO_SUBSCRIBER, NOT_AUTHORIZED = 0x00, 0x10, 0x87
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Site(NamedTuple):
    """A running broker and the authority of its certificates."""

    port: int
    authority: Authority
    certificates: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start mosquitto on the shipped files, included by a main file such as Debian's, in a directory of its own."""
    assert MOSQUITTO, "mosquitto is missing: apt install mosquitto"
    etc = tmp_path_factory.mktemp("mosquitto")
    shipped = resources.path("config") / "brokers"
    for name in ("certs", "conf.d", "state"):
        (etc / name).mkdir()
    authority = Authority(etc / "certs")
    authority.issue("broker")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = (shipped / "mosquitto.conf").read_text()
    assert "\nlistener 8883\n" in text
    text = text.replace("/etc/mosquitto", str(etc)).replace("listener 8883", f"listener {port} 127.0.0.1")
    (etc / "conf.d/edge-agent.conf").write_text(text)
    shutil.copy(shipped / "edge-agent.acl", etc)
    (etc / "mosquitto.conf").write_text(
        f"user {getpass.getuser()}\npersistence true\npersistence_location {etc}/state/\ninclude_dir {etc}/conf.d\n"
    )
    log = etc / "log"
    with log.open("w") as output:
        broker = subprocess.Popen([MOSQUITTO, "-c", etc / "mosquitto.conf"], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _accepts(port):
            assert broker.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Site(port, authority, etc / "certs")
    finally:
        broker.terminate()
        broker.wait(timeout=10)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Person:
    """A client that waits for each answer and keeps what it receives."""

    def __init__(self, site: Site, context: ssl.SSLContext, client_id: str) -> None:
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._answers: queue.Queue[int] = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set_context(context)
        self._client.on_connect = lambda client, data, flags, reason, properties: self._answers.put(reason.value)
        self._client.on_publish = lambda client, data, mid, reason, properties: self._answers.put(reason.value)
        self._client.on_subscribe = lambda client, data, mid, reasons, properties: self._answers.put(
            reasons[0].value
        )
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", site.port)
        self._client.loop_start()
        assert self._answers.get(timeout=PATIENCE_S) == SUCCESS

    def _on_message(self, client: Client, data: object, message: MQTTMessage) -> None:
        self.received.put((message.topic, bytes(message.payload)))

    def publish(self, topic: str, payload: bytes = b"x") -> int:
        """Publish and give the broker's reason code."""
        self._client.publish(topic, payload, qos=1)
        return self._answers.get(timeout=PATIENCE_S)

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        assert self._answers.get(timeout=PATIENCE_S) == 1

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Connect = Callable[..., Person]


@pytest.fixture
def connect(site: Site) -> Iterator[Connect]:
    people: list[Person] = []

    def connect_as(name: str, *, client_id: str = "") -> Person:
        context = ssl.create_default_context(cafile=str(site.authority.file))
        context.load_cert_chain(*site.authority.issue(name))
        people.append(Person(site, context, client_id or name))
        return people[-1]

    yield connect_as
    for person in people:
        person.close()


@pytest.mark.parametrize("topic", ["reads", "images/0192", "gaps", "health", "state"])
def test_a_car_writes_its_own_topics_and_the_store_reads_them(connect: Connect, topic: str) -> None:
    store = connect("central-store")
    store.subscribe("lpr/v1/+/+/#")
    assert connect("car-1").publish(f"lpr/v1/example/car-1/{topic}", b"mine") == SUCCESS
    assert store.received.get(timeout=PATIENCE_S) == (f"lpr/v1/example/car-1/{topic}", b"mine")


@pytest.mark.parametrize(
    "topic",
    [
        "lpr/v1/example/car-1/reads",
        "lpr/v1/example/car-1/state",
        "lpr/v1/other/car-2/reads",
        "lpr/v1/example/car-1/receipts",
        "lpr/v1/example/car-2/receipts",
        "lpr/v1/example/car-2/images/a/b",
        "anything",
    ],
)
def test_a_car_writes_nothing_else(connect: Connect, topic: str) -> None:
    assert connect("car-2").publish(topic) == NOT_AUTHORIZED


def test_a_car_reads_its_own_receipts_and_no_other_cars(connect: Connect) -> None:
    store, first, second = connect("central-store"), connect("car-1"), connect("car-2")
    second.subscribe("lpr/#")
    first.subscribe("lpr/v1/example/car-1/receipts")
    assert store.publish("lpr/v1/example/car-1/receipts", b"for 1") == SUCCESS
    assert first.publish("lpr/v1/example/car-1/reads") in {SUCCESS, NO_SUBSCRIBER}
    assert store.publish("lpr/v1/example/car-2/receipts", b"for 2") == SUCCESS
    assert first.received.get(timeout=PATIENCE_S) == ("lpr/v1/example/car-1/receipts", b"for 1")
    assert second.received.get(timeout=PATIENCE_S) == ("lpr/v1/example/car-2/receipts", b"for 2")
    assert second.received.empty()


def test_the_store_writes_receipts_alone(connect: Connect) -> None:
    assert connect("central-store").publish("lpr/v1/example/car-1/reads") == NOT_AUTHORIZED


def test_no_car_is_pushed_off_the_line_by_another_with_its_client_id(connect: Connect) -> None:
    first = connect("car-1", client_id="car-1")
    second = connect("car-2", client_id="car-1")
    assert first.publish("lpr/v1/example/car-1/health") in {SUCCESS, NO_SUBSCRIBER}
    assert second.publish("lpr/v1/example/car-2/health") in {SUCCESS, NO_SUBSCRIBER}


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_without_a_certificate_of_the_authority_nobody_comes_in(site: Site, tmp_path: Path, who: str) -> None:
    context = ssl.create_default_context(cafile=str(site.authority.file))
    if who == "stranger":
        context.load_cert_chain(*Authority(tmp_path, "another").issue("car-1"))
    client = Client(CallbackAPIVersion.VERSION2, "car-1", protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set_context(context)
    entered: list[object] = []
    client.on_connect = lambda client, data, flags, reason, properties: entered.append(reason)
    result = MQTTErrorCode.MQTT_ERR_SUCCESS
    try:
        client.connect("127.0.0.1", site.port)
        deadline = time.monotonic() + PATIENCE_S
        while result == MQTTErrorCode.MQTT_ERR_SUCCESS and not entered and time.monotonic() < deadline:
            result = client.loop(0.1)
    except ssl.SSLError:
        return
    assert entered == []
    assert result != MQTTErrorCode.MQTT_ERR_SUCCESS

"""The shipped rules of the broker: a car writes its own topics and reads its own receipts, whatever it tries."""

import queue
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

from edge_agent import resources
from edge_agent.contract.topics import Topics
from edge_agent.mqtt import (
    Acknowledged,
    Broker,
    Connected,
    Event,
    Message,
    MqttLink,
    Received,
    Subscribed,
    SubscriptionRefused,
    Tls,
)
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.car import Car
from tests.faults.certificates import Authority

PATIENCE_S = 30.0
NOT_AUTHORIZED = 0x87
OURS, THEIRS = (Topics("lpr", "hartford-pd", name) for name in ("car-12", "car-13"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def mosquitto(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    """A broker with config/brokers, its files and its port in place of those of a car's site."""
    server = authority.issue("server", address="127.0.0.1")
    rules = tmp_path / "edge-agent.acl"
    shipped = (resources.path("config") / "brokers" / "edge-agent.acl").read_text(encoding="utf-8")
    rules.write_text(shipped.replace("/example/", f"/{OURS.agency}/"), encoding="utf-8")
    rules.chmod(0o600)
    here = {
        "listener": None, "cafile": authority.ca_file, "certfile": server, "keyfile": server.with_suffix(".key"),
        "acl_file": rules, "persistence": "false", "autosave_interval": None,
    }  # fmt: skip
    settings = []
    for line in (resources.path("config") / "brokers" / "mosquitto.conf").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(" ")
        if key and not key.startswith("#") and (one := here.get(key, value)) is not None:
            settings.append(f"{key} {one}")
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker", settings=tuple(settings))
    broker.start()
    yield broker
    broker.kill()


def tls(authority: Authority, name: str) -> Tls:
    certificate = authority.issue(name)
    return Tls(authority.ca_file, certificate, certificate.with_suffix(".key"))


class Visitor:
    """A connection that does what it is told, with any name and certificate."""

    def __init__(self, mosquitto: Mosquitto, identity: Tls, client_id: str) -> None:
        self._link = MqttLink(broker=Broker("127.0.0.1", mosquitto.port, identity), client_id=client_id)
        self._events: queue.Queue[Event] = queue.Queue()
        self.heard: list[Received] = []

    def __enter__(self) -> Self:
        self._link.connect()
        self.next(Connected)
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def next(self, *kinds: type[Event]) -> Event:
        while (event := self._link.next_event(PATIENCE_S)) is not None:
            if isinstance(event, Received):
                self.heard.append(event)
            if isinstance(event, kinds):
                return event
        pytest.fail(f"waited in vain for {kinds}")

    def publish(self, topic: str, payload: bytes = b"x") -> int:
        """Publish, and give the broker's reason code."""
        assert self._link.publish(Message(topic, payload)) is not None
        event = self.next(Acknowledged)
        assert isinstance(event, Acknowledged)
        return event.code

    def subscribe(self, topic: str) -> Event:
        self._link.subscribe(topic)
        return self.next(Subscribed, SubscriptionRefused)

    def payloads(self) -> set[bytes]:
        return {one.payload for one in self.heard}


@contextmanager
def store(mosquitto: Mosquitto, authority: Authority) -> Iterator[Visitor]:
    with Visitor(mosquitto, tls(authority, "central-store"), "central-store") as visitor:
        visitor.subscribe("lpr/v1/#")
        yield visitor


def test_a_car_writes_its_own_topics_alone(mosquitto: Mosquitto, authority: Authority) -> None:
    with store(mosquitto, authority), Visitor(mosquitto, tls(authority, THEIRS.vehicle), "any") as visitor:
        for topic in (THEIRS.reads, THEIRS.gaps, THEIRS.health, THEIRS.state):
            assert visitor.publish(topic) == 0, topic
        for topic in (OURS.reads, OURS.gaps, OURS.health, OURS.state, THEIRS.receipts, OURS.receipts):
            assert visitor.publish(topic) == NOT_AUTHORIZED, topic
        for topic in ("lpr/v1/other-pd/car-13/reads", "lpr/v1/reads", "$SYS/broker/x", "lpr/v1/hartford-pd//reads"):
            assert visitor.publish(topic) == NOT_AUTHORIZED, topic


def test_another_car_hears_neither_our_reads_nor_our_receipts(mosquitto: Mosquitto, authority: Authority) -> None:
    identity = tls(authority, OURS.vehicle)
    with (
        store(mosquitto, authority) as central,
        Visitor(mosquitto, identity, "ours") as ours,
        Visitor(mosquitto, tls(authority, THEIRS.vehicle), "theirs") as theirs,
    ):
        ours.subscribe(OURS.receipts)
        for topic in (
            OURS.reads,
            OURS.receipts,
            "#",
            "lpr/v1/+/+/receipts",
            "lpr/v1/+/+/reads",
            "$share/a/lpr/v1/#",
        ):
            theirs.subscribe(topic)
        theirs.subscribe(THEIRS.receipts)
        for topic in (OURS.reads, OURS.gaps, OURS.health, OURS.state, OURS.image(uuid4())):
            assert ours.publish(topic) == 0, topic
        assert central.publish(OURS.receipts, b"ours") == 0
        assert central.publish(THEIRS.receipts, b"theirs") == 0
        received = theirs.next(Received)
        assert isinstance(received, Received)
        assert theirs.payloads() == {b"theirs"}
        ours.next(Received)
        assert ours.payloads() == {b"ours"}


def test_another_car_in_the_stores_group_gets_nothing_and_what_is_sent_again_arrives(
    mosquitto: Mosquitto, authority: Authority
) -> None:
    """Mosquitto grants every subscription, and drops what falls to one that may not read it."""
    kinds = (OURS.reads, OURS.gaps, OURS.image(uuid4()))
    with (
        Visitor(mosquitto, tls(authority, "central-store"), "any") as central,
        Visitor(mosquitto, tls(authority, OURS.vehicle), "ours") as ours,
        Visitor(mosquitto, tls(authority, THEIRS.vehicle), "theirs") as theirs,
    ):
        for one in (central, theirs):
            for kind in ("reads", "gaps", "images/+"):
                assert isinstance(one.subscribe(f"$share/stores/lpr/v1/+/+/{kind}"), Subscribed)
        theirs.subscribe(THEIRS.receipts)
        sent = {f"{number} {topic}".encode(): topic for topic in kinds for number in range(10)}
        rounds = 0
        while missing := sorted(sent.keys() - central.payloads()):
            assert (rounds := rounds + 1) <= len(sent), missing
            for payload in missing:
                assert ours.publish(sent[payload], payload) == 0
            assert central.publish(THEIRS.receipts, b"theirs") == 0  # what came before it is here with its answer
        theirs.next(Received)
        assert theirs.payloads() == {b"theirs"}


def test_the_workers_of_a_store_have_names_of_their_own(mosquitto: Mosquitto, authority: Authority) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(Visitor(mosquitto, tls(authority, OURS.vehicle), "ours"))
        ours.subscribe(OURS.receipts)
        workers = [
            stack.enter_context(Visitor(mosquitto, tls(authority, name), "store"))
            for name in ("central-store", "central-store-2", "central-store-3")
        ]
        for worker in workers:
            worker.subscribe("$share/stores/lpr/v1/+/+/reads")
        for number in range(9):
            assert ours.publish(OURS.reads, b"%d" % number) == 0
        for worker in workers:
            worker.next(Received)
            assert worker.publish(OURS.receipts, b"receipt") == 0
        assert set[bytes]().union(*(worker.payloads() for worker in workers)) == {b"%d" % one for one in range(9)}


def test_another_car_cannot_take_our_place_by_our_client_id(mosquitto: Mosquitto, authority: Authority) -> None:
    with (
        store(mosquitto, authority) as central,
        Visitor(mosquitto, tls(authority, OURS.vehicle), "hartford-pd-car-12") as ours,
        Visitor(mosquitto, tls(authority, THEIRS.vehicle), "hartford-pd-car-12") as theirs,
    ):
        assert theirs.publish(THEIRS.reads) == 0
        assert ours.publish(OURS.reads) == 0
        assert central.heard == []
        central.next(Received)


def test_a_certificate_is_renewed_without_a_restart(
    mosquitto: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    expired = authority.issue(OURS.vehicle, days=0)
    files = [expired, expired.with_suffix(".key")]
    place = [tmp_path / "car.pem", tmp_path / "car.key"]
    for file, there in zip(files, place, strict=True):
        shutil.copy(file, there)
    broker = Broker("127.0.0.1", mosquitto.port, Tls(authority.ca_file, *place))
    with store(mosquitto, authority), Car(tmp_path / "outbox.db", broker=broker) as car:
        car.see(3)
        wait_until(lambda: car.publisher.counters.problem, "the broker to refuse the expired certificate")
        assert not car.publisher.counters.connected
        renewed = authority.issue(OURS.vehicle)
        for file, there in zip([renewed, renewed.with_suffix(".key")], place, strict=True):
            beside = there.with_suffix(".new")
            shutil.copy(file, beside)
            beside.replace(there)
        wait_until(lambda: car.publisher.counters.sent == 3, "the reads to go with the renewed certificate")

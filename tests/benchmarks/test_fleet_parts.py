"""The light car's packets, connection and outbox, without mosquitto."""

import asyncio
import random
import struct
from collections.abc import Callable
from uuid import uuid4

import pytest

from benchmarks.fleet import packets
from benchmarks.fleet.car import AGENCY, Car, made_up
from benchmarks.fleet.link import LightLink
from benchmarks.fleet.outbox import MemoryOutbox
from edge_agent import host, wiring
from edge_agent.config.settings import ModelSettings
from edge_agent.contract.receipt import Receipt
from edge_agent.contract.record import BUDGET_BYTES, decode_read, draft
from edge_agent.contract.topics import Topics
from edge_agent.domain import ReadKey
from edge_agent.errors import BrokerError
from edge_agent.mqtt import (
    Acknowledged,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Message,
    Received,
    Subscribed,
)
from edge_agent.publisher import last_will
from tests.faults.scripted import CONNECT, PUBLISH, SUBSCRIBE, Peer, ScriptedBroker

TOPICS = Topics("lpr", AGENCY, "car-1")
CLOCK = host.clock_state()
PATIENCE_S = 10.0


class Entry:
    priority = False
    image = None

    def __init__(self) -> None:
        self.key = ReadKey(uuid4(), 0)

    def encode(self, seq: int) -> bytes:
        return f"read {seq}".encode()


def outbox(count: int) -> MemoryOutbox:
    made = MemoryOutbox()
    for _ in range(count):
        made.append(Entry())
    return made


def seqs(box: MemoryOutbox, *, limit: int = 9, after_seq: int = 0) -> list[int]:
    return [row.seq for row in box.take(limit=limit, after_seq=after_seq)]


def test_the_outbox_keeps_the_order_and_what_has_no_receipt() -> None:
    box = outbox(5)
    assert (seqs(box, limit=2), seqs(box, after_seq=2), box.oldest) == ([1, 2], [3, 4, 5], 1)
    box.mark_sent([2, 1, 4, 4])
    assert seqs(box) == [3, 5]
    assert box.resend(older_than_s=60) == 0
    assert box.resend() == 3
    assert seqs(box) == [1, 2, 3, 4, 5]
    keys = [ReadKey(id_, 0) for id_ in box.ids]
    assert box.receipted([keys[0], keys[2], keys[0], ReadKey(uuid4(), 0)]) == 2
    assert (seqs(box), len(box), box.oldest) == ([2, 4, 5], 3, 2)
    assert [one is None for one in box.receipted_s] == [False, True, False, True, True]
    assert box.receipted_through(4) == 2
    assert box.receipted_through(6) is None
    box.mark_sent([5])
    assert box.receipted([keys[4]]) == 1
    assert box.oldest > 5
    assert box.resend() == 0


def test_packets_are_cut_out_of_any_pieces() -> None:
    long = packets.publish("a/b", b"x" * 300, mid=7, retain=True)
    stream = packets.Stream()
    found: list[packets.Packet] = []
    for byte in long + packets.PINGREQ + packets.acknowledgement(9):
        found += stream.feed(bytes([byte]))
    assert [one.kind for one in found] == [3, 12, 4]
    assert packets.publication(found[0]) == ("a/b", 7, b"x" * 300)
    assert found[0].flags == 0x02 | 1
    assert packets.acknowledged(found[2]) == (9, 0)


def test_an_answer_is_taken_apart_whatever_properties_it_has() -> None:
    properties = b"\x12\x00\x03abc\x21\x00\x64\x27\x00\x00\x10\x00\x22\x00\x0a"
    answer = packets.accepted(packets.Packet(2, 0, bytes([0, 0, len(properties)]) + properties))
    assert answer == (0, 100, 4096)
    assert packets.accepted(packets.Packet(2, 0, b"\0\x87\0")) == (0x87, 65535, None)
    with pytest.raises(BrokerError, match="0x7f"):
        packets.accepted(packets.Packet(2, 0, b"\0\0\x02\x7f\0"))


def test_reads_are_made_up_within_the_budget() -> None:
    read, position = made_up(random.Random(1))
    source = wiring.source(ModelSettings())
    entry = draft(read, agency=AGENCY, vehicle="car-1000", source=source, clock=CLOCK, position=position)
    payload = entry.encode(12345)
    assert decode_read(payload).key == entry.key
    assert len(payload) < BUDGET_BYTES
    assert (
        len(packets.publish(Topics("lpr", AGENCY, "car-1000").reads, payload, mid=1, retain=False)) < BUDGET_BYTES
    )


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def test_a_connection_tells_what_becomes_of_it() -> None:
    told: list[Event] = []

    def script(peer: Peer) -> None:
        assert peer.accept(properties=b"\x21\x00\x02").kind == CONNECT
        peer.grant(peer.read())
        packet = peer.read()
        assert (packet.topic, packet.payload, packet.flags) == (TOPICS.reads, b"hello", 0x02)
        peer.acknowledge(packet, code=0x10)
        peer.publish(TOPICS.receipts, b"{}")

    async def talk(port: int) -> None:
        link = LightLink(port=port, client_id="car", will=last_will(TOPICS), woken=lambda: None)

        async def next_event() -> Event:
            found: list[Event] = []

            def take() -> bool:
                event = link.next_event(0.5)
                found.extend([event] if event else [])
                return bool(event)

            await _until(take)
            assert link.wait_s in (0.0, 0.5)
            return found[0]

        assert link.publish(Message("a", b"")) is None
        link.connect()
        told.append(await next_event())
        link.subscribe(TOPICS.receipts)
        assert link.publish(Message(TOPICS.reads, b"hello")) == 2
        link.flush()
        told.extend([await next_event() for _ in range(4)])
        assert not link.is_connected
        link.close()

    with ScriptedBroker(script) as broker:
        asyncio.run(talk(broker.port))
    assert told == [
        Connected(receive_maximum=2, maximum_packet_size=None),
        Subscribed(),
        Acknowledged(mid=2, code=0x10, reason="0x10"),
        Received(TOPICS.receipts, b"{}"),
        Disconnected("connection lost"),
    ]


@pytest.mark.parametrize("code", [0x87, None])
def test_a_broker_that_does_not_want_us_is_a_failed_connection(code: int | None) -> None:
    async def knock(port: int) -> Event | None:
        link = LightLink(port=port, client_id="car", will=last_will(TOPICS), woken=lambda: None)
        link.connect()
        found: list[Event] = []

        def take() -> bool:
            found.extend(filter(None, [link.next_event(0)]))
            return bool(found)

        await _until(take)
        link.close()
        return found[0]

    with ScriptedBroker(lambda peer: peer.accept(code=code or 0) and None) as broker:
        port = broker.port
        if code:
            assert asyncio.run(knock(port)) == ConnectFailed("not accepted")
    if not code:
        failed = asyncio.run(knock(port))
        assert isinstance(failed, ConnectFailed)
        assert f"127.0.0.1:{port}" in failed.reason


def test_a_car_sends_within_the_window_and_again_after_a_lost_connection() -> None:
    seen: list[list[int]] = []

    def script(peer: Peer) -> None:
        peer.accept(properties=b"\x21" + struct.pack("!H", 3))
        connection: list[int] = []
        seen.append(connection)
        while True:
            packet = peer.read()
            if packet.kind == SUBSCRIBE:
                peer.grant(packet)
            elif packet.kind == PUBLISH and packet.topic == TOPICS.state:
                peer.acknowledge(packet)
            elif packet.kind == PUBLISH:
                record = decode_read(packet.payload)
                connection.append(record.seq)
                if len(seen) == 1:  # no answer, until the window is full
                    if len(connection) < 3:
                        continue
                    assert not peer.more(0.3)
                    return
                peer.acknowledge(packet)
                peer.publish(TOPICS.receipts, Receipt.of([record.key]).encode())

    async def drive(port: int) -> MemoryOutbox:
        car = Car(1, port=port, source=wiring.source(ModelSettings()), clock=CLOCK, window=100)
        car.see(8)
        car.start()
        await _until(lambda: len(car.outbox) == 0)
        car.drive(50.0)
        await _until(lambda: len(car.outbox.ids) > 10)
        car.park()
        await _until(lambda: len(car.outbox) == 0)
        car.close()
        return car.outbox

    with ScriptedBroker(script) as broker:
        box = asyncio.run(drive(broker.port))
    assert seen[0] == [1, 2, 3]
    assert seen[1] == list(range(1, len(box.ids) + 1))
    assert all(made < (got or 0) for made, got in zip(box.made_s, box.receipted_s, strict=True))

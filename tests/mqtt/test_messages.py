"""Messages, answers and subscriptions over one connection."""

import pytest

from edge_agent.mqtt import (
    Acknowledged,
    Message,
    Received,
    Subscribed,
    SubscriptionRefused,
)
from edge_agent.mqtt.link import _RECEIVED_AT_MOST
from tests.e2e.broker import wait_until
from tests.faults.scripted import PUBLISH, SUBSCRIBE, Packet, Peer
from tests.mqtt.links import event_of, linked, until_closed


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

"""Links to a scripted broker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_agent.mqtt import (
    Broker,
    Event,
    Message,
    MqttLink,
)
from tests.faults.scripted import Peer, ScriptedBroker

PATIENCE_S = 60


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

"""Somebody else on the broker, who listens and talks."""

import threading
from types import TracebackType
from typing import Self

from edge_agent.mqtt import Acknowledged, Broker, Connected, Message, MqttLink, Received, Subscribed
from tests.e2e.broker import Mosquitto, wait_until


class Tap:
    """Keeps what it hears on one topic, and publishes what it is told."""

    def __init__(self, mosquitto: Mosquitto, topic: str = "nothing") -> None:
        self._link = MqttLink(broker=Broker("127.0.0.1", mosquitto.port), client_id="tap")
        self._topic = topic
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._acknowledged: set[int] = set()
        self.heard: list[bytes] = []

    def __enter__(self) -> Self:
        self._link.connect()
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._link.close()

    def publish(self, topic: str, payload: bytes) -> None:
        mid = self._link.publish(Message(topic, payload))
        wait_until(lambda: mid in self._acknowledged, "the broker's acknowledgement")

    def _listen(self) -> None:
        while not self._stop.is_set():
            match self._link.next_event(0.05):
                case Connected():
                    self._link.subscribe(self._topic)
                case Subscribed():
                    self._ready.set()
                case Acknowledged(mid):
                    self._acknowledged.add(mid)
                case Received(_, payload):
                    self.heard.append(payload)

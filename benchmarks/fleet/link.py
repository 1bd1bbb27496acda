"""A connection without a thread: the publisher's Link on an event loop that it shares with a thousand others."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from benchmarks.fleet import packets
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
    SubscriptionRefused,
)

KEEPALIVE_S = 20
_FAILURE = 0x80


class LightLink:
    """next_event never waits; wait_s tells how long it was asked to, and woken is called when there is news."""

    def __init__(self, *, port: int, client_id: str, will: Message, woken: Callable[[], None]) -> None:
        self._port = port
        self._woken = woken
        self._connect = packets.connect(
            client_id=client_id, keepalive_s=KEEPALIVE_S, will_topic=will.topic, will=will.payload
        )
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event] = deque()
        self._wire: _Wire | None = None
        self._opening: asyncio.Task[None] | None = None
        self._out = bytearray()
        self._out_s = 0.0
        self._mid = 0
        self.wait_s = 0.0
        self.connected_s: list[float] = []
        """When (s of the loop) each connection was accepted."""

        self.largest_packet = 0
        """Bytes of the largest message sent, all of MQTT counted."""

    @property
    def is_connected(self) -> bool:
        return self._wire is not None

    def connect(self) -> None:
        self._out.clear()
        self._mid = 0
        self._opening = self._loop.create_task(self._open())

    def next_event(self, timeout_s: float) -> Event | None:
        if self._events:
            return self._events.popleft()
        self.wait_s = timeout_s
        return None

    def wake(self) -> None:
        self._woken()

    def publish(self, message: Message) -> int | None:
        if self._wire is None:
            return None
        packet = packets.publish(message.topic, message.payload, mid=self._next_mid(), retain=message.retain)
        self.largest_packet = max(self.largest_packet, len(packet))
        self._out += packet
        return self._mid

    def subscribe(self, topic: str) -> None:
        self._out += packets.subscribe(topic, mid=self._next_mid())

    def drop(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    def close(self) -> None:
        self._out += packets.GOODBYE
        self.flush()
        if self._opening is not None:
            self._opening.cancel()
        if self._wire is not None:
            self._wire.close()

    def flush(self) -> None:
        """Send what was published, in one piece, or a sign of life where nothing was for long."""
        if self._wire is None:
            return
        now_s = self._loop.time()
        if not self._out and now_s - self._out_s > KEEPALIVE_S / 2:
            self._out += packets.PINGREQ
        if self._out:
            self._wire.write(bytes(self._out))
            self._out.clear()
            self._out_s = now_s

    async def _open(self) -> None:
        try:
            await self._loop.create_connection(lambda: _Wire(self), "127.0.0.1", self._port)
        except OSError as error:
            self._tell(ConnectFailed(f"broker 127.0.0.1:{self._port}: {error.strerror or error}"))

    def _next_mid(self) -> int:
        self._mid = self._mid % 65535 + 1
        return self._mid

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._woken()

    # What the wire tells.

    def made(self, wire: "_Wire") -> None:
        wire.write(self._connect)

    def lost(self, wire: "_Wire") -> None:
        was_ready, self._wire = self._wire is wire, None
        self._tell(Disconnected("connection lost") if was_ready else ConnectFailed("not accepted"))

    def came(self, wire: "_Wire", packet: packets.Packet) -> None:
        """Turn a packet into an event. Raises BrokerError."""
        match packet.kind:
            case packets.CONNACK:
                answer = packets.accepted(packet)
                if answer.code:
                    wire.abort()
                    return
                self._wire = wire
                self._out_s = self._loop.time()
                self.connected_s.append(self._out_s)
                self._tell(Connected(answer.receive_maximum, answer.maximum_packet_size))
            case packets.PUBACK:
                mid, code = packets.acknowledged(packet)
                self._tell(Acknowledged(mid=mid, code=code, reason=f"0x{code:02x}"))
            case packets.SUBACK:
                _, code = packets.acknowledged(packet)
                self._tell(SubscriptionRefused(f"0x{code:02x}") if code >= _FAILURE else Subscribed())
            case packets.PUBLISH:
                message = packets.publication(packet)
                if message.mid:
                    self._out += packets.acknowledgement(message.mid)
                self._tell(Received(message.topic, message.payload))
            case packets.DISCONNECT:
                wire.abort()


class _Wire(asyncio.Protocol):
    """One TCP connection; asyncio sets TCP_NODELAY."""

    def __init__(self, link: LightLink) -> None:
        self._link = link
        self._stream = packets.Stream()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # as a socket's always is
        self._link.made(self)

    def data_received(self, data: bytes) -> None:
        try:
            for packet in self._stream.feed(data):
                self._link.came(self, packet)
        except BrokerError:
            self.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._link.lost(self)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

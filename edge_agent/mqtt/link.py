"""One MQTT 5 connection at a time; the only module that knows paho.

paho's own queue, window and reconnection stay out of use: the queue is memory only, the window ignores the
broker's Receive Maximum, and after a reconnection everything unacknowledged goes out at once. So each connection
has a client of its own that never reconnects, its thread ends with the connection, and its callbacks only put
events on a queue: an exception in one would kill the thread, and waiting in on_publish would deadlock publish().
"""

import contextlib
import queue
import socket
import threading

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.errors import BrokerError
from edge_agent.mqtt.failures import REFUSALS, explain, tls_context
from edge_agent.mqtt.identity import identity
from edge_agent.mqtt.messages import (
    Acknowledged,
    Broker,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Message,
    Received,
    Subscribed,
    SubscriptionRefused,
    Woken,
)

_CONNECT_TIMEOUT_S = 10.0
_EVENTS = 4096
_RECEIVED_AT_MOST = _EVENTS // 2  # leaves room for what is bounded by the window and must never wait
_FULL_S, _FAREWELL_S = 0.1, 2.0
_PROTOCOL_DEFAULT_RECEIVE_MAXIMUM = 65535
_SUCCESS = MQTTErrorCode.MQTT_ERR_SUCCESS
_PROTOCOL_ERROR = 0x82  # also what paho makes of an answer that it cannot decode


class MqttLink:
    """Connects when told to, and tells by events what became of it; one reader takes the events.

    With session_expiry_s above 0 the broker keeps subscriptions and their messages that long while we are away.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        client_id: str,
        keepalive_s: int = 20,
        will: Message | None = None,
        session_expiry_s: int = 0,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._keepalive_s = keepalive_s
        self._will = will
        self._session_expiry_s = session_expiry_s
        self._connection: _Connection | None = None
        self._woken = threading.Event()
        self._events: queue.Queue[Event] = queue.Queue(maxsize=_EVENTS)

    def connect(self) -> None:
        """Start connecting; Connected or ConnectFailed follows, and after Connected one Disconnected."""
        try:
            client = self._make_client()
        except BrokerError as error:
            self._events.put(ConnectFailed(str(error)))
            return
        self._connection = _Connection(
            client, self._broker, self._keepalive_s, self._session_expiry_s, self._events
        )
        self._connection.start()

    def next_event(self, timeout_s: float) -> Event | None:
        """Wait for an event; None after the timeout."""
        try:
            event = self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get_nowait()
        except queue.Empty:
            return None
        if isinstance(event, Woken):
            self._woken.clear()
        return event

    def wake(self) -> None:
        """Make the reader of the events look up; any thread may call it, and never waits."""
        if not self._woken.is_set():
            self._woken.set()
            try:
                self._events.put_nowait(Woken())
            except queue.Full:  # then the reader has enough to wake up for
                self._woken.clear()

    def publish(self, message: Message) -> int | None:
        """Send a message and give the number under which it will be acknowledged; None without a connection."""
        return self._connection.publish(message) if self._connection else None

    def subscribe(self, topic: str) -> None:
        """Ask for a topic's new messages; Subscribed or SubscriptionRefused follows."""
        if self._connection:
            self._connection.subscribe(topic)

    def drop(self) -> None:
        """Cut a connection that no longer answers; Disconnected follows."""
        if self._connection:
            self._connection.drop()

    def close(self) -> None:
        """Say goodbye, so that the broker does not publish the will, and end the thread."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # no second window under ours
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls is not None:
            client.tls_set_context(tls_context(self._broker.tls))
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=self._will.retain)
        return client


class _Connection:
    """One connection from its first packet to its last, on a thread of its own."""

    def __init__(
        self, client: Client, broker: Broker, keepalive_s: int, session_expiry_s: int, events: queue.Queue[Event]
    ) -> None:
        self._client = client
        self._broker = broker
        self._keepalive_s = keepalive_s
        self._session_expiry_s = session_expiry_s
        self._events = events
        self._accepted = False
        self._closing = threading.Event()
        self._unanswered = self._reason = (
            f"{broker}: closed the connection before answering: check that it speaks MQTT 5 on this port"
            + (" and accepts our certificate" if broker.tls else ", without TLS")
        )
        self._no_mqtt = f"{broker}: sent what is no MQTT 5: check what listens on this port"
        # A thread, and not only for the loop: looking up a name can block for long.
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        client = self._client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        # Being set keeps paho from writing on the publisher's thread: this one alone touches the socket.
        client.on_socket_register_write = lambda _client, _data, _socket: None
        self._thread.start()

    def publish(self, message: Message) -> int | None:
        info = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        return info.mid if info.rc == _SUCCESS else None

    def subscribe(self, topic: str) -> None:
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        self._client.subscribe(topic, options=options)

    def drop(self) -> None:
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        if self._accepted:
            self._client.disconnect()
        else:
            self.drop()  # paho would put the goodbye before the greeting
        self._thread.join(_FAREWELL_S)
        if self._thread.is_alive():
            self.drop()
            self._thread.join(_FAREWELL_S)
        self._client._reset_sockets(sockpair_only=True)  # noqa: SLF001 - paho leaves the pair that wakes it open

    def _run(self) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        if self._session_expiry_s:
            properties.SessionExpiryInterval = self._session_expiry_s
        try:
            self._client.connect(
                self._broker.host,
                self._broker.port,
                self._keepalive_s,
                clean_start=not self._session_expiry_s,
                properties=properties,
            )
            while (self._accepted or not self._closing.is_set()) and self._client.loop() == _SUCCESS:
                pass
        except (OSError, ValueError) as error:
            self._reason = f"{self._broker}: {explain(error)}"
        except queue.Full:  # raised by a callback
            self._reason = f"{self._broker}: sent far more answers than there were questions"
        finally:
            if self._reason == self._unanswered and (wrong := self._wrong_certificate()):
                self._reason = f"{self._broker}: closed the connection before answering: {wrong}"
            self.drop()  # where an answer was no MQTT, paho leaves the socket open
            self._tell((Disconnected if self._accepted else ConnectFailed)(self._reason))

    def _wrong_certificate(self) -> str | None:
        """Why any broker would refuse our certificate: with TLS 1.3 it says nothing, and hangs up."""
        tls = self._broker.tls
        if tls is not None and tls.certificate_file is not None:
            try:
                identity(tls.certificate_file, tls.key_file)
            except BrokerError as error:
                return str(error)
        return None

    def _tell(self, event: Event) -> None:
        """Wait until there is room for the last event: without it nobody would connect again."""
        is_told = False
        while not is_told and not (self._events.full() and self._closing.is_set()):
            with contextlib.suppress(queue.Full):
                self._events.put(event, timeout=_FULL_S)
                is_told = True

    def _on_socket_open(self, _client: Client, _data: object, sock: object) -> None:
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if self._accepted:  # greeted twice: what is under way would be forgotten, and sent again beyond the window
            self._reason = self._no_mqtt
            self.drop()
            return
        if code.is_failure:
            self._reason = (
                f"{self._broker}: {REFUSALS.get(code.value, f'refused the connection ({code.getName()})')}"
            )
            return
        if getattr(properties, "MaximumQoS", 1) < 1:
            self._reason = f"{self._broker}: offers only QoS 0, which loses messages: check its settings"
            self._client.disconnect()
            return
        self._accepted = True
        self._reason = f"{self._broker}: connection lost"
        self._events.put_nowait(
            Connected(
                receive_maximum=getattr(properties, "ReceiveMaximum", _PROTOCOL_DEFAULT_RECEIVE_MAXIMUM),
                maximum_packet_size=getattr(properties, "MaximumPacketSize", None),
            )
        )

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, code: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._reason = f"{self._broker}: ended the connection ({code.getName()})"
        elif code.getName() == "Keep alive timeout":
            self._reason = f"{self._broker}: no answer for {self._keepalive_s} s"
        elif code.value == _PROTOCOL_ERROR and (self._accepted or self._reason == self._unanswered):
            self._reason = self._no_mqtt

    def _on_publish(self, _client: Client, _data: object, mid: int, code: ReasonCode, _properties: object) -> None:
        self._events.put_nowait(Acknowledged(mid=mid, code=code.value, reason=code.getName()))

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        for code in codes:
            self._events.put_nowait(SubscriptionRefused(code.getName()) if code.is_failure else Subscribed())

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        # Waiting is safe in this callback alone, and lets TCP slow a flood down instead of losing receipts.
        while self._events.qsize() >= _RECEIVED_AT_MOST and not self._closing.wait(0.01):
            pass
        self._events.put_nowait(Received(topic=message.topic, payload=bytes(message.payload)))

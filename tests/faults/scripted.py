"""A broker that does what a test's script says, packet by packet, wrong packets included."""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14


class Packet(NamedTuple):
    """kind and flags from the fixed header, and what follows it."""

    kind: int
    flags: int
    body: bytes

    @property
    def topic(self) -> str:
        (length,) = struct.unpack_from("!H", self.body)
        return self.body[2 : 2 + length].decode()

    @property
    def mid(self) -> int:
        """The number of a PUBLISH (QoS 1) or SUBSCRIBE."""
        at = 2 + len(self.topic) if self.kind == PUBLISH else 0
        return int(struct.unpack_from("!H", self.body, at)[0])

    @property
    def payload(self) -> bytes:
        return self.body[2 + len(self.topic) + 3 :]  # number, no properties


class Closed(Exception):
    """The other side has gone."""


class Peer:
    """One connection, seen from the broker."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self) -> Packet:
        """Wait for a packet. Raises Closed."""
        head = self._take(1)[0]
        length = shift = 0
        while True:
            byte = self._take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return Packet(head >> 4, head & 0x0F, self._take(length))

    def more(self, within_s: float) -> bool:
        """Tell whether something comes within a time."""
        return bool(select.select([self._connection], [], [], within_s)[0])

    def send(self, kind: int, body: bytes, flags: int = 0) -> None:
        assert len(body) < 128
        self.send_raw(bytes([kind << 4 | flags, len(body)]) + body)

    def send_raw(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._connection.sendall(data)

    def accept(self, properties: bytes = b"", code: int = 0) -> Packet:
        """Read the CONNECT and answer it."""
        packet = self.read()
        assert packet.kind == CONNECT
        self.send(2, bytes([0, code, len(properties)]) + properties)
        return packet

    def acknowledge(self, packet: Packet, code: int = 0) -> None:
        self.send(PUBACK, struct.pack("!HBB", packet.mid, code, 0) if code else struct.pack("!H", packet.mid))

    def grant(self, packet: Packet, code: int = 1) -> None:
        """Answer a SUBSCRIBE."""
        self.send(9, struct.pack("!HBB", packet.mid, 0, code))

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message with QoS 0."""
        self.send(PUBLISH, struct.pack("!H", len(topic)) + topic.encode() + b"\0" + payload)

    def _take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                piece = self._connection.recv(length - len(data))
            except OSError:
                piece = b""
            if not piece:
                raise Closed
            data += piece
        return data


class ScriptedBroker:
    """Plays the script for one connection after the other; a script that returns closes its connection."""

    def __init__(self, script: Callable[[Peer], None]) -> None:
        self._script = script
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._open: socket.socket | None = None
        self.port = int(self._server.getsockname()[1])
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        connection = self._open
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open = connection
            with connection, contextlib.suppress(Closed):
                self._script(Peer(connection))

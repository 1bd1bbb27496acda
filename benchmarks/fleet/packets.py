"""MQTT 5 as far as a light car speaks it (OASIS MQTT 5.0): packets to send, and what comes taken apart."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from edge_agent.errors import BrokerError

CONNACK, PUBLISH, PUBACK, SUBACK, DISCONNECT = 2, 3, 4, 9, 14
PINGREQ, GOODBYE = b"\xc0\x00", b"\xe0\x00"
_RECEIVE_MAXIMUM, _MAXIMUM_PACKET_SIZE = 0x21, 0x27
_PROPERTY_BYTES = {
    0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip
_PROPERTY_TEXTS = frozenset({0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})


class Packet(NamedTuple):
    """kind and flags from the fixed header, and what follows it."""

    kind: int
    flags: int
    body: bytes


class Accepted(NamedTuple):
    """A CONNACK; code 0 is yes."""

    code: int
    receive_maximum: int
    maximum_packet_size: int | None


class Publication(NamedTuple):
    """A PUBLISH that came; mid is 0 with QoS 0."""

    topic: str
    mid: int
    payload: bytes


def connect(*, client_id: str, keepalive_s: int, will_topic: str, will: bytes) -> bytes:
    """Clean start, with a retained last will of QoS 1."""
    flags = 0x02 | 0x04 | 0x08 | 0x20
    head = _text("MQTT") + struct.pack("!BBHB", 5, flags, keepalive_s, 0)
    return _packet(0x10, head + _text(client_id) + b"\0" + _text(will_topic) + struct.pack("!H", len(will)) + will)


def publish(topic: str, payload: bytes, *, mid: int, retain: bool) -> bytes:
    """QoS 1, no properties."""
    return _packet(0x32 | retain, _text(topic) + struct.pack("!HB", mid, 0) + payload)


def subscribe(topic: str, *, mid: int) -> bytes:
    """QoS 1; retained messages are not wanted (retain handling 2)."""
    return _packet(0x82, struct.pack("!HB", mid, 0) + _text(topic) + bytes([0x01 | 2 << 4]))


def acknowledgement(mid: int) -> bytes:
    return _packet(0x40, struct.pack("!H", mid))


def accepted(packet: Packet) -> Accepted:
    """Take a CONNACK apart. Raises BrokerError."""
    properties = _properties(packet.body, 2)
    return Accepted(
        code=packet.body[1],
        receive_maximum=properties.get(_RECEIVE_MAXIMUM, 65535),
        maximum_packet_size=properties.get(_MAXIMUM_PACKET_SIZE),
    )


def acknowledged(packet: Packet) -> tuple[int, int]:
    """Give the number and the reason code of a PUBACK or SUBACK."""
    (mid,) = struct.unpack_from("!H", packet.body)
    if packet.kind == SUBACK:
        return mid, packet.body[-1]
    return mid, packet.body[2] if len(packet.body) > 2 else 0


def publication(packet: Packet) -> Publication:
    """Take a PUBLISH apart."""
    (length,) = struct.unpack_from("!H", packet.body)
    at, mid = 2 + length, 0
    topic = packet.body[2:at].decode()
    if packet.flags & 0x06:
        (mid,) = struct.unpack_from("!H", packet.body, at)
        at += 2
    properties, at = _length(packet.body, at)
    return Publication(topic, mid, packet.body[at + properties :])


class Stream:
    """Cuts what arrives into packets."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Give the packets that are complete."""
        self._data += data
        at = 0
        while at < len(self._data):
            try:
                length, body = _length(self._data, at + 1)
            except IndexError:
                break
            if body + length > len(self._data):
                break
            first = self._data[at]
            yield Packet(first >> 4, first & 0x0F, bytes(self._data[body : body + length]))
            at = body + length
        del self._data[:at]


def _packet(first: int, body: bytes) -> bytes:
    length, left = bytearray(), len(body)
    while left >= 0x80:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return bytes([first]) + length + body


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Read a variable byte integer: its value, and where it ends. Raises IndexError where it is not there yet."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _properties(data: bytes, at: int) -> dict[int, int]:
    """Read the properties that are numbers; of texts only the length is looked at. Raises BrokerError."""
    length, at = _length(data, at)
    end, found = at + length, {}
    while at < end:
        name = data[at]
        at += 1
        if name in _PROPERTY_TEXTS:
            at += 2 + int.from_bytes(data[at : at + 2], "big")
        elif name in _PROPERTY_BYTES:
            found[name] = int.from_bytes(data[at : at + _PROPERTY_BYTES[name]], "big")
            at += _PROPERTY_BYTES[name]
        else:
            raise BrokerError(f"the broker sent a property that is not known here (0x{name:02x})")
    return found

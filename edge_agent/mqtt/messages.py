"""What the rest of the program knows of MQTT: where the broker is, what is said to it, and what comes of it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom to trust (None: the system's authorities), and who we are (PEM files)."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to be let in."""

    host: str
    port: int
    tls: Tls | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"broker {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Message:
    """What is published, always with QoS 1; the broker keeps a retained one for later subscribers."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted; None where it sets no limit (bytes) on a packet."""

    receive_maximum: int
    maximum_packet_size: int | None


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """No connection came about; reason is one line that says what to check."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection that was is no more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker's answer to one message; code is MQTT's reason code, reason its name."""

    mid: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """From here on the messages of a topic arrive."""


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The broker does not let us subscribe."""

    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """A message on a topic that was subscribed to."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Woken:
    """Somebody asked the reader of the events to look up."""


Event = (
    Connected | ConnectFailed | Disconnected | Acknowledged | Subscribed | SubscriptionRefused | Received | Woken
)

"""What a vehicle says of its connection, retained by the broker; `offline` is its last will."""

from enum import StrEnum


class State(StrEnum):
    """The payload of the state topic, as plain text."""

    ONLINE = "online"
    OFFLINE = "offline"
    STOPPED = "stopped"

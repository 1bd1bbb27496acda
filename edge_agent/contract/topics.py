"""Where the messages of one vehicle go: PREFIX/v1/AGENCY/VEHICLE/KIND."""

import re
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from edge_agent.errors import ContractError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
"""What an agency, a vehicle or a camera can be called: safe in a topic, an access rule and a file's name."""

_PREFIX_PATTERN = r"^[A-Za-z0-9_-]{1,32}(/[A-Za-z0-9_-]{1,32}){0,3}$"
_VERSION = "v1"
_UUID_PATTERN = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

READS, GAPS, IMAGES = "reads", "gaps", "images"
"""What a central store takes."""


def _check(what: str, value: str, pattern: str) -> None:
    if re.fullmatch(pattern, value) is None:
        raise ContractError(f"{what} {value!r}: should be up to 32 letters, digits, - and _ (no space, /, + or #)")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one vehicle. Raises ContractError for a name that cannot be part of one."""

    prefix: str
    agency: str
    vehicle: str

    def __post_init__(self) -> None:
        _check("topic prefix", self.prefix, _PREFIX_PATTERN)
        _check("agency", self.agency, NAME_PATTERN)
        _check("vehicle", self.vehicle, NAME_PATTERN)

    @property
    def reads(self) -> str:
        return self._topic(READS)

    @property
    def gaps(self) -> str:
        return self._topic(GAPS)

    def image(self, read: UUID) -> str:
        return self._topic(f"{IMAGES}/{read}")

    @property
    def health(self) -> str:
        return self._topic("health")

    @property
    def state(self) -> str:
        return self._topic("state")

    @property
    def receipts(self) -> str:
        return self._topic("receipts")

    def _topic(self, kind: str) -> str:
        return f"{self.prefix}/{_VERSION}/{self.agency}/{self.vehicle}/{kind}"


class Sender(NamedTuple):
    """Whose message a topic carries, of which kind, and of which read if it is a picture."""

    vehicle: Topics
    kind: str
    read: UUID | None = None


def every_vehicle(prefix: str, kind: str) -> str:
    """Give the filter with which a central store subscribes to one kind of message of all vehicles."""
    _check("topic prefix", prefix, _PREFIX_PATTERN)
    return f"{prefix}/{_VERSION}/+/+/{kind}" + ("/+" if kind == IMAGES else "")


def sender(prefix: str, topic: str) -> Sender:
    """Tell whose READS, GAPS or IMAGES a topic carries. Raises ContractError for another."""
    rest = topic.removeprefix(f"{prefix}/{_VERSION}/").split("/")
    match rest:
        case [agency, vehicle, ("reads" | "gaps") as kind]:
            return Sender(Topics(prefix, agency, vehicle), kind)
        case [agency, vehicle, "images", read] if re.fullmatch(_UUID_PATTERN, read):
            return Sender(Topics(prefix, agency, vehicle), IMAGES, UUID(read))
        case [_, _, "images", read]:
            raise ContractError(f"topic {topic!r}: {read!r} should be the id of a read")
    filters = [every_vehicle(prefix, kind) for kind in (READS, GAPS, IMAGES)]
    raise ContractError(f"topic {topic!r}: should be {filters[0]}, {filters[1]} or {filters[2]}")

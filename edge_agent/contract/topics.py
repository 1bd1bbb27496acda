"""Where the messages of one vehicle go: PREFIX/v1/AGENCY/VEHICLE/KIND."""

import re
from dataclasses import dataclass

from edge_agent.errors import ContractError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
"""What an agency, a vehicle or a camera can be called: safe in a topic, an access rule and a file's name."""

_PREFIX_PATTERN = r"^[A-Za-z0-9_-]{1,32}(/[A-Za-z0-9_-]{1,32}){0,3}$"
_VERSION = "v1"


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
        return self._topic("reads")

    @property
    def state(self) -> str:
        return self._topic("state")

    @property
    def receipts(self) -> str:
        return self._topic("receipts")

    def _topic(self, kind: str) -> str:
        return f"{self.prefix}/{_VERSION}/{self.agency}/{self.vehicle}/{kind}"


def every_vehicles_reads(prefix: str) -> str:
    """Give the filter with which a central store subscribes to the reads of all vehicles."""
    _check("topic prefix", prefix, _PREFIX_PATTERN)
    return f"{prefix}/{_VERSION}/+/+/reads"


def sender(prefix: str, topic: str) -> Topics:
    """Tell whose reads a topic carries. Raises ContractError when it is not a topic of reads."""
    rest = topic.removeprefix(f"{prefix}/{_VERSION}/").split("/")
    match rest:
        case [agency, vehicle, "reads"]:
            return Topics(prefix, agency, vehicle)
    raise ContractError(f"topic {topic!r}: should be {every_vehicles_reads(prefix)}")

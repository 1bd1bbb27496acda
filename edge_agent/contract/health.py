"""The health record `lpr.health/1`: once a minute, how the car's reader is. It holds no plate and no position."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.contract.explain import decoded
from edge_agent.contract.record import Clock, Name, Time
from edge_agent.domain import MOST_CAMERAS, GapReason, Missing

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Line = Annotated[str, Field(min_length=1, max_length=300)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class CameraHealth(_Part):
    """A camera and its line, since the program's start."""

    name: Name
    state: Literal["opening", "running", "waiting", "ended"]
    picture: Literal["ok", "frozen", "black", "stalled"]
    fps: Annotated[float, Field(ge=0, le=1000)] = Field(description="Frames a second that the camera gives now.")
    frames: Count
    processed: Count = Field(description="Frames that were looked at.")
    dropped: Count = Field(description="Frames that a newer one replaced before they were looked at.")
    reads: Count = Field(description="Reads and corrections committed to the disk.")
    lost: Count = Field(description="Reads that the disk did not take.")
    reopened: Count


class LeftHealth(_Part):
    """Reads with their pictures, or only pictures, that left without the store's receipt."""

    what: Missing = Field(strict=False)
    reason: GapReason = Field(strict=False)
    reads: Count


class OutboxHealth(_Part):
    """What waits on the car's disk, and what its purge log says."""

    pending: Count
    sent: Count = Field(description="At the broker, without the store's receipt.")
    quarantined: Count
    images: Count = Field(description="Pictures without the store's receipt.")
    gaps: Count
    last_seq: Count
    oldest_at: Time | None
    size_bytes: Count
    left: tuple[LeftHealth, ...]


class DeliveryHealth(_Part):
    """The way to the store, since the program's start."""

    receipted: Count
    resent: Count
    refused: Count
    bad_receipts: Count
    connections_lost: Count


class HealthRecord(_Part):
    """How a car's reader is; warnings are lines for a person, the worst first."""

    schema_: Literal["lpr.health/1"] = Field(alias="schema")
    agency: Name
    vehicle: Name
    at: Time
    agent: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,16}$")] = Field(description="The program's version.")
    up_s: Count = Field(description="Seconds since the program's start.")
    cameras: Annotated[tuple[CameraHealth, ...], Field(max_length=MOST_CAMERAS)]
    outbox: OutboxHealth
    delivery: DeliveryHealth
    clock: Clock
    fix_age_s: Count | None = Field(description="How old the last fix of the car's position is.")
    disk_free_bytes: Count | None
    certificate_expires_at: Time | None = Field(description="Of the vehicle's client certificate.")
    warnings: Annotated[tuple[Line, ...], Field(max_length=20)]

    def encode(self) -> bytes:
        """Write the record as compact JSON."""
        return self.model_dump_json(by_alias=True).encode()


def decode_health(payload: bytes) -> HealthRecord:
    """Read a health record. Raises ContractError with one line that says what is wrong."""
    return decoded(HealthRecord, payload, "health record")

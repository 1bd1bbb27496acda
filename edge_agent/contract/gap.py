"""The gap record `lpr.gap/1`: what of a vehicle will not come, and why. It never says what was read."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.contract.explain import decoded
from edge_agent.contract.record import Name, Seq, Time
from edge_agent.domain import MOST_RANGES, GapReason, Missing

Range = tuple[Seq, Seq]


class GapRecord(BaseModel):
    """Places of a vehicle's count whose reads, or only their pictures, left the car unsent, or unconfirmed.

    quota: the outbox was full. expired: older than the car may keep them. quarantined: the broker will not take
    them; they are still in the car, to be exported. damaged: the file was damaged, and what of these places has not
    come may be lost. purged: a person deleted them. not_written: the disk took nothing, and they never had a place.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_: Literal["lpr.gap/1"] = Field(alias="schema")
    id: UUID = Field(description="The store's key, so that a repeat is harmless; a receipt names it.")
    agency: Name
    vehicle: Name
    what: Missing = Field(
        default=Missing.READS, strict=False, description="The reads, with their pictures, or only the pictures."
    )
    reason: GapReason = Field(strict=False)
    ranges: Annotated[tuple[Range, ...], Field(max_length=MOST_RANGES)] = Field(
        description="Places of the count, first and last of each range; empty where there were none."
    )
    reads: Annotated[int, Field(ge=0, le=2**53 - 1)] = Field(description="How many reads that concerns.")
    acknowledged: Annotated[int, Field(ge=0, le=2**53 - 1)] = Field(
        description="How many of them a broker had acknowledged: they may have come, or still come."
    )
    at: Time = Field(description="When it happened.")

    def encode(self) -> bytes:
        """Write the record as compact JSON."""
        return self.model_dump_json(by_alias=True).encode()


def decode_gap(payload: bytes) -> GapRecord:
    """Read a gap record. Raises ContractError with one line that says what is wrong."""
    return decoded(GapRecord, payload, "gap record")

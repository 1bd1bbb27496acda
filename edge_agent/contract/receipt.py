"""What the central store answers: which reads it has stored and committed."""

from collections.abc import Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_agent.contract.explain import explain
from edge_agent.domain import ReadKey
from edge_agent.errors import ContractError

Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Receipt(BaseModel):
    """Names reads and gap records by id, corrections by id and revision, or all reads up to a place in the count.

    Fields that later versions add are ignored.
    """

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        frozen=True,
        json_schema_extra={
            "anyOf": [{"required": [name]} for name in ("ids", "corrections", "gaps", "through_seq")]
        },
    )

    ids: tuple[UUID, ...] = Field(default=(), description="Reads as they were first said: revision 0.")
    corrections: tuple[tuple[UUID, Revision], ...] = Field(
        default=(), description="Corrections of reads: id and revision."
    )
    gaps: tuple[UUID, ...] = Field(default=(), description="Gap records.")
    through_seq: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.ids and not self.corrections and not self.gaps and self.through_seq is None:
            raise ValueError("names no read and no gap")
        return self

    @property
    def keys(self) -> tuple[ReadKey, ...]:
        """All that is named one by one."""
        return (*(ReadKey(one) for one in self.ids), *(ReadKey(*one) for one in self.corrections))

    @classmethod
    def of(cls, keys: Sequence[ReadKey], *, gaps: Sequence[UUID] = ()) -> Self:
        """Name reads, corrections and gap records one by one."""
        return cls(
            ids=tuple(one.id for one in keys if not one.revision),
            corrections=tuple((one.id, one.revision) for one in keys if one.revision),
            gaps=tuple(gaps),
        )

    def encode(self) -> bytes:
        """Write the receipt as compact JSON."""
        return self.model_dump_json(exclude_defaults=True).encode()


def decode_receipt(payload: bytes) -> Receipt:
    """Read a receipt. Raises ContractError with one line that says what is wrong."""
    try:
        return Receipt.model_validate_json(payload)
    except ValidationError as error:
        raise ContractError(f"receipt: {explain(error)}") from None

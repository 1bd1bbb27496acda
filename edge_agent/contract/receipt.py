"""What the central store answers: what it has stored and committed."""

from collections.abc import Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge_agent.contract.explain import decoded
from edge_agent.contract.record import Sha256
from edge_agent.domain import ImageKey, ReadKey

Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Receipt(BaseModel):
    """Names reads, corrections, gap records and pictures one by one, or all reads up to a place in the count.

    Fields that later versions add are ignored.
    """

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        frozen=True,
        json_schema_extra={
            "anyOf": [{"required": [name]} for name in ("ids", "corrections", "gaps", "images", "through_seq")]
        },
    )

    ids: tuple[UUID, ...] = Field(default=(), description="Reads as they were first said: revision 0.")
    corrections: tuple[tuple[UUID, Revision], ...] = Field(
        default=(), description="Corrections of reads: id and revision."
    )
    gaps: tuple[UUID, ...] = Field(default=(), description="Gap records.")
    images: tuple[tuple[UUID, Sha256], ...] = Field(
        default=(), description="Pictures: the read's id, and the picture's hash."
    )
    through_seq: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.ids or self.corrections or self.gaps or self.images) and self.through_seq is None:
            raise ValueError("names no read, no gap and no picture")
        return self

    @property
    def keys(self) -> tuple[ReadKey, ...]:
        """The reads and corrections that are named one by one."""
        return (*(ReadKey(one) for one in self.ids), *(ReadKey(*one) for one in self.corrections))

    @property
    def image_keys(self) -> tuple[ImageKey, ...]:
        return tuple(ImageKey(*one) for one in self.images)

    @classmethod
    def of(cls, keys: Sequence[ReadKey], *, gaps: Sequence[UUID] = (), images: Sequence[ImageKey] = ()) -> Self:
        """Name reads, corrections, gap records and pictures one by one."""
        return cls(
            ids=tuple(one.id for one in keys if not one.revision),
            corrections=tuple((one.id, one.revision) for one in keys if one.revision),
            gaps=tuple(gaps),
            images=tuple(images),
        )

    def encode(self) -> bytes:
        """Write the receipt as compact JSON."""
        return self.model_dump_json(exclude_defaults=True).encode()


def decode_receipt(payload: bytes) -> Receipt:
    """Read a receipt. Raises ContractError with one line that says what is wrong."""
    return decoded(Receipt, payload, "receipt")

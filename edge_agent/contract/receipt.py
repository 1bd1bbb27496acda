"""What the central store answers: which reads it has stored and committed."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_agent.contract.explain import explain
from edge_agent.errors import ContractError


class Receipt(BaseModel):
    """Names reads by id, or all up to a place in the count; fields that later versions add are ignored."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        frozen=True,
        json_schema_extra={"anyOf": [{"required": ["ids"]}, {"required": ["through_seq"]}]},
    )

    ids: tuple[UUID, ...] = ()
    through_seq: Annotated[int, Field(ge=1, le=2**53 - 1)] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.ids and self.through_seq is None:
            raise ValueError("names no read")
        return self

    def encode(self) -> bytes:
        """Write the receipt as compact JSON."""
        return self.model_dump_json(exclude_defaults=True).encode()


def decode_receipt(payload: bytes) -> Receipt:
    """Read a receipt. Raises ContractError with one line that says what is wrong."""
    try:
        return Receipt.model_validate_json(payload)
    except ValidationError as error:
        raise ContractError(f"receipt: {explain(error)}") from None

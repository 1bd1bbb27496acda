"""The picture of a read's plate: the plate alone, no car and no people, and only where the site wants pictures.

On its topic it is the JPEG itself; in a file, where it has no topic, it is a line `lpr.image/1`.
"""

import base64
import hashlib
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from edge_agent.contract.explain import decoded, explain
from edge_agent.contract.record import LONGEST_IMAGE_BYTES, Name
from edge_agent.domain import ImageKey
from edge_agent.errors import ContractError

WIDTH_PX, HEIGHT_PX, BUDGET_BYTES = 120, 60, 3072
"""What a car's picture may measure and weigh, so that those of a day fit through a bad radio link."""

_START_OF_JPEG = b"\xff\xd8\xff"


def _from_base64(value: object) -> object:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


Jpeg = Annotated[
    bytes,
    Field(max_length=LONGEST_IMAGE_BYTES),
    BeforeValidator(_from_base64),
    PlainSerializer(_to_base64),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/jpeg"}),
]


class ImageRecord(BaseModel):
    """A picture and whose it is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_: Literal["lpr.image/1"] = Field(alias="schema")
    agency: Name
    vehicle: Name
    id: UUID = Field(description="The read's; its record has the picture's hash.")
    jpeg: Jpeg

    @model_validator(mode="after")
    def _is_jpeg(self) -> Self:
        if not self.jpeg.startswith(_START_OF_JPEG):
            raise ValueError("jpeg: is no JPEG file")
        return self

    @property
    def key(self) -> ImageKey:
        """What a receipt names it by."""
        return ImageKey(self.id, hashlib.sha256(self.jpeg).hexdigest())

    def encode(self) -> bytes:
        """Write the picture as a line of a file, compact JSON."""
        return self.model_dump_json(by_alias=True).encode()


def image_record(jpeg: bytes, *, agency: str, vehicle: str, read: UUID) -> ImageRecord:
    """The picture that came on a topic. Raises ContractError with one line that says what is wrong."""
    try:
        return ImageRecord(schema="lpr.image/1", agency=agency, vehicle=vehicle, id=read, jpeg=jpeg)
    except ValidationError as error:
        raise ContractError(f"image: {explain(error)}") from None


def decode_image(line: bytes) -> ImageRecord:
    """Read a line of a file. Raises ContractError with one line that says what is wrong."""
    return decoded(ImageRecord, line, "image")

"""The read record `lpr.read/1`: what a car sends for one vehicle pass, and nothing else.

No field can carry a name, an address or an immigration status, and a field that is not listed here is refused.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from edge_agent import domain
from edge_agent.contract.explain import decoded, explain
from edge_agent.contract.topics import NAME_PATTERN
from edge_agent.errors import ContractError

BUDGET_BYTES = 1024
"""What a read may weigh with its topic, so that a day of reads fits through a bad radio link; where it names a
picture, IMAGE_NAMED_BYTES more."""

_ABOUT_A_TOPIC_BYTES = 26
"""A packet's header, and of the topic what is no name: lpr/v1/AGENCY/VEHICLE/reads."""

IMAGE_NAMED_BYTES = 128
LONGEST_IMAGE_BYTES = 65535

_TIME_PATTERN = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
_LONGEST_SEQ = 2**53 - 1  # the largest whole number that every JSON reader keeps exact


def _refuse_other_times(value: object) -> object:
    if not isinstance(value, datetime) and re.fullmatch(_TIME_PATTERN, str(value)) is None:
        raise ValueError("should be UTC with milliseconds, as 2026-07-04T12:30:00.250Z")
    return value


def time_text(value: datetime) -> str:
    """Write a time as the contract has it."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    AwareDatetime,
    Field(strict=False),  # what comes from JSON is a text here
    BeforeValidator(_refuse_other_times),
    PlainSerializer(time_text),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _TIME_PATTERN}),
]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Seq = Annotated[int, Field(ge=1, le=_LONGEST_SEQ)]
Confidence = Annotated[float, Field(ge=0, le=1)]
PlateText = Annotated[str, Field(pattern=r"^[0-9A-Z?]{1,12}$")]
Candidate = tuple[PlateText, Confidence]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pixel = Annotated[int, Field(ge=-65535, le=65535)]
Size = Annotated[int, Field(ge=1, le=65535)]
Milliseconds = Annotated[int, Field(ge=0, le=_LONGEST_SEQ)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Clock(_Part):
    """How far captured_at can be trusted."""

    synchronized: bool
    source: Literal["ntp", "gps", "none"]
    error_ms: Milliseconds | None


class Region(_Part):
    """The issuing country or state, such as us-ct."""

    code: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z0-9]{1,3})?$")]
    confidence: Confidence


class Plate(_Part):
    """What was read; `?` stands for a character that could not be."""

    text: PlateText
    confidence: Confidence = Field(description="The weakest character's, after fusing the frames.")
    characters: Annotated[tuple[Confidence, ...], Field(min_length=1, max_length=12)]
    candidates: Annotated[tuple[Candidate, ...], Field(max_length=5)] = Field(
        description="Other texts that the same frames may mean, each with its confidence, the likeliest first."
    )
    region: Region | None

    @model_validator(mode="after")
    def _one_confidence_a_character(self) -> Self:
        if len(self.characters) != len(self.text):
            raise ValueError(f"{len(self.text)} characters but {len(self.characters)} confidences")
        return self


class Track(_Part):
    """In how many frames the plate was seen, and when first and last."""

    frames: Annotated[int, Field(ge=1, le=1_000_000)]
    first_at: Time
    last_at: Time


class Position(_Part):
    """Where the car was; fix_age_ms is how old the fix was then."""

    lat_deg: Annotated[float, Field(ge=-90, le=90)]
    lon_deg: Annotated[float, Field(ge=-180, le=180)]
    speed_kmh: Annotated[float, Field(ge=0, le=9999)] | None
    heading_deg: Annotated[float, Field(ge=0, le=360)] | None
    fix_age_ms: Milliseconds


class PlateImage(_Part):
    """Names the picture of the plate, which travels on its own topic."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=1, le=LONGEST_IMAGE_BYTES)]
    width: Size
    height: Size


class ModelUsed(_Part):
    """A network, and how the SHA-256 of its file begins: 16 digits, in earlier reads all 64."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,20}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]


class Source(_Part):
    """What made the read: the program's version and its networks."""

    agent: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,16}$")]
    detector: ModelUsed
    reader: ModelUsed


class ReadRecord(_Part):
    """One vehicle pass."""

    schema_: Literal["lpr.read/1"] = Field(alias="schema")
    id: UUID = Field(description="UUID version 7; with revision the store's key, so that a repeat is harmless.")
    revision: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        default=0,
        description="Absent or 0 as first said; a higher one of the same id corrects what lower ones say.",
    )
    seq: Seq = Field(description="Counts the vehicle's reads: no gap.")
    pass_id: UUID | None = Field(
        default=None,
        description="The id of the read with which another camera of the car began the pass; absent for none.",
    )
    agency: Name
    vehicle: Name
    camera: Name
    captured_at: Time = Field(description="When the best frame was captured, not when it was processed.")
    clock: Clock
    plate: Plate
    box: tuple[Pixel, Pixel, Pixel, Pixel] = Field(description="Pixels of the frame: x1, y1, x2, y2.")
    frame_size: tuple[Size, Size]
    track: Track
    position: Position | None
    image: PlateImage | None
    source: Source

    @property
    def key(self) -> domain.ReadKey:
        """What a receipt names it by."""
        return domain.ReadKey(self.id, self.revision)

    def encode(self) -> bytes:
        """Write the record as compact JSON."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True).encode()


_PLACE = b'"seq":%d' % _LONGEST_SEQ


class ReadDraft:
    """A record that lacks its place in the vehicle's count; what the outbox takes as an entry."""

    def __init__(self, record: ReadRecord, *, image: domain.Jpeg | None = None, priority: bool = False) -> None:
        self._key = record.key
        self._image = image
        self._priority = priority
        # Written down here, not while the disk is waited for; the longest place stands for the one to come.
        self._before, self._after = _within_budget(record).split(_PLACE)

    @property
    def key(self) -> domain.ReadKey:
        return self._key

    @property
    def image(self) -> bytes | None:
        return None if self._image is None else self._image.file

    @property
    def priority(self) -> bool:
        return self._priority

    def encode(self, seq: int) -> bytes:
        """Write the final record within its budget: the last candidates give way.

        Names of more than 12 characters can take it up to 100 bytes beyond.
        """
        return b'%b"seq":%d%b' % (self._before, seq, self._after)


def _within_budget(record: ReadRecord) -> bytes:
    record = record.model_copy(update={"seq": _LONGEST_SEQ})
    topic = _ABOUT_A_TOPIC_BYTES + len(record.agency) + len(record.vehicle)
    budget = BUDGET_BYTES - topic + (IMAGE_NAMED_BYTES if record.image else 0)
    while len(payload := record.encode()) > budget and record.plate.candidates:
        plate = record.plate.model_copy(update={"candidates": record.plate.candidates[:-1]})
        record = record.model_copy(update={"plate": plate})
    return payload


def _share(value: float) -> float:
    """Round a confidence to what it is worth; 32-bit sums may stand a hair outside of 0..1."""
    return round(min(1.0, max(0.0, float(value))), 3)


def _time(stamp: domain.Stamp) -> datetime:
    utc = stamp.utc.astimezone(UTC)
    return utc - timedelta(microseconds=utc.microsecond % 1000)


def _candidates(candidates: Sequence[domain.Candidate]) -> tuple[Candidate, ...]:
    return tuple((one.text, _share(one.confidence)) for one in candidates[:5])


def _region(region: domain.Region | None) -> Region | None:
    return None if region is None else Region(code=region.code, confidence=_share(region.confidence))


def _plate(read: domain.Read) -> Plate:
    return Plate(
        text=read.text,
        confidence=_share(read.confidence),
        characters=tuple(_share(share) for share in read.character_confidences),
        candidates=_candidates(read.candidates),
        region=_region(read.region),
    )


def _position(position: domain.Position | None) -> Position | None:
    if position is None:
        return None
    speed, heading = position.speed_kmh, position.heading_deg
    return Position(
        lat_deg=round(position.lat_deg, 6),
        lon_deg=round(position.lon_deg, 6),
        speed_kmh=None if speed is None else round(speed, 1),
        heading_deg=None if heading is None else round(heading, 1),
        fix_age_ms=position.fix_age_ms,
    )


def _image(image: domain.Jpeg | None) -> PlateImage | None:
    if image is None:
        return None
    return PlateImage(
        sha256=hashlib.sha256(image.file).hexdigest(),
        bytes=len(image.file),
        width=image.width,
        height=image.height,
    )


def draft(
    read: domain.Read,
    *,
    agency: str,
    vehicle: str,
    source: Source,
    clock: domain.ClockState,
    position: domain.Position | None,
    pass_id: UUID | None = None,
    image: domain.Jpeg | None = None,
) -> ReadDraft:
    """Write a read down as the contract has it. Raises ContractError for one that the contract cannot express."""
    x1, y1, x2, y2 = (round(edge) for edge in read.box)
    try:
        record = ReadRecord(
            schema="lpr.read/1",
            id=read.id,
            revision=read.revision,
            seq=_LONGEST_SEQ,
            pass_id=pass_id,
            agency=agency,
            vehicle=vehicle,
            camera=read.camera,
            captured_at=_time(read.captured),
            clock=Clock.model_validate(
                {"synchronized": clock.synchronized, "source": clock.source, "error_ms": clock.error_ms}
            ),
            plate=_plate(read),
            box=(x1, y1, x2, y2),
            frame_size=read.frame_size,
            track=Track(frames=read.frames, first_at=_time(read.first), last_at=_time(read.last)),
            position=_position(position),
            image=_image(image),
            source=source,
        )
    except ValidationError as error:
        raise ContractError(f"read {read.id}: {explain(error)}") from None
    return ReadDraft(record, image=image)


def decode_read(payload: bytes) -> ReadRecord:
    """Read a record. Raises ContractError with one line that says what is wrong, without the value."""
    return decoded(ReadRecord, payload, "read record")

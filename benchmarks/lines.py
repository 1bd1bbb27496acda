"""The lines that measured programs print, one JSON object each."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.domain import Box
from edge_agent.errors import EdgeAgentError

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[float, Field(allow_inf_nan=False)]


class _Line(BaseModel):
    """More fields than these may be there: readers are free to say more."""

    model_config = ConfigDict(frozen=True)


class Timing(_Line):
    """What one picture took; ocr is the reading of all its plates."""

    decode: Milliseconds
    detect: Milliseconds
    ocr: Milliseconds

    @property
    def detect_and_read(self) -> float:
        return self.detect + self.ocr

    @property
    def whole(self) -> float:
        return self.decode + self.detect + self.ocr


class Plate(_Line):
    """A plate found in a picture: x1, y1, x2, y2 in pixels."""

    box: tuple[Pixels, Pixels, Pixels, Pixels]
    text: str
    confidence: Share | None = None

    @property
    def place(self) -> Box:
        return Box(*self.box)


class Picture(_Line):
    """One picture as `edge-agent read --jsonl` prints it; without timing_ms where it could not be read."""

    image: str
    plates: tuple[Plate, ...] = ()
    timing_ms: Timing | None = None
    error: str | None = None


class DriveFrame(_Line):
    """What one frame of the simulated drive took; commit is absent where the frame completed no read."""

    render: Milliseconds
    detect: Milliseconds
    read: Milliseconds
    track: Milliseconds
    commit: Milliseconds | None

    @property
    def whole(self) -> float:
        """The pipeline's milliseconds: all but the drawing, which no car does."""
        return self.detect + self.read + self.track + (self.commit or 0.0)


class DriveEnd(_Line):
    """The drive's last line: what building the street took, and its reads against its truth."""

    build_ms: Milliseconds
    passed: int
    captured: int
    right: int
    wrong: int
    duplicates: int
    false_reads: int
    committed: int


class CamerasEnd(_Line):
    """What cameras that played recordings came to: frames a camera, times of every stage, samples each second."""

    seconds: float
    cpu_s: float
    frames: list[int]
    processed: list[int]
    detect_ms: list[float] = []
    read_ms: list[float] = []
    follow_ms: list[float] = []
    commit_ms: list[float] = []
    delay_s: list[float] = []
    """From a plate's last sight to its read's commit."""

    memory_mib: list[float] = []
    waiting: list[int] = []
    """Reads on disk that were not sent yet."""


AnyLine = TypeVar("AnyLine", bound=_Line)
SHOWN_CHARACTERS = 60


def parse(line: str, kind: type[AnyLine], *, printed_by: str) -> AnyLine:
    """Take one line apart. Raises EdgeAgentError that shows the line's beginning."""
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        shown = line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}..."
        what = f"{place}: {first['msg']}" if place else first["msg"]
        raise EdgeAgentError(f"{printed_by} printed {shown!r}, which is no result ({what})") from None

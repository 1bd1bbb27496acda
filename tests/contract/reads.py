"""Reads to send, made up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from edge_agent.contract.ids import new_id
from edge_agent.contract.record import ModelUsed, Source
from edge_agent.domain import Box, Candidate, ClockState, Position, Read, Region, Stamp

NOON = datetime(2026, 7, 4, 12, 0, 0, 123456, tzinfo=UTC)
CLOCK = ClockState(synchronized=True, source="ntp", error_ms=4)
POSITION = Position(lat_deg=41.7637123, lon_deg=-72.6850987, speed_kmh=88.04, heading_deg=271.26, fix_age_ms=310)
SOURCE = Source(
    agent="0.1.0",
    detector=ModelUsed(name="plate-detector-1", sha256="a" * 16),
    reader=ModelUsed(name="plate-reader-1", sha256="b" * 16),
)


def stamp(after_s: float = 0.0) -> Stamp:
    return Stamp(monotonic_s=1000 + after_s, utc=NOON + timedelta(seconds=after_s))


def make_read(
    text: str = "AB12CD3",
    *,
    id: UUID | None = None,  # noqa: A002 - the field's name
    after_s: float = 0.0,
    camera: str = "front",
    candidates: tuple[Candidate, ...] = (Candidate(text="AB12CO3", confidence=0.0312),),
    region: Region | None = Region(code="us-ct", confidence=0.91),  # noqa: B008 - frozen
) -> Read:
    return Read(
        id=id or new_id(NOON),
        revision=0,
        camera=camera,
        text=text,
        confidence=0.93219,
        character_confidences=(0.93219,) * len(text),
        candidates=candidates,
        region=region,
        box=Box(100.4, 200.6, 220.5, 260.49),
        frame_size=(1920, 1080),
        captured=stamp(after_s),
        first=stamp(after_s - 0.5),
        last=stamp(after_s + 0.5),
        frames=12,
        captured_frame=36,
        frame_numbers=(30, 41),
        patch=np.zeros((60, 120, 3), np.uint8),
    )

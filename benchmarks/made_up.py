"""Records to queue and send, as a busy car makes them."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np

from edge_agent.contract.ids import new_id
from edge_agent.contract.record import ModelUsed, ReadDraft, Source, draft
from edge_agent.domain import Box, Candidate, ClockState, Position, Read, Region, Stamp

SOURCE = Source(
    agent="0.1.0",
    detector=ModelUsed(name="detector-1", sha256="a" * 16),
    reader=ModelUsed(name="reader-1", sha256="b" * 16),
)
CLOCK = ClockState(synchronized=True, source="ntp", error_ms=4)
POSITION = Position(lat_deg=41.763712, lon_deg=-72.685098, speed_kmh=88.0, heading_deg=271.2, fix_age_ms=310)
LETTERS, DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"


def record(*, agency: str, vehicle: str) -> ReadDraft:
    """A record of a plate that nobody has, captured now, with all that a record can carry but a picture."""
    text = "".join(random.choices(LETTERS, k=2) + random.choices(DIGITS, k=5))
    now = datetime.now(UTC)
    moment = Stamp(0.0, now)
    read = Read(
        id=new_id(now),
        revision=0,
        camera="front",
        text=text,
        confidence=0.932,
        character_confidences=(0.99, 0.98, 0.932, 0.97, 0.99, 0.96, 0.95),
        candidates=(Candidate(f"{text[:-1]}8", 0.031), Candidate(f"B{text[1:]}", 0.02)),
        region=Region("us-ct", 0.91),
        box=Box(912, 604, 1030, 660),
        frame_size=(1920, 1080),
        captured=moment,
        captured_frame=36,
        first=Stamp(0.0, now - timedelta(seconds=1)),
        last=moment,
        frames=12,
        frame_numbers=(30, 41),
        patch=np.zeros((1, 1, 3), np.uint8),
    )
    return draft(read, agency=agency, vehicle=vehicle, source=SOURCE, clock=CLOCK, position=POSITION)

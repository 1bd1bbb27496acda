"""What a tracker tells of its work to who asks: a report of a recording, a page for a technician."""

from enum import StrEnum
from typing import Protocol

from edge_agent.domain import Detection, Frame, Read, Reading


class Refusal(StrEnum):
    """Why a track is no read."""

    ILLEGIBLE = "no character could be read"
    TOO_LITTLE = "too little evidence"
    QUARREL = "its frames are unsure or say different things"
    UNREADABLE = "too short, too long or half unreadable"
    NO_PLATE = "taken for a sign, not a plate"
    READ_ALREADY = "belongs to a pass that was read already"


class Journal(Protocol):
    """Is told of each sight of each track, and of what became of it; numbers count a tracker's tracks from 0.

    A sight is seen, or only followed where it was not read.
    """

    def too_narrow(self, detection: Detection) -> None: ...

    def followed(self, track: int, frame: Frame, detection: Detection) -> None: ...

    def seen(self, track: int, frame: Frame, reading: Reading, *, weight: float) -> None: ...

    def refused(self, track: int, refusal: Refusal, *, text: str, evidence: float) -> None: ...

    def given(self, track: int, read: Read, *, evidence: float) -> None: ...


class NoJournal:
    """Keeps nothing."""

    def too_narrow(self, detection: Detection) -> None:
        pass

    def followed(self, track: int, frame: Frame, detection: Detection) -> None:
        pass

    def seen(self, track: int, frame: Frame, reading: Reading, *, weight: float) -> None:
        pass

    def refused(self, track: int, refusal: Refusal, *, text: str, evidence: float) -> None:
        pass

    def given(self, track: int, read: Read, *, evidence: float) -> None:
        pass

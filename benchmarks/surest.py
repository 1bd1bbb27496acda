"""What the surest single frame of each pass said: what fusing frames has to beat."""

from uuid import UUID

from edge_agent.domain import CharacterProbabilities, Frame, Read, Reading
from edge_agent.reading.journal import NoJournal


class SurestFrames(NoJournal):
    """Keeps, of each pass that was read, the frame whose weakest character was surest."""

    def __init__(self) -> None:
        self._surest: dict[int, CharacterProbabilities] = {}
        self._tracks: dict[UUID, int] = {}

    def seen(self, track: int, frame: Frame, reading: Reading, *, weight: float) -> None:
        del frame, weight
        known = self._surest.get(track)
        if known is None or reading.characters.confidence > known.confidence:
            self._surest[track] = reading.characters

    def given(self, track: int, read: Read, *, evidence: float) -> None:
        del evidence
        self._tracks[read.id] = track

    def text(self, read: Read) -> str:
        """What that frame of the read's pass said."""
        return self._surest[self._tracks[read.id]].text()

"""Follows plates from frame to frame and gives one read a vehicle pass, and corrections of it.

Plates are matched by where they are predicted to be (motion.py), certain ones first, doubted ones with what is
left, as in ByteTrack (Zhang et al., 2022), likeliest pairs first; one that surely says something else is none.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.domain import NO_PLATE_FROM, Detection, Frame, NewId, Read, Reading, Stamp
from edge_agent.reading.journal import Journal, NoJournal, Refusal
from edge_agent.reading.track import Given, Track
from edge_agent.reading.vote import Fused, alike, candidates, same_plate

SAME_VEHICLE_WITHIN_S = 20.0
"""A plate hidden for no longer than this and seen again is the same pass."""

SAME_PLACE_WITHIN_S, SAME_PLACE_ALIKE = 1.5, 0.6
"""A plate found anew where another was expected, within so long, with so much of its text: the same."""

AGREED_FROM, CLEAR_PX = 0.4, 60.0
"""What part of its frames' weight must say what they say together: less is doubt or a quarrel, not a reading. Of a
plate that was never so wide as CLEAR_PX more, as far plates are often read wrong (docs/decisions/0010)."""

CORRECTED_FROM = 1.5
"""So many times the support of what was said makes another text a correction of it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a pass is complete and what counts as one; unsure_below is a share, 0..1, min_evidence counts frames."""

    emit_after_s: float
    emit_at_latest_s: float
    min_evidence: float
    min_plate_width_px: float
    unsure_below: float


class Tracker:
    """Turns one camera's readings into reads: once a plate is out of sight, or was in sight long enough."""

    def __init__(self, *, rules: Rules, new_id: NewId, journal: Journal | None = None) -> None:
        self._rules = rules
        self._new_id = new_id
        self._journal = journal or NoJournal()
        self._tracks: list[Track] = []
        self._begun = 0
        self._given: list[Given] = []
        self._at: Stamp | None = None
        """Of the last frame."""

    @property
    def in_sight(self) -> bool:
        """Whether a plate is followed."""
        return bool(self._tracks)

    def follow(self, frame: Frame, detections: Sequence[Detection]) -> list[Detection]:
        """Take what one frame shows before it is read; give the plates to be read for update().

        Not read are those too narrow, and those whose text is settled where no other plate can be what is seen: it
        looks as in the frame before.
        """
        left = []
        for one in detections:
            if one.box.width < self._rules.min_plate_width_px:
                self._journal.too_narrow(one)
            elif (track := self._settled(one, detections, frame)) is not None:
                track.follow(frame, one)
                self._journal.followed(track.number, frame, one)
            else:
                left.append(one)
        return left

    def _settled(self, one: Detection, detections: Sequence[Detection], frame: Frame) -> Track | None:
        """The track that this is the next sight of beyond doubt, if its text is settled."""
        now_s = frame.stamp.monotonic_s
        tracks = [track for track in self._tracks if track.motion.cost(one.box, now_s) < math.inf]
        if len(tracks) != 1 or tracks[0].last is not self._at or not tracks[0].settled.covers(frame, one.box):
            return None
        rivals = (other for other in detections if other is not one)
        return None if any(tracks[0].motion.cost(other.box, now_s) < math.inf for other in rivals) else tracks[0]

    def update(self, frame: Frame, readings: Sequence[Reading]) -> list[Read]:
        """Take one frame's readings; give the passes that are complete at its time."""
        reads = self._after_a_gap(frame.stamp.monotonic_s)
        left = list(readings)
        tracks = [track for track in self._tracks if track.last is not frame.stamp]  # not those followed unread
        for certain in (True, False):
            chosen = [one for one in left if one.detection.certain is certain]
            for track, reading in _match(tracks, chosen, frame):
                track.take(frame, reading)
                self._journal.seen(track.number, frame, reading, weight=track.weight)
                tracks.remove(track)
                left.remove(reading)
        for one in left:
            track = Track(self._begun, frame, one)
            self._journal.seen(track.number, frame, one, weight=track.weight)
            self._tracks.append(track)
            self._begun += 1
        self._at = frame.stamp
        return reads + self.advance(frame.stamp.monotonic_s)

    def _after_a_gap(self, now_s: float) -> list[Read]:
        """Give what was open before so long a time without a frame that whatever is seen now is another pass."""
        if self._at is None or now_s - self._at.monotonic_s < SAME_VEHICLE_WITHIN_S:
            return []
        return self.advance(now_s)

    def stay(self, frame: Frame) -> list[Read]:
        """Take a frame that shows what the last one did: its plates are still in sight, and say nothing new."""
        reads = self._after_a_gap(frame.stamp.monotonic_s)
        for track in self._tracks:
            if track.last is self._at:
                track.stay(frame)
        self._at = frame.stamp
        return reads + self.advance(frame.stamp.monotonic_s)

    def advance(self, now_s: float) -> list[Read]:
        """Give the passes that are complete by a monotonic time, with a new frame or without."""
        rules = self._rules
        reads: list[Read] = []
        for track in self._tracks:
            if track.given is not None:
                track.given.last, track.given.motion = track.last, track.motion
            if track.due_s == math.inf and track.shares >= rules.min_evidence:
                track.due_s = now_s + rules.emit_at_latest_s
            lost = now_s - track.last.monotonic_s >= rules.emit_after_s
            if lost or now_s >= track.due_s:
                reads += self._decide(track)
                track.due_s = now_s + rules.emit_at_latest_s
        self._tracks = [t for t in self._tracks if now_s - t.last.monotonic_s < rules.emit_after_s]
        self._given = [one for one in self._given if now_s - one.last.monotonic_s < SAME_VEHICLE_WITHIN_S]
        return reads

    def finish(self) -> list[Read]:
        """Give the passes still open."""
        reads = [read for track in self._tracks for read in self._decide(track)]
        self._tracks = []
        return reads

    def _decide(self, track: Track) -> Iterator[Read]:
        """Give the track's read or its correction, unless there is nothing new to say, or too little to say it."""
        fused = track.fused()
        text = fused.characters.plate_text(unsure_below=self._rules.unsure_below) if fused else ""
        refusal = self._refusal(track, fused, text)
        if fused is None or refusal is not None:
            said, evidence = (fused.characters.text(), fused.evidence) if fused else ("", 0.0)
            self._journal.refused(track.number, refusal or Refusal.ILLEGIBLE, text=said, evidence=evidence)
            return
        given = track.given or next((one for one in self._given if _same_pass(track, fused, one)), None)
        if given is None:
            track.given = given = Given(
                id=self._new_id(track.best.stamp.utc),
                characters=fused.characters,
                support=fused.support,
                motion=track.motion,
                last=track.last,
            )
            self._given.append(given)
        else:
            is_new, track.given = track.given is None, given
            given.last, given.motion = track.last, track.motion
            said = given.characters.plate_text(unsure_below=self._rules.unsure_below)
            if text == said or fused.support < CORRECTED_FROM * given.support:
                if is_new:
                    self._journal.refused(track.number, Refusal.READ_ALREADY, text=text, evidence=fused.evidence)
                return
            given.characters, given.support = fused.characters, fused.support
            given.revision += 1
        read = _read(track, fused, text=text, given=given)
        self._journal.given(track.number, read, evidence=fused.evidence)
        yield read

    def _refusal(self, track: Track, fused: Fused | None, text: str) -> Refusal | None:
        """Why the track is no read yet."""
        if fused is None or not len(fused.characters):
            return Refusal.ILLEGIBLE
        if fused.evidence < self._rules.min_evidence:
            return Refusal.TOO_LITTLE
        if fused.agreement < AGREED_FROM * max(1.0, CLEAR_PX / track.best.box.width):
            return Refusal.QUARREL
        if not text:
            return Refusal.UNREADABLE
        return Refusal.NO_PLATE if track.regions().no_plate >= NO_PLATE_FROM else None


def _same_pass(track: Track, fused: Fused, given: Given) -> bool:
    """Whether a track is of a plate that was given a moment ago."""
    if same_plate(fused.characters, given.characters):
        return True
    first_s = track.first.monotonic_s
    return (
        first_s - given.motion.at_s <= SAME_PLACE_WITHIN_S
        and given.motion.widths_off(track.first_box, first_s) <= 1
        and alike(fused.characters, given.characters) >= SAME_PLACE_ALIKE
    )


def _read(track: Track, fused: Fused, *, text: str, given: Given) -> Read:
    best = track.best
    return Read(
        id=given.id,
        revision=given.revision,
        camera=track.camera,
        text=text,
        confidence=fused.characters.confidence,
        character_confidences=fused.characters.confidences,
        candidates=candidates(fused.characters, text=text),
        region=track.regions().region,
        box=best.box,
        frame_size=best.frame_size,
        captured=best.stamp,
        captured_frame=best.number,
        first=track.first,
        last=track.last,
        frames=track.hits,
        frame_numbers=track.numbers,
        patch=best.patch,
    )


def _match(tracks: Sequence[Track], readings: Sequence[Reading], frame: Frame) -> list[tuple[Track, Reading]]:
    """Pair each track with at most one reading, likeliest pairs first."""
    costs = sorted(
        (cost, t, r)
        for t, track in enumerate(tracks)
        for r, reading in enumerate(readings)
        if (cost := track.cost(frame, reading)) < math.inf
    )
    pairs, used_tracks, used_readings = [], set(), set()
    for _, t, r in costs:
        if t not in used_tracks and r not in used_readings:
            used_tracks.add(t)
            used_readings.add(r)
            pairs.append((tracks[t], readings[r]))
    return pairs

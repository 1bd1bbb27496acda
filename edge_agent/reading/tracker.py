"""Follows plates from frame to frame and gives one read a vehicle pass.

Matching is greedy on the predicted place, as in SORT (Bewley et al., 2016), with a gate on distance in place of
overlap: at patrol speeds a plate moves by more than its own width between two frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.domain import (
    CharacterProbabilities,
    Frame,
    NewId,
    Read,
    Reading,
    Stamp,
)
from edge_agent.reading.track import Given, Track
from edge_agent.reading.vote import candidates, same_plate

GATE_PLATE_WIDTHS = 1.5
LARGEST_SIZE_RATIO = 1.8

SAME_VEHICLE_WITHIN_S = 20.0
"""A plate hidden for no longer than this and seen again is the same pass."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a pass is complete and what counts as one; unsure_below is a share, 0..1."""

    emit_after_s: float
    emit_at_latest_s: float
    min_hits: int
    min_plate_width_px: float
    unsure_below: float


class Tracker:
    """Turns one camera's readings into reads: once a plate is out of sight, or was in sight long enough."""

    def __init__(self, *, rules: Rules, new_id: NewId) -> None:
        self._rules = rules
        self._new_id = new_id
        self._tracks: list[Track] = []
        self._given: list[Given] = []

    def update(self, frame: Frame, readings: Sequence[Reading]) -> list[Read]:
        """Take one frame's readings; give the passes that are complete at its time."""
        wide_enough = [r for r in readings if r.detection.box.width >= self._rules.min_plate_width_px]
        pairs = _match(self._tracks, wide_enough, frame.stamp)
        for track, reading in pairs:
            track.follow(frame, reading)
        matched = {id(reading) for _, reading in pairs}
        due_s = frame.stamp.monotonic_s + self._rules.emit_at_latest_s
        self._tracks += [Track.start(frame, one, due_s=due_s) for one in wide_enough if id(one) not in matched]
        return self.advance(frame.stamp.monotonic_s)

    def finish(self) -> list[Read]:
        """Give the passes still open."""
        reads = [read for track in self._tracks if track.given is None for read in self._decide(track)]
        self._tracks = []
        return reads

    def advance(self, now_s: float) -> list[Read]:
        """Give the passes that are complete by a monotonic time, with a new frame or without."""
        rules = self._rules
        reads = []
        for track in self._tracks:
            lost = now_s - track.last.monotonic_s >= rules.emit_after_s
            if track.given is not None:
                track.given.last = track.last
            elif lost or now_s >= track.due_s:
                reads += self._decide(track)
                track.due_s = now_s + rules.emit_after_s  # what cannot be read yet may come nearer
        self._tracks = [t for t in self._tracks if now_s - t.last.monotonic_s < rules.emit_after_s]
        self._given = [one for one in self._given if now_s - one.last.monotonic_s < SAME_VEHICLE_WITHIN_S]
        return reads

    def _decide(self, track: Track) -> list[Read]:
        """Give the track's read, unless it is no plate yet or the pass that a moment ago was given."""
        characters = track.characters()
        if characters is None or track.hits < self._rules.min_hits:
            return []
        track.given = next((one for one in self._given if same_plate(characters, one.characters)), None)
        if track.given is not None:
            track.given.last = track.last
            return []
        text = characters.plate_text(unsure_below=self._rules.unsure_below)
        if not text:
            return []
        track.given = Given(characters=characters, last=track.last)
        self._given.append(track.given)
        return [self._read(track, characters, text)]

    def _read(self, track: Track, characters: CharacterProbabilities, text: str) -> Read:
        best = track.best
        return Read(
            id=self._new_id(best.stamp.utc),
            camera=track.camera,
            text=text,
            confidence=characters.confidence,
            character_confidences=characters.confidences,
            candidates=candidates(characters, text=text),
            region=track.region(),
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


def _match(tracks: Sequence[Track], readings: Sequence[Reading], stamp: Stamp) -> list[tuple[Track, Reading]]:
    """Pair each track with at most one reading, nearest pairs first; distance in plate widths."""
    costs = []
    for t, track in enumerate(tracks):
        x, y = track.center_at(stamp)
        for r, reading in enumerate(readings):
            box = reading.detection.box
            ratio = box.width / track.box.width
            if not 1 / LARGEST_SIZE_RATIO <= ratio <= LARGEST_SIZE_RATIO:
                continue
            center_x, center_y = box.center
            distance = math.hypot(center_x - x, center_y - y) / max(box.width, track.box.width)
            if distance <= GATE_PLATE_WIDTHS:
                costs.append((distance, t, r))
    pairs, used_tracks, used_readings = [], set(), set()
    for _, t, r in sorted(costs):
        if t not in used_tracks and r not in used_readings:
            used_tracks.add(t)
            used_readings.add(r)
            pairs.append((tracks[t], readings[r]))
    return pairs

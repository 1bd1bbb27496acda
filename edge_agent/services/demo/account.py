"""What the drive held against what was read and stored: the table at the demo's end."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.camera.sim.truth import VehicleTruth
from edge_agent.domain import Read, corrected, folded

SAME_PLATE_IOU = 0.3
READABLE_FRAMES = 2
"""Vehicles whose plate was readable in fewer frames cannot be one read by the rules: they are not counted."""


@dataclass(frozen=True, slots=True)
class Account:
    """The demo's result; committed counts everything the outbox ever took, earlier cut-off demos included."""

    passed: int
    captured: int
    right: int
    wrong: int
    duplicates: int
    false_reads: int
    committed: int
    stored_once: int
    undelivered: int

    @property
    def nothing_lost(self) -> bool:
        """Every read that was ever committed is in the store once, and the outbox is empty."""
        return self.stored_once == self.committed and not self.undelivered


def vehicle_of(read: Read, truth: Sequence[VehicleTruth]) -> VehicleTruth | None:
    """The vehicle whose plate lay where the read's best frame has it."""
    places = (
        (seen, vehicle) for vehicle in truth for seen in vehicle.sightings if seen.frame == read.captured_frame
    )
    seen, vehicle = max(places, key=lambda place: read.box.iou(place[0].box), default=(None, None))
    return vehicle if seen is not None and read.box.iou(seen.box) >= SAME_PLATE_IOU else None


def is_right(vehicle: VehicleTruth, texts: Sequence[str]) -> bool:
    """Whether one of the texts is the vehicle's; 0 and O count as one, as plates draw them alike."""
    return folded(vehicle.text) in map(folded, texts)


def stored_seqs(database: Path, vehicle: str) -> list[int]:
    """The places in the vehicle's count that the store holds, each as often as it holds it."""
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT seq FROM reads WHERE vehicle = ? ORDER BY seq", (vehicle,)).fetchall()
    return [int(seq) for (seq,) in rows]


def settle(
    *, truth: Sequence[VehicleTruth], reads: Sequence[Read], committed: int, stored: Sequence[int], undelivered: int
) -> Account:
    """Compare the drive with the reads, and the outbox's count with the store's."""
    expected = [vehicle for vehicle in truth if len(vehicle.readable()) >= READABLE_FRAMES]
    texts: dict[int, list[str]] = {}
    false_reads = 0
    for read in corrected(reads):
        vehicle = vehicle_of(read, truth)
        if vehicle is None:
            false_reads += 1
        else:
            texts.setdefault(vehicle.number, []).append(read.text)
    return Account(
        passed=len(expected),
        captured=sum(vehicle.number in texts for vehicle in expected),
        right=sum(is_right(vehicle, texts.get(vehicle.number, ())) for vehicle in expected),
        wrong=sum(vehicle.number in texts and not is_right(vehicle, texts[vehicle.number]) for vehicle in expected),
        duplicates=sum(len(found) - 1 for found in texts.values()),
        false_reads=false_reads,
        committed=committed,
        stored_once=sum(times == 1 for seq, times in Counter(stored).items() if 1 <= seq <= committed),
        undelivered=undelivered,
    )

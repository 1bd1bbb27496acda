"""A life of an outbox, by chance, that says after each step what must be in it from then on.

As a program, `python -m tests.faults.story DIRECTORY SEED STEPS SYNCHRONOUS [KEY]`: it goes on with what is there.
"""

import json
import os
import random
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from edge_agent.outbox import Bounds, Outbox
from tests.faults.disk import MARKS
from tests.outbox.test_outbox import OWNER, Clock, Note

BOUNDS = Bounds(quota_bytes=96 * 1024, keep_s=100)
KEY = bytes(range(32))
PAGES_BEFORE_CHECKPOINT = 24
"""Of the log; SQLite's own thousand would not come about in a short life."""


def contents_of(connection: Any) -> dict[str, Any]:  # noqa: ANN401 - sqlcipher3 has no types
    """Say what is in an outbox: reads, pictures and gap records with their marks, and the count.

    Not what is set aside: that ends with the next start.
    """
    reads = connection.execute(
        "SELECT reads.seq, id, revision, priority, sealed, sent.seq IS NOT NULL FROM reads"
        " LEFT JOIN sent USING (seq) ORDER BY reads.seq"
    )
    images = connection.execute(
        "SELECT images.seq, read_id, sha256, images.sealed, images_due.seq IS NOT NULL, sent_at_s IS NOT NULL"
        " FROM images LEFT JOIN images_due USING (seq) ORDER BY images.seq"
    )
    gaps = connection.execute("SELECT id, what, reason, ranges, reads, acknowledged, sent_at_s IS NULL FROM gaps")
    return {
        "reads": [
            [seq, id_.hex(), revision, priority, sha256(sealed).hexdigest()[:16], sent]
            for seq, id_, revision, priority, sealed, sent in reads
        ],
        "images": [
            [seq, read.hex(), digest.hex(), sha256(jpeg).hexdigest(), *marks]
            for seq, read, digest, jpeg, *marks in images
        ],
        "gaps": sorted([id_.hex(), *rest] for id_, *rest in gaps),
        "counts": connection.execute("SELECT last_seq, (SELECT COUNT(*) FROM purges) FROM counter").fetchone(),
    }


class Story:
    """Does one thing after the other, each as often as its weight says."""

    def __init__(self, directory: Path, chance: random.Random, synchronous: str, key: bytes | None) -> None:
        self._chance = chance
        self._synchronous = synchronous
        self._clock = Clock()
        self._marks = os.open(directory / MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._outbox = Outbox(path=directory / "outbox.db", now=self._clock, owner=OWNER, key=key, bounds=BOUNDS)

    def run(self, steps: int) -> None:
        self._open()
        weights: dict[Callable[[], object], int] = {
            self._append: 10,
            self._mark: 4,
            self._receipt: 2,
            self._receipt_through: 1,
            self._images: 3,
            self._resend: 1,
            self._quarantine: 1,
            self._expire: 1,
            self._purge: 1,
            self._gaps: 2,
            self._reopen: 1,
        }
        deck: list[Callable[[], object]] = []
        for _ in range(steps):
            if not deck:  # so that even a short life has everything
                deck = [step for step, weight in weights.items() for _ in range(weight)]
                self._chance.shuffle(deck)
            self._clock.seconds += self._chance.randint(0, 20)
            deck.pop()()
            self._mark_down()
        self._outbox.close()

    def _open(self) -> None:
        self._outbox.open()
        room = self._outbox._session.room
        room._log_frames = room._written_from = PAGES_BEFORE_CHECKPOINT
        if self._synchronous != "FULL":  # as the outbox sets it
            self._outbox._session._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        self._mark_down()

    def _mark_down(self) -> None:
        os.write(self._marks, json.dumps(contents_of(self._outbox._session._connection)).encode())

    def _some(self, share: float = 0.3) -> list[int]:
        return [row[0] for row in self._contents("reads") if self._chance.random() < share]

    def _contents(self, what: str) -> list[list[Any]]:
        found: list[list[Any]] = contents_of(self._outbox._session._connection)[what]
        return found

    def _append(self) -> None:
        sizes = [self._chance.choice((300, 900, 900, 6000)) for _ in range(self._chance.randint(1, 4))]
        images = [self._chance.choice((None, self._chance.randbytes(900))) for _ in sizes]
        self._outbox.append(
            [
                Note(size=size, priority=self._chance.random() < 0.2, image=image)
                for size, image in zip(sizes, images, strict=True)
            ]
        )

    def _mark(self) -> None:
        self._outbox.mark_sent(self._some())

    def _receipt(self) -> None:
        kept = {row.seq: row.key for row in self._outbox.take(limit=1000)}
        self._outbox.receipted([kept[seq] for seq in self._some() if seq in kept])

    def _receipt_through(self) -> None:
        self._outbox.receipted_through(self._chance.randint(1, self._outbox.status().last_seq + 2))

    def _images(self) -> None:
        due = self._outbox.take_images(limit=99)
        self._outbox.mark_images_sent([row.seq for row in due[::2]])
        self._mark_down()
        self._outbox.images_receipted([row.key for row in due[::3]])
        self._mark_down()
        if due:
            self._outbox.hold_image(due[-1].seq)

    def _resend(self) -> None:
        self._outbox.resend()

    def _quarantine(self) -> None:
        for seq in self._some()[:1]:
            self._outbox.quarantine(seq, why="the broker finds it malformed")

    def _expire(self) -> None:
        self._outbox.expire()

    def _purge(self) -> None:
        self._outbox.purge(older_than_s=120)

    def _gaps(self) -> None:
        found = [gap.id for gap in self._outbox.take_gaps(limit=9)]
        self._outbox.mark_gaps_sent(found[::2])
        self._mark_down()
        self._outbox.gaps_receipted(found[::3])
        self._mark_down()
        self._outbox.not_written(3)

    def _reopen(self) -> None:
        self._outbox.close()
        self._open()


def main(directory: str, seed: str, steps: str, synchronous: str, key: str = "") -> None:
    chance = random.Random(int(seed))
    story = Story(Path(directory), chance, synchronous, bytes.fromhex(key) if key else None)
    story.run(int(steps))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""An outbox without a disk: the order, the marks and the receipts of the real one, and the times of its reads."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from math import inf
from uuid import UUID

from edge_agent.domain import ImageKey, ReadKey
from edge_agent.outbox import Entry, Gap, ImageRow, Row


class MemoryOutbox:
    """Knows every read that it ever held by its place in the count, and when its receipt came."""

    def __init__(self) -> None:
        self._pending: dict[int, Row] = {}  # by place, in order
        self._sent: dict[int, tuple[Row, float]] = {}
        self._seqs: dict[ReadKey, int] = {}  # of those without a receipt
        self.ids: list[UUID] = []
        """Of place 1, 2, 3..."""

        self.made_s: list[float] = []
        self.receipted_s: list[float | None] = []
        self.problems: list[str] = []

    def __len__(self) -> int:
        """How many reads have no receipt yet."""
        return len(self._seqs)

    @property
    def oldest(self) -> float:
        """The first place without a receipt; infinite where there is none."""
        return next(iter(self._seqs.values()), inf)

    def append(self, entry: Entry) -> int:
        """Keep a read, and tell how many bytes its record has."""
        seq = len(self.ids) + 1
        payload = entry.encode(seq)
        self._pending[seq] = Row(seq, entry.key, payload)
        self._seqs[entry.key] = seq
        self.ids.append(entry.key.id)
        self.made_s.append(time.monotonic())
        self.receipted_s.append(None)
        return len(payload)

    # What the publisher needs.

    def take(self, *, limit: int, after_seq: int) -> list[Row]:
        return list(islice((row for seq, row in self._pending.items() if seq > after_seq), limit))

    def take_images(self, **_: int) -> list[ImageRow]:
        return []

    def hold_image(self, seq: int) -> None:
        self.problems.append(f"picture {seq} was held back: these cars have none")

    def mark_images_sent(self, seqs: Sequence[int]) -> None:
        if seqs:
            self.problems.append(f"pictures {seqs} were sent: these cars have none")

    def images_receipted(self, _: Sequence[ImageKey]) -> int:
        return 0

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def mark_sent(self, seqs: Sequence[int]) -> None:
        for seq in seqs:
            row = self._pending.pop(seq, None)
            if row is not None:
                self._sent[seq] = (row, time.monotonic())

    def resend(self, *, older_than_s: float | None = None) -> int:
        before_s = time.monotonic() - (older_than_s or 0.0)
        late = [(seq, row) for seq, (row, sent_s) in self._sent.items() if sent_s <= before_s]
        for seq, _ in late:
            del self._sent[seq]
        if late:
            self._pending = dict(sorted([*self._pending.items(), *late]))
        return len(late)

    def receipted(self, keys: Sequence[ReadKey]) -> int:
        now_s = time.monotonic()
        gone = 0
        for key in keys:
            seq = self._seqs.pop(key, None)
            if seq is not None:
                self._pending.pop(seq, None)
                self._sent.pop(seq, None)
                self.receipted_s[seq - 1] = now_s
                gone += 1
        return gone

    def receipted_through(self, seq: int) -> int | None:
        if seq > len(self.ids):
            return None
        return self.receipted([key for key, place in self._seqs.items() if place <= seq])

    def quarantine(self, seq: int, *, why: str) -> None:
        self._pending.pop(seq, None)
        self.problems.append(f"read {seq} was set aside: {why}")

    def take_gaps(self, *, limit: int) -> list[Gap]:  # noqa: ARG002 - the real one's name
        return []

    def mark_gaps_sent(self, ids: Sequence[UUID]) -> None: ...

    def gaps_receipted(self, ids: Sequence[UUID]) -> int:  # noqa: ARG002 - the real one's name
        return 0

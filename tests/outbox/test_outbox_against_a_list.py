"""Whatever is done in whatever order, the outbox holds what a list would, and nothing leaves without an account."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_agent.domain import GapReason, ReadKey
from edge_agent.outbox import Bounds, Gap, Outbox
from tests.outbox.test_outbox import OWNER, Clock, Note

BOUNDS = Bounds(quota_bytes=40 * 4096, keep_s=100.5)
Told = tuple[str, tuple[int, ...], int, int]
"""A gap record: reason, places, how many reads, how many of them the broker had."""


@dataclass(frozen=True, slots=True)
class Kept:
    key: ReadKey
    priority: bool
    since_s: float


@dataclass(slots=True)
class Model:
    """The list: reads by place, when each was marked sent, what is set aside, gap records without receipt."""

    last: int = 0
    kept: dict[int, Kept] = field(default_factory=dict)
    sent_s: dict[int, float] = field(default_factory=dict)
    aside: set[int] = field(default_factory=set)
    gaps: dict[UUID, Told] = field(default_factory=dict)
    gaps_sent_s: dict[UUID, float] = field(default_factory=dict)
    purges: int = 0

    def forget(self, seqs: set[int]) -> Told:
        """Let reads go; give what a gap record would have to say of them."""
        acknowledged = len(seqs & self.sent_s.keys())
        for seq in seqs:
            del self.kept[seq]
            self.sent_s.pop(seq, None)
            self.aside.discard(seq)
        return "", tuple(sorted(seqs)), len(seqs), acknowledged

    def leave(self, seqs: set[int], reason: GapReason) -> list[Told]:
        if not seqs:
            return []
        self.purges += 1
        return [(reason.value, *self.forget(seqs)[1:])]

    def in_order_of_leaving(self) -> list[int]:
        return sorted(self.kept, key=lambda seq: (seq not in self.sent_s, self.kept[seq].priority, seq))

    def older_than(self, seconds: float, now_s: float) -> set[int]:
        return {seq for seq, one in self.kept.items() if now_s - one.since_s >= seconds}


def told(gap: Gap) -> Told:
    places = tuple(seq for first, last in gap.ranges for seq in range(first, last + 1))
    return gap.reason.value, places, gap.reads, gap.acknowledged


class OutboxAgainstAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.outbox = self.open()
        self.model = Model()

    def open(self) -> Outbox:
        path = Path(self.directory.name) / "outbox.db"
        outbox = Outbox(path=path, now=self.clock, owner=OWNER, bounds=BOUNDS)
        outbox.open()
        return outbox

    def seqs(self, data: st.DataObject) -> set[int]:
        """Choose some of the reads that are here, and perhaps places where none is."""
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.model.kept) or [1]), max_size=4))
        return chosen | data.draw(st.sets(st.integers(1, self.model.last + 2), max_size=2))

    def expect(self, expected: list[Told]) -> None:
        """Compare the gap records that are new with those that had to come."""
        new = {gap.id: told(gap) for gap in self.outbox.take_gaps(limit=10_000) if gap.id not in self.model.gaps}
        assert sorted(new.values()) == sorted(expected)
        self.model.gaps |= new

    # Reads.

    @rule(sizes=st.lists(st.sampled_from([0, 300, 3000, 20_000]), max_size=4), priority=st.booleans())
    def append(self, sizes: list[int], *, priority: bool) -> None:
        notes = [Note(size=size, priority=priority) for size in sizes]
        seqs = self.outbox.append(notes)
        last = self.model.last
        assert seqs == tuple(range(last + 1, last + 1 + len(notes)))
        self.model.last += len(notes)
        here = {row[0] for row in self.outbox._connection.execute("SELECT seq FROM reads")}
        left = self.model.kept.keys() - here
        assert left == set(self.model.in_order_of_leaving()[: len(left)])
        self.expect(self.model.leave(left, GapReason.QUOTA))
        for seq, note in zip(seqs, notes, strict=True):
            self.model.kept[seq] = Kept(note.key, priority, self.clock.seconds)

    @rule(data=st.data())
    def mark(self, data: st.DataObject) -> None:
        seqs = self.seqs(data)
        self.outbox.mark_sent(sorted(seqs))
        self.model.sent_s |= dict.fromkeys(seqs & self.model.kept.keys() - self.model.aside, self.clock.seconds)

    @rule(data=st.data())
    def receipt(self, data: st.DataObject) -> None:
        seqs = self.seqs(data) & self.model.kept.keys()
        keys = [self.model.kept[seq].key for seq in seqs]
        assert self.outbox.receipted([*keys, ReadKey(uuid4()), *keys]) == len(seqs)
        self.model.forget(seqs)

    @rule(seq=st.integers(0, 40))
    def receipt_through(self, seq: int) -> None:
        gone = {one for one in self.model.sent_s if one <= seq <= self.model.last}
        assert self.outbox.receipted_through(seq) == (len(gone) if seq <= self.model.last else None)
        self.model.forget(gone)

    @rule(older_than_s=st.sampled_from([None, 0, 30]))
    def resend(self, older_than_s: float | None) -> None:
        before_s = self.clock.seconds - (older_than_s or 0)
        late = {seq for seq, at_s in self.model.sent_s.items() if older_than_s is None or at_s <= before_s}
        assert self.outbox.resend(older_than_s=older_than_s) == len(late)
        for seq in late:
            del self.model.sent_s[seq]
        for id_, at_s in list(self.model.gaps_sent_s.items()):
            if older_than_s is None or at_s <= before_s:
                del self.model.gaps_sent_s[id_]

    # What leaves otherwise, and its account.

    @rule(data=st.data())
    def quarantine(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(1, self.model.last + 1))
        self.outbox.quarantine(seq, why="the broker finds it malformed")
        if seq not in self.model.kept or seq in self.model.aside:
            self.expect([])
            return
        was_sent = self.model.sent_s.pop(seq, None) is not None
        self.model.aside.add(seq)
        self.expect([("quarantined", (seq,), 1, int(was_sent))])

    @rule()
    def expire(self) -> None:
        old = self.model.older_than(BOUNDS.keep_s, self.clock.seconds)
        assert self.outbox.expire() == len(old)
        self.expect(self.model.leave(old, GapReason.EXPIRED))

    @rule(older_than_s=st.sampled_from([0, 60.5]))
    def purge(self, older_than_s: float) -> None:
        old = self.model.older_than(older_than_s, self.clock.seconds)
        assert self.outbox.purge(older_than_s=older_than_s) == len(old)
        self.expect(self.model.leave(old, GapReason.PURGED))

    @rule(reads=st.integers(1, 5))
    def not_written(self, reads: int) -> None:
        self.outbox.not_written(reads)
        self.expect([("not_written", (), reads, 0)])

    @precondition(lambda self: self.model.gaps)
    @rule(data=st.data())
    def gaps_sent(self, data: st.DataObject) -> None:
        ids = data.draw(st.sets(st.sampled_from(sorted(self.model.gaps))))
        self.outbox.mark_gaps_sent([*ids, uuid4()])
        self.model.gaps_sent_s |= dict.fromkeys(ids, self.clock.seconds)

    @precondition(lambda self: self.model.gaps)
    @rule(data=st.data())
    def gaps_receipted(self, data: st.DataObject) -> None:
        ids = data.draw(st.sets(st.sampled_from(sorted(self.model.gaps))))
        assert self.outbox.gaps_receipted([*ids, uuid4()]) == len(ids)
        for id_ in ids:
            del self.model.gaps[id_]
            self.model.gaps_sent_s.pop(id_, None)

    # Time, and the end of a process.

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.clock.seconds += seconds

    @rule(away_s=st.integers(0, 60))
    def restart(self, away_s: int) -> None:
        self.outbox.close()
        self.clock.seconds += away_s
        self.outbox = self.open()
        self.model.aside.clear()

    @invariant()
    def they_agree(self) -> None:
        model = self.model
        pending = [seq for seq in sorted(model.kept) if seq not in model.sent_s and seq not in model.aside]
        assert [(row.seq, row.key) for row in self.outbox.take(limit=1000)] == [
            (seq, model.kept[seq].key) for seq in pending
        ]
        unsent = model.gaps.keys() - model.gaps_sent_s.keys()
        assert {gap.id: told(gap) for gap in self.outbox.take_gaps(limit=10_000)} == {
            id_: model.gaps[id_] for id_ in unsent
        }
        status = self.outbox.status()
        assert (status.pending, status.sent, status.quarantined, status.gaps, status.last_seq) == (
            len(pending),
            len(model.sent_s),
            len(model.aside),
            len(model.gaps),
            model.last,
        )
        assert len(self.outbox.purges()) == model.purges

    def teardown(self) -> None:
        self.outbox.close()
        self.directory.cleanup()


TestOutboxAgainstAList = OutboxAgainstAList.TestCase
TestOutboxAgainstAList.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

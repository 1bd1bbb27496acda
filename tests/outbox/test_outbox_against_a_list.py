"""Whatever is done in whatever order, the outbox holds what a list would, and nothing leaves without an account."""

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_agent.domain import GapReason, ImageKey, ReadKey
from edge_agent.outbox import Bounds, Gap, Gone, Outbox
from edge_agent.outbox.bounds import RANGES_A_RECORD, ranges
from tests.faults.amount import amount
from tests.outbox.test_outbox import OWNER, Clock, Note

BOUNDS = Bounds(quota_bytes=40 * 4096, keep_s=100.5)
Told = tuple[str, str, tuple[int, ...], int, int]
"""A gap record: of what, reason, places, how many, how many of them the broker had."""


@dataclass(frozen=True, slots=True)
class Kept:
    key: ReadKey
    priority: bool
    since_s: float


@dataclass(slots=True)
class Picture:
    """A picture; due once its read has its receipt, held when the broker does not take it."""

    key: ImageKey
    since_s: float
    due: bool = False
    held: bool = False
    sent_s: float | None = None


@dataclass(slots=True)
class Model:
    """The list: reads by place, when each was marked sent, what is set aside, pictures, gap records."""

    last: int = 0
    kept: dict[int, Kept] = field(default_factory=dict)
    sent_s: dict[int, float] = field(default_factory=dict)
    aside: set[int] = field(default_factory=set)
    images: dict[int, Picture] = field(default_factory=dict)
    gaps: dict[UUID, Told] = field(default_factory=dict)
    gaps_sent_s: dict[UUID, float] = field(default_factory=dict)
    purges: set[tuple[str, GapReason, int]] = field(default_factory=set)

    def receipt(self, seqs: set[int]) -> None:
        """Let reads go that the store has; their pictures may follow."""
        for seq in seqs:
            if seq in self.images:
                self.images[seq].due = True
        self._forget(seqs)

    def leave(self, seqs: set[int], reason: GapReason) -> list[Told]:
        """Let reads go with their pictures; give what gap records have to say of them."""
        acknowledged = len(seqs & self.sent_s.keys())
        for seq in seqs:
            self.images.pop(seq, None)
        self._forget(seqs)
        return self._told("reads", seqs, reason, acknowledged)

    def leave_images(self, seqs: set[int], reason: GapReason) -> list[Told]:
        acknowledged = sum(self.images.pop(seq).sent_s is not None for seq in seqs)
        return self._told("images", seqs, reason, acknowledged)

    def _told(self, what: str, seqs: set[int], reason: GapReason, acknowledged: int) -> list[Told]:
        if not seqs:
            return []
        # What leaves by itself within an hour is one line of the purge log; a person's word is always another.
        self.purges.add((what, reason, len(self.purges) if reason is GapReason.PURGED else 0))
        return [(what, reason.value, tuple(sorted(seqs)), len(seqs), acknowledged)]

    def goes_on(self, told: Told) -> Told:
        """Take the last gap record of the same kind away, and put what it told before this."""
        what, reason, places, reads, acknowledged = told
        alike = [id_ for id_, one in self.gaps.items() if one[:2] == (what, reason)]
        before = self.gaps[alike[-1]] if alike else told
        both = {*before[2], *places}
        if not alike or not before[2] or len(list(ranges(both))) > RANGES_A_RECORD:
            return told
        del self.gaps[alike[-1]]
        self.gaps_sent_s.pop(alike[-1], None)
        return what, reason, tuple(sorted(both)), before[3] + reads, before[4] + acknowledged

    def _forget(self, seqs: set[int]) -> None:
        for seq in seqs:
            del self.kept[seq]
            self.sent_s.pop(seq, None)
            self.aside.discard(seq)

    def in_order_of_leaving(self) -> list[int]:
        """Priority counts only among what the broker does not have."""
        pending = self.kept.keys() - self.sent_s.keys()
        return sorted(self.kept, key=lambda seq: (seq in pending, seq in pending and self.kept[seq].priority, seq))

    @staticmethod
    def older_than(seconds: float, now_s: float, of: Mapping[int, Kept] | Mapping[int, Picture]) -> set[int]:
        return {seq for seq, one in of.items() if now_s - one.since_s >= seconds}


def told(gap: Gap) -> Told:
    places = tuple(seq for first, last in gap.ranges for seq in range(first, last + 1))
    return gap.what.value, gap.reason.value, places, gap.reads, gap.acknowledged


class OutboxAgainstAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # Where the ids lie in their index decides what the quota has room for: the same each time.
        chance = Random(7)
        self.ids = ExitStack()
        for module in ("tests.outbox.test_outbox", "edge_agent.outbox.bounds", __name__):
            self.ids.enter_context(patch(f"{module}.uuid4", lambda: UUID(int=chance.getrandbits(128), version=4)))
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
        """Compare the gap records that are new with those that had to come; one takes the last one in."""
        expected = [self.model.goes_on(one) for one in expected]
        new = {gap.id: told(gap) for gap in self.outbox.take_gaps(limit=10_000) if gap.id not in self.model.gaps}
        assert sorted(new.values()) == sorted(expected)
        self.model.gaps |= new

    # Reads.

    @rule(
        sizes=st.lists(st.sampled_from([0, 300, 3000, 20_000]), max_size=4),
        priority=st.booleans(),
        image_size=st.sampled_from([0, 3, 200]),
    )
    def append(self, sizes: list[int], *, priority: bool, image_size: int) -> None:
        images = [uuid4().bytes * image_size or None for _ in sizes]
        notes = [Note(size, priority=priority, image=image) for size, image in zip(sizes, images, strict=True)]
        seqs = self.outbox.append(notes)
        last = self.model.last
        assert seqs == tuple(range(last + 1, last + 1 + len(notes)))
        self.model.last += len(notes)
        here = {row[0] for row in self.outbox._session._connection.execute("SELECT seq FROM reads")}
        left = self.model.kept.keys() - here
        assert left == set(self.model.in_order_of_leaving()[: len(left)])
        told = self.make_room(left)
        self.expect(told)
        for seq, note in zip(seqs, notes, strict=True):
            self.model.kept[seq] = Kept(note.key, priority, self.clock.seconds)
            if note.image:
                key = ImageKey(note.key.id, hashlib.sha256(note.image).hexdigest())
                self.model.images[seq] = Picture(key, self.clock.seconds)

    def make_room(self, left: set[int]) -> list[Told]:
        """Let the reads go that left, and the pictures, all of which go before a read that was not sent."""
        here = {row[0] for row in self.outbox._session._connection.execute("SELECT seq FROM images")}
        only_sent = left <= self.model.sent_s.keys()
        all_sent = self.model.sent_s.keys() <= left
        told = self.model.leave(left, GapReason.QUOTA)
        alone = self.model.images.keys() - here
        assert alone == set(sorted(self.model.images)[: len(alone)])
        assert only_sent or alone == self.model.images.keys()
        assert all_sent or not alone
        return told + self.model.leave_images(alone, GapReason.QUOTA)

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
        self.model.receipt(seqs)

    @rule(seq=st.integers(0, 40))
    def receipt_through(self, seq: int) -> None:
        gone = {one for one in self.model.sent_s if one <= seq <= self.model.last}
        assert self.outbox.receipted_through(seq) == (len(gone) if seq <= self.model.last else None)
        self.model.receipt(gone)

    @rule(older_than_s=st.sampled_from([None, 0, 30]))
    def resend(self, older_than_s: float | None) -> None:
        before_s = self.clock.seconds - (older_than_s or 0)
        late = {seq for seq, at_s in self.model.sent_s.items() if older_than_s is None or at_s <= before_s}
        sent = [one for one in self.model.images.values() if one.sent_s is not None]
        late_images = [one for one in sent if older_than_s is None or (one.sent_s or 0) <= before_s]
        assert self.outbox.resend(older_than_s=older_than_s) == len(late) + len(late_images)
        for seq in late:
            del self.model.sent_s[seq]
        for id_, at_s in list(self.model.gaps_sent_s.items()):
            if older_than_s is None or at_s <= before_s:
                del self.model.gaps_sent_s[id_]
        for image in late_images:
            image.sent_s = None

    # Pictures.

    @precondition(lambda self: self.model.images)
    @rule(data=st.data())
    def images_sent(self, data: st.DataObject) -> None:
        seqs = data.draw(st.sets(st.sampled_from(sorted(self.model.images))))
        self.outbox.mark_images_sent([*seqs, self.model.last + 1])
        for seq in seqs:
            if self.model.images[seq].due:
                self.model.images[seq].sent_s = self.clock.seconds

    @precondition(lambda self: self.model.images)
    @rule(data=st.data())
    def images_receipted(self, data: st.DataObject) -> None:
        seqs = data.draw(st.sets(st.sampled_from(sorted(self.model.images))))
        keys = [self.model.images.pop(seq).key for seq in seqs]
        assert self.outbox.images_receipted([*keys, ImageKey(uuid4(), "ab" * 32), *keys]) == len(seqs)

    @precondition(lambda self: self.model.images)
    @rule(data=st.data())
    def hold_image(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.model.images)))
        image = self.model.images[seq]
        self.outbox.hold_image(seq)
        if image.held or not image.due:
            self.expect([])
            return
        image.held = True
        self.expect([("images", "quarantined", (seq,), 1, int(image.sent_s is not None))])

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
        self.expect([("reads", "quarantined", (seq,), 1, int(was_sent))])

    @rule()
    def expire(self) -> None:
        gone = self.outbox.expire()
        self.expect_older_gone(BOUNDS.keep_s, gone, GapReason.EXPIRED)

    def expect_older_gone(self, seconds: float, gone: Gone, reason: GapReason) -> None:
        model, now_s = self.model, self.clock.seconds
        old = model.older_than(seconds, now_s, model.kept)
        told = model.leave(old, reason)
        alone = model.older_than(seconds, now_s, model.images)
        assert gone == (len(old), len(alone))
        self.expect(told + model.leave_images(alone, reason))

    @rule(older_than_s=st.sampled_from([0, 60.5]))
    def purge(self, older_than_s: float) -> None:
        gone = self.outbox.purge(older_than_s=older_than_s)
        self.expect_older_gone(older_than_s, gone, GapReason.PURGED)

    @rule(reads=st.integers(1, 5))
    def not_written(self, reads: int) -> None:
        self.outbox.not_written(reads)
        self.expect([("reads", "not_written", (), reads, 0)])

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
        for image in self.model.images.values():
            image.held = False

    @invariant()
    def they_agree(self) -> None:
        model = self.model
        pending = [seq for seq in sorted(model.kept) if seq not in model.sent_s and seq not in model.aside]
        assert [(row.seq, row.key) for row in self.outbox.take(limit=1000)] == [
            (seq, model.kept[seq].key) for seq in pending
        ]
        due = [(seq, one.key) for seq, one in sorted(model.images.items()) if one.due and not one.held]
        assert [(row.seq, row.key) for row in self.outbox.take_images(limit=1000)] == [
            one for one in due if model.images[one[0]].sent_s is None
        ]
        unsent = model.gaps.keys() - model.gaps_sent_s.keys()
        assert {gap.id: told(gap) for gap in self.outbox.take_gaps(limit=10_000)} == {
            id_: model.gaps[id_] for id_ in unsent
        }
        status = self.outbox.status()
        counts = (status.pending, status.sent, status.quarantined, status.images, status.gaps, status.last_seq)
        assert counts == (
            len(pending),
            len(model.sent_s),
            len(model.aside),
            len(model.images),
            len(model.gaps),
            model.last,
        )
        assert len(self.outbox.purges()) == len(model.purges)

    def teardown(self) -> None:
        self.ids.close()
        self.outbox.close()
        self.directory.cleanup()


TestOutboxAgainstAList = OutboxAgainstAList.TestCase
TestOutboxAgainstAList.settings = settings(max_examples=amount(120, 1000), stateful_step_count=30, deadline=None)

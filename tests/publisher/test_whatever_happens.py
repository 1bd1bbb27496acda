"""Whatever the broker and the store do."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.contract.receipt import Receipt
from edge_agent.domain import ImageKey, ReadKey
from tests.faults.amount import amount
from tests.publisher.chain import TOPICS, Chain


class PublisherAgainstTheWorld(RuleBasedStateMachine):
    """Whatever the broker and the store do, the window holds, and once all is well every read is delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.chain = Chain(Path(self.directory.name) / "outbox.db", window=4)
        self.stored: set[UUID] = set()
        self.chain.run()

    def held(self) -> int:
        """Pictures that a refusal keeps back until the next start."""
        query = "SELECT COUNT(*) FROM images_due WHERE held"
        (count,) = self.chain.outbox._session._connection.execute(query).fetchone()
        return int(count)

    @rule(count=st.integers(1, 5), picture=st.booleans())
    def append(self, count: int, *, picture: bool) -> None:
        self.chain.append(count, picture=picture)
        self.chain.run()

    @rule()
    def accept(self) -> None:
        if not self.chain.link.up:
            self.chain.link.accept()
        self.chain.run()

    @rule()
    def lose(self) -> None:
        if self.chain.link.up:
            self.chain.link.lose()
        self.chain.run()

    @rule(code=st.sampled_from([0, 0, 0x10, 0x80, 0x87, 0x97, 0x99]), count=st.integers(1, 4))
    def answer(self, code: int, count: int) -> None:
        self.chain.link.answer(code, count)
        self.chain.run()

    @rule(share=st.integers(1, 3))
    def receipt(self, share: int) -> None:
        if self.chain.link.up:
            self.store(self.published()[::share], self.pictures()[::share])
        self.chain.run()

    @rule(seconds=st.integers(1, 300))
    def wait(self, seconds: int) -> None:
        self.chain.run(seconds)

    def published(self) -> list[UUID]:
        sent = [message for message in self.chain.link.published if message.topic == TOPICS.reads]
        return [self.chain.ids[int(message.payload.split()[1]) - 1] for message in sent]

    def pictures(self) -> list[ImageKey]:
        sent = [message for message in self.chain.link.published if "/images/" in message.topic]
        return [
            ImageKey(UUID(message.topic.rpartition("/")[2]), hashlib.sha256(message.payload).hexdigest())
            for message in sent
        ]

    def store(self, ids: list[UUID], pictures: Sequence[ImageKey] = ()) -> None:
        self.stored |= set(ids)
        receipt = Receipt.of([ReadKey(one) for one in [*ids, uuid4()]], images=pictures)
        self.chain.link.receipt(receipt.model_dump(mode="json"))

    @invariant()
    def a_picture_follows_its_read(self) -> None:
        assert {key.read for key in self.pictures()} <= self.stored

    @invariant()
    def the_window_holds(self) -> None:
        assert len(self.chain.link.unacknowledged) <= 4

    def teardown(self) -> None:
        for _ in range(600):  # from here on all is well
            if not self.chain.link.up:
                self.chain.link.accept()
            self.chain.link.answer()
            self.store(self.published(), self.pictures())
            self.chain.run(5)
            if self.chain.kept() == [0, 0] and self.chain.outbox.status().images == self.held():
                break
        assert self.chain.kept() == [0, 0]
        assert self.chain.outbox.status().images == self.held()
        assert set(self.published()) == set(self.chain.ids)
        self.chain.outbox.close()
        self.directory.cleanup()


TestPublisherAgainstTheWorld = PublisherAgainstTheWorld.TestCase
TestPublisherAgainstTheWorld.settings = settings(
    max_examples=amount(20, 400), stateful_step_count=15, deadline=None
)

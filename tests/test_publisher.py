import json
import logging
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.contract.gap import GapRecord, decode_gap
from edge_agent.contract.topics import Topics
from edge_agent.domain import ReadKey, Stamp
from edge_agent.errors import OutboxError
from edge_agent.mqtt import (
    Acknowledged,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Message,
    Received,
    SubscriptionRefused,
    Woken,
)
from edge_agent.outbox import Outbox
from edge_agent.publisher import Counters, Publisher, last_will
from edge_agent.publisher.schedule import Backoff, Schedule

TOPICS = Topics("lpr", "hpd", "car-12")
OPEN_DOOR = Connected(receive_maximum=65535, maximum_packet_size=None)


class Note:
    def __init__(self, size: int = 0, *, image: bytes | None = None) -> None:
        self.key = ReadKey(uuid4())
        self.priority = False
        self.image = image
        self._size = size

    def encode(self, seq: int) -> bytes:
        return f"note {seq}".encode().ljust(self._size, b".")


class Time:
    """A clock that moves when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> Stamp:
        return Stamp(self.seconds, datetime(2026, 7, 4, tzinfo=UTC))


class FakeLink:
    """A connection whose other end is the test."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.events: deque[Event] = deque()
        self.calls: list[str] = []
        self.connects: list[float] = []
        self.topics: list[str] = []
        self.up = False
        self.mid = 0
        self.unacknowledged: dict[int, Message] = {}
        self.published: list[Message] = []
        self.published_s = 0.0

    def connect(self) -> None:
        self.calls.append("connect")
        self.connects.append(self.time.seconds)

    def next_event(self, timeout_s: float) -> Event | None:
        if self.events:
            return self.events.popleft()
        self.time.seconds += timeout_s
        return None

    def wake(self) -> None:
        self.events.append(Woken())

    def publish(self, message: Message) -> int | None:
        if not self.up:
            return None
        self.mid += 1
        self.unacknowledged[self.mid] = message
        self.published.append(message)
        self.published_s = self.time.seconds
        return self.mid

    def subscribe(self, topic: str) -> None:
        self.topics.append(topic)

    def drop(self) -> None:
        self.calls.append("drop")
        self.lose()

    def close(self) -> None:
        self.calls.append("close")

    # What the test does on the other end.

    def accept(self, limits: Connected = OPEN_DOOR) -> None:
        self.up = True
        self.events.append(limits)

    def lose(self, reason: str = "connection lost") -> None:
        self.up = False
        self.unacknowledged.clear()
        self.events.append(Disconnected(reason))

    def answer(self, code: int = 0, count: int = 10_000) -> None:
        for mid in list(self.unacknowledged)[:count]:
            del self.unacknowledged[mid]
            self.events.append(Acknowledged(mid, code, f"code {code}"))

    def receipt(self, message: object, topic: str = TOPICS.receipts) -> None:
        self.events.append(Received(topic, json.dumps(message).encode()))

    @property
    def waiting(self) -> list[str]:
        return [message.payload.decode() for message in self.unacknowledged.values()]


class Chain:
    """A publisher between a real outbox and a test."""

    def __init__(self, path: Path, **options: Any) -> None:  # noqa: ANN401 - the publisher's own
        self.time = Time()
        self.link = FakeLink(self.time)
        self.outbox = Outbox(path=path, now=self.time.now, owner="hpd/car-12")
        self.outbox.open()
        self.ids: list[UUID] = []
        self.publisher = Publisher(
            outbox=self.outbox,
            link=self.link,
            topics=TOPICS,
            monotonic=self.time,
            uniform=lambda _low, high: high,
            **options,
        )

    def append(self, count: int = 1, size: int = 0) -> None:
        notes = [Note(size) for _ in range(count)]
        self.outbox.append(notes)
        self.ids.extend(note.key.id for note in notes)
        self.publisher.notify()

    def run(self, seconds: float = 0.5) -> None:
        """Step until all events are taken and the time has passed."""
        until = self.time.seconds + seconds
        while self.link.events or self.time.seconds < until:
            self.publisher.step()

    def step_until_something_waits(self) -> None:
        while self.link.events or not self.link.waiting:
            self.publisher.step()

    def connect(self, limits: Connected = OPEN_DOOR) -> None:
        self.run()
        self.link.accept(limits)
        self.run()
        self.link.answer(count=1)  # the state
        self.run()

    def kept(self) -> list[int]:
        status = self.outbox.status()
        return [status.pending, status.sent]

    @property
    def counters(self) -> Counters:
        return self.publisher.counters


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path / "outbox.db")
    yield made
    made.outbox.close()


def test_a_connection_begins_with_state_and_subscription(chain: Chain) -> None:
    chain.connect()
    assert chain.link.topics == ["lpr/v1/hpd/car-12/receipts"]
    assert chain.link.published == [Message("lpr/v1/hpd/car-12/state", b"online", retain=True)]
    assert chain.counters.connected
    assert last_will(TOPICS) == Message("lpr/v1/hpd/car-12/state", b"offline", retain=True)


def test_a_read_goes_out_is_acknowledged_and_leaves_with_its_receipt(chain: Chain) -> None:
    chain.append(2)
    chain.connect()
    assert chain.link.waiting == ["note 1", "note 2"]
    assert {message.topic for message in chain.link.unacknowledged.values()} == {"lpr/v1/hpd/car-12/reads"}
    chain.link.answer()
    chain.run()
    assert chain.kept() == [0, 2]
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.run()
    assert chain.kept() == [0, 1]
    chain.link.receipt({"through_seq": 2})
    chain.run()
    assert chain.kept() == [0, 0]
    assert chain.counters == Counters(connected=True, published=2, sent=2, receipted=2)


def test_a_receipt_may_overtake_the_acknowledgement(chain: Chain) -> None:
    chain.append()
    chain.connect()
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.link.answer()
    chain.run()
    assert chain.kept() == [0, 0]


def test_with_confirm_broker_the_acknowledgement_is_enough(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "outbox.db", confirm="broker")
    chain.append(3)
    chain.connect()
    chain.link.answer()
    chain.run()
    assert chain.link.topics == []
    assert chain.kept() == [0, 0]
    assert (chain.counters.sent, chain.counters.receipted) == (3, 3)
    chain.outbox.close()


def test_what_is_appended_later_goes_out_too(chain: Chain) -> None:
    chain.connect()
    chain.append()
    chain.run()
    assert chain.link.waiting == ["note 1"]


@pytest.mark.parametrize(("receive_maximum", "expected"), [(65535, 7), (3, 3), (1, 1)])
def test_the_window_holds_also_after_a_reconnection(tmp_path: Path, receive_maximum: int, expected: int) -> None:
    chain = Chain(tmp_path / "outbox.db", window=7)
    chain.append(20)
    limits = Connected(receive_maximum=receive_maximum, maximum_packet_size=None)
    chain.connect(limits)
    assert len(chain.link.unacknowledged) == expected
    chain.link.lose()
    chain.run(5)
    chain.link.accept(limits)
    chain.run()
    assert len(chain.link.unacknowledged) == expected
    chain.link.answer(count=1)
    chain.run()
    assert len(chain.link.unacknowledged) == expected
    for _ in range(20):
        chain.link.answer()
        chain.run()
    assert chain.kept() == [0, 20]
    chain.outbox.close()


def test_everything_without_a_receipt_goes_again_after_a_reconnection(chain: Chain) -> None:
    chain.append(4)
    chain.connect()
    chain.link.answer(count=2)
    chain.run()
    assert chain.kept() == [2, 2]
    chain.link.lose()
    chain.run(5)
    chain.connect()
    assert chain.link.waiting == ["note 1", "note 2", "note 3", "note 4"]
    assert (chain.counters.resent, chain.counters.connections_lost) == (2, 1)


def test_an_unreceipted_read_goes_again_later_and_later(chain: Chain) -> None:
    chain.append()
    chain.connect()
    times = []
    for _ in range(4000):
        if chain.link.waiting:
            times.append(chain.time.seconds)
            chain.link.answer()
        chain.run()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= 60
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 900 * 1.25 + 2
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.run()
    assert chain.kept() == [0, 0]


def test_connecting_is_tried_again_with_growing_pauses(chain: Chain) -> None:
    failed = chain.time.seconds
    pauses = []
    for number in range(9):
        while len(chain.link.connects) == number:
            chain.publisher.step()
        pauses.append(chain.link.connects[-1] - failed)
        chain.link.events.append(ConnectFailed("broker x:1883: refuses connections"))
        failed = chain.time.seconds
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert chain.counters.problem == "broker x:1883: refuses connections"
    chain.append()
    chain.connect()
    chain.link.answer()
    chain.run()
    assert chain.counters.problem is None
    chain.link.lose()
    chain.run(1.5)
    assert chain.link.calls[-1] == "connect"


@given(st.lists(st.booleans(), max_size=60))
def test_a_pause_is_drawn_from_nothing_to_the_longest(resets: list[bool]) -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    backoff = Backoff(first_s=1, longest_s=60, uniform=draw)
    for reset in resets:
        if reset:
            backoff.reset()
        assert 0 < backoff.next_s() <= 60
    assert all(low == 0 for low, _ in drawn)


def gaps(chain: Chain) -> list[GapRecord]:
    return [decode_gap(one.payload) for one in chain.link.published if one.topic == TOPICS.gaps]


@pytest.mark.parametrize("code", [0x95, 0x99])
def test_a_read_that_is_refused_for_itself_is_set_aside_with_a_gap_record_and_the_others_go_on(
    chain: Chain, code: int
) -> None:
    chain.append()
    chain.connect()
    chain.link.answer(code)
    chain.append()
    chain.run()
    (gap,) = gaps(chain)
    assert (gap.reason, gap.ranges, gap.agency, gap.vehicle) == ("quarantined", ((1, 1),), "hpd", "car-12")
    assert "note 2" in chain.link.waiting
    assert chain.kept() == [1, 0]
    assert chain.outbox.status().quarantined == 1
    assert (chain.counters.refused, chain.counters.quarantined) == (1, 1)
    assert chain.counters.problem is not None
    chain.link.answer()
    chain.run(400)
    assert "note 1" not in chain.link.waiting


def test_a_read_that_is_refused_without_a_known_reason_is_tried_again(chain: Chain) -> None:
    chain.append()
    chain.connect()
    chain.link.answer(0x83 + 0x20)
    chain.run(170)
    assert chain.link.waiting == []
    assert chain.kept() == [1, 0]
    chain.run(20)
    assert chain.link.waiting == ["note 1"]
    chain.link.answer()
    chain.run()
    assert chain.kept() == [0, 1]


def test_a_gap_record_goes_until_it_has_its_receipt(chain: Chain) -> None:
    chain.outbox.not_written(3)
    chain.connect()
    (gap,) = gaps(chain)
    assert (gap.reason, gap.reads) == ("not_written", 3)
    chain.link.lose()
    chain.run(5)
    chain.connect()
    assert gaps(chain) == [gap, gap]
    chain.link.answer()
    chain.run(5)
    assert chain.outbox.status().gaps == 1
    assert gaps(chain) == [gap, gap]
    chain.link.receipt({"gaps": [str(gap.id)]})
    chain.run()
    assert chain.outbox.status().gaps == 0


def test_without_a_store_a_gap_record_leaves_with_the_brokers_word(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "outbox.db", confirm="broker")
    chain.outbox.not_written(3)
    chain.connect()
    chain.link.answer()
    chain.run()
    assert chain.outbox.status().gaps == 0
    chain.outbox.close()


def test_gap_records_that_nobody_takes_stop_no_read(chain: Chain) -> None:
    chain.outbox.not_written(3)
    chain.append()
    chain.connect()
    first = min(chain.link.unacknowledged)
    del chain.link.unacknowledged[first]
    chain.link.events.append(Acknowledged(first, 0x87, "Not authorized"))
    chain.link.answer()
    chain.run(5)
    assert (len(gaps(chain)), chain.kept()) == (1, [0, 1])
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.run(170)
    assert (len(gaps(chain)), chain.outbox.status().gaps) == (1, 1)
    chain.run(20)
    assert len(gaps(chain)) == 2


def test_a_gap_record_that_nobody_takes_yet_goes_again_in_seconds(chain: Chain) -> None:
    chain.outbox.not_written(3)
    chain.connect()
    chain.link.answer(0x10)
    chain.run(4)
    assert len(gaps(chain)) == 1
    chain.run(2)
    assert len(gaps(chain)) == 2


def test_a_read_with_which_three_connections_are_lost_is_set_aside(chain: Chain) -> None:
    chain.append(5)
    for losses in range(3):
        chain.connect()
        assert chain.link.waiting[0] == "note 1"
        assert len(chain.link.waiting) == (1 if losses == 2 else 5)
        chain.link.lose()
        chain.run(30)
    chain.connect()
    assert chain.outbox.status().quarantined == 1
    assert [one for one in chain.link.waiting if one.startswith("note")] == ["note 2", "note 3", "note 4", "note 5"]
    assert [gap.ranges for gap in gaps(chain)] == [((1, 1),)]


def test_losses_with_a_read_that_comes_through_in_between_blame_nobody(chain: Chain) -> None:
    for _ in range(4):
        chain.append()
        chain.connect()
        assert chain.link.waiting[0] == "note 1"
        chain.link.lose()
        chain.run(30)
        chain.connect()
        chain.link.answer()
        chain.run()
        chain.link.lose()
        chain.run(30)
    assert chain.outbox.status().quarantined == 0


@pytest.mark.parametrize("code", [0x10, 0x87, 0x90])
def test_while_the_topic_is_refused_one_read_asks_within_a_second_then_less_and_less_often(
    chain: Chain, code: int
) -> None:
    chain.append(500)
    chain.connect()
    for pause_s in (1, 2, 4, 8, 16, 32, 60, 60):
        chain.link.answer(code)
        chain.append()
        chain.run(pause_s * 0.8)
        assert chain.link.waiting == []
        chain.run(pause_s * 0.4)
        assert chain.link.waiting == ["note 1"]
    assert chain.kept() == [508, 0]


def test_once_a_refused_topic_is_granted_the_kept_reads_follow_at_once(chain: Chain) -> None:
    chain.append(3)
    chain.connect()
    chain.link.answer(0x87)
    chain.run(1.2)
    assert chain.counters.refused == 3
    chain.link.answer()
    chain.run()
    assert chain.link.waiting == ["note 2", "note 3"]
    assert chain.counters.problem is None


def test_a_state_that_a_full_broker_did_not_take_is_sent_again(chain: Chain) -> None:
    chain.run()
    chain.link.accept()
    chain.run()
    chain.link.answer(0x97)
    chain.run(1.2)
    assert chain.link.waiting == ["online"]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x97])
def test_a_broker_in_trouble_is_left_alone_for_growing_pauses(chain: Chain, code: int) -> None:
    chain.append(5)
    chain.connect()
    pauses = []
    for _ in range(4):
        chain.link.answer(code)
        start = chain.time.seconds
        chain.step_until_something_waits()
        pauses.append(chain.link.published_s - start)
        assert chain.link.waiting == [f"note {n}" for n in range(1, 6)]
    assert pauses == [1, 2, 4, 8]
    assert chain.kept() == [5, 0]


def test_a_read_heavier_than_the_broker_takes_is_kept_back(chain: Chain) -> None:
    chain.append(size=2000)
    chain.append()
    chain.connect(Connected(receive_maximum=10, maximum_packet_size=1000))
    assert chain.link.waiting == ["note 2"]
    assert (chain.counters.refused, chain.outbox.status().quarantined) == (1, 0)
    assert chain.kept() == [2, 0]
    chain.link.lose()
    chain.run(5)
    chain.connect(Connected(receive_maximum=10, maximum_packet_size=4000))
    assert [one[:6] for one in chain.link.waiting] == ["note 1", "note 2"]


def test_unknown_and_repeated_acknowledgements_mean_nothing(chain: Chain) -> None:
    chain.append()
    chain.connect()
    chain.link.answer()
    for mid in (1, 2, 99):
        chain.link.events.append(Acknowledged(mid, 0, "Success"))
    chain.run()
    assert chain.kept() == [0, 1]
    assert chain.counters.sent == 1


def test_a_broker_that_stops_acknowledging_is_left(chain: Chain) -> None:
    chain.append()
    chain.connect()
    chain.run(25)
    assert "drop" not in chain.link.calls
    chain.run(15)
    assert "drop" in chain.link.calls
    assert chain.counters.connections_lost == 1
    chain.connect()
    assert chain.link.waiting == ["note 1"]


BAD_RECEIPTS = [b"", b"not json", b"[]", b"{}", b'{"ids": ["x"]}', b'{"through_seq": -1}', b"\xff\xfe", b"null"]


@pytest.mark.parametrize("payload", BAD_RECEIPTS)
def test_a_receipt_that_makes_no_sense_is_counted_and_logged_once(
    chain: Chain, caplog: pytest.LogCaptureFixture, payload: bytes
) -> None:
    chain.append()
    chain.connect()
    chain.link.answer()
    chain.run()
    with caplog.at_level(logging.WARNING):
        chain.link.events.append(Received(TOPICS.receipts, payload))
        chain.run()
    assert (chain.counters.bad_receipts, chain.kept()) == (1, [0, 1])
    assert len(caplog.records) == 1
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.run()
    assert chain.kept() == [0, 0]


def test_a_receipt_for_another_vehicle_or_for_unknown_reads_deletes_nothing(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    chain.append()
    chain.connect()
    chain.link.answer()
    chain.link.receipt({"ids": [str(chain.ids[0])]}, topic="lpr/v1/hpd/car-13/receipts")
    chain.link.receipt({"ids": [str(uuid4()), str(uuid4())]})
    chain.link.receipt({"through_seq": 7})
    chain.run()
    assert chain.kept() == [0, 1]
    assert (chain.counters.bad_receipts, chain.counters.unknown_receipts) == (2, 2)
    assert "through_seq 7 is beyond the last read of this outbox; ignored" in caplog.text


def test_a_refused_subscription_is_a_standing_problem_and_asked_again(chain: Chain) -> None:
    chain.connect()
    chain.link.events.append(SubscriptionRefused("Not authorized"))
    chain.append()
    chain.run()
    chain.link.answer()
    chain.run()
    assert "refuses the subscription to lpr/v1/hpd/car-12/receipts (Not authorized)" in str(chain.counters.problem)
    for _ in range(20):
        chain.run(10)
        chain.link.answer()
    assert len(chain.link.topics) == 2
    assert chain.counters.problem is None


def test_a_state_that_is_refused_is_a_problem_and_reads_go_on(chain: Chain) -> None:
    chain.append()
    chain.run()
    chain.link.accept()
    chain.run()
    chain.link.answer(0x87, count=1)
    chain.run()
    assert f"refuses {TOPICS.state}" in str(chain.counters.problem)
    assert chain.link.waiting == ["note 1"]


class BrokenOutbox(Outbox):
    """An outbox whose disk fails when told to."""

    broken = False

    def mark_sent(self, seqs: Any) -> None:  # noqa: ANN401
        self._check()
        super().mark_sent(seqs)

    def receipted(self, ids: Any) -> int:  # noqa: ANN401
        self._check()
        return super().receipted(ids)

    def take(self, *, limit: int, after_seq: int = 0) -> list[Any]:
        self._check()
        return super().take(limit=limit, after_seq=after_seq)

    def resend(self, *, older_than_s: float | None = None) -> int:
        self._check()
        return super().resend(older_than_s=older_than_s)

    def _check(self) -> None:
        if self.broken:
            raise OutboxError("outbox: disk I/O error")


def test_a_failing_disk_stops_nothing_for_good(chain: Chain, tmp_path: Path) -> None:
    chain.outbox.close()
    outbox = BrokenOutbox(path=tmp_path / "outbox.db", now=chain.time.now, owner="hpd/car-12")
    outbox.open()
    chain.outbox = outbox
    chain.publisher = Publisher(
        outbox=outbox, link=chain.link, topics=TOPICS, monotonic=chain.time, uniform=lambda _low, high: high
    )
    chain.append(2)
    outbox.broken = True
    chain.connect()
    chain.run(10)
    assert chain.counters.problem == "outbox: disk I/O error"
    outbox.broken = False
    chain.step_until_something_waits()
    assert chain.link.waiting == ["note 1", "note 2"]
    outbox.broken = True
    chain.link.answer()
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.run()
    outbox.broken = False
    chain.step_until_something_waits()
    assert chain.link.waiting == ["note 1", "note 2"]
    chain.link.answer()
    chain.link.receipt({"ids": [str(one) for one in chain.ids]})
    chain.run()
    assert chain.kept() == [0, 0]


def test_the_goodbye_waits_for_room_and_for_its_acknowledgement(chain: Chain) -> None:
    chain.append(3)
    chain.connect(Connected(receive_maximum=1, maximum_packet_size=None))
    assert chain.link.waiting == ["note 1"]

    class Answering(FakeLink):
        def next_event(self, timeout_s: float) -> Event | None:
            self.answer()
            return super().next_event(timeout_s)

    chain.link.__class__ = Answering
    chain.publisher.close()
    assert chain.link.published[-1] == Message(TOPICS.state, b"stopped", retain=True)
    assert chain.link.unacknowledged == {}
    assert chain.link.calls[-1] == "close"
    assert chain.kept() == [2, 1]


def test_the_goodbye_does_not_wait_for_ever(chain: Chain) -> None:
    chain.connect()
    start = chain.time.seconds
    chain.publisher.close()
    assert chain.link.waiting == ["stopped"]
    assert chain.time.seconds - start < 3


def test_the_thread_ends_when_told_and_shows_progress(chain: Chain) -> None:
    stop = threading.Event()
    progress = chain.publisher.progress_s
    thread = threading.Thread(target=chain.publisher.run, args=(stop,))
    thread.start()
    while chain.publisher.progress_s == progress:
        pass
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert chain.link.calls[-1] == "close"


def test_a_schedule_keeps_the_earlier_time_and_survives_an_error() -> None:
    time = Time()
    schedule = Schedule(monotonic=time)
    done: list[str] = []

    def fail() -> None:
        raise OutboxError("no")

    def note() -> None:
        done.append("note")

    schedule.after(1, fail)
    schedule.after(5, note)
    schedule.after(2, note)
    schedule.after(9, note)
    assert schedule.wait_s(longest_s=10) == 1
    time.seconds += 3
    with pytest.raises(OutboxError):
        schedule.run_due()
    assert note in schedule
    schedule.run_due()
    schedule.run_due()
    assert done == ["note"]
    assert schedule.wait_s(longest_s=10) == 10


class PublisherAgainstTheWorld(RuleBasedStateMachine):
    """Whatever the broker and the store do, the window holds, and once all is well every read is delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.chain = Chain(Path(self.directory.name) / "outbox.db", window=4)
        self.chain.run()

    @rule(count=st.integers(1, 5))
    def append(self, count: int) -> None:
        self.chain.append(count)
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
            self.store(self.published()[::share])
        self.chain.run()

    @rule(seconds=st.integers(1, 300))
    def wait(self, seconds: int) -> None:
        self.chain.run(seconds)

    def published(self) -> list[UUID]:
        sent = [message for message in self.chain.link.published if message.topic == TOPICS.reads]
        return [self.chain.ids[int(message.payload.split()[1]) - 1] for message in sent]

    def store(self, ids: list[UUID]) -> None:
        self.chain.link.receipt({"ids": [str(one) for one in [*ids, uuid4()]]})

    @invariant()
    def the_window_holds(self) -> None:
        assert len(self.chain.link.unacknowledged) <= 4

    def teardown(self) -> None:
        for _ in range(600):  # from here on all is well
            if not self.chain.link.up:
                self.chain.link.accept()
            self.chain.link.answer()
            self.store(self.published())
            self.chain.run(5)
            if self.chain.kept() == [0, 0]:
                break
        assert self.chain.kept() == [0, 0]
        assert set(self.published()) == set(self.chain.ids)
        self.chain.outbox.close()
        self.directory.cleanup()


TestPublisherAgainstTheWorld = PublisherAgainstTheWorld.TestCase
TestPublisherAgainstTheWorld.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)


def test_health_is_told_at_once_then_each_minute_and_an_old_one_is_not_kept(chain: Chain) -> None:
    told = iter(range(100))

    def health() -> bytes:
        return f"health {next(told)}".encode()

    chain.publisher.report(health)

    def heard() -> list[str]:
        return [one.payload.decode() for one in chain.link.published if one.topic == TOPICS.health]

    chain.connect()
    assert heard() == ["health 0"]
    chain.link.answer()
    chain.run(61)
    assert heard() == ["health 0", "health 1"]
    chain.link.lose()
    chain.run(200)
    chain.connect()
    assert heard() == ["health 0", "health 1", "health 2"]


def test_health_that_the_outbox_cannot_tell_stops_no_read(chain: Chain) -> None:
    def fail() -> bytes:
        raise OutboxError("outbox: disk I/O error")

    chain.publisher.report(fail)
    chain.append()
    chain.connect()
    chain.run(5)
    assert chain.counters.problem == "outbox: disk I/O error"
    assert chain.link.waiting == ["note 1"]

"""From the outbox to the broker and back, through lost connections and failing disks."""

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge_agent.errors import OutboxError
from edge_agent.mqtt import (
    Acknowledged,
    Connected,
    ConnectFailed,
    Event,
    Message,
)
from edge_agent.outbox import Outbox
from edge_agent.publisher import Counters, Publisher, last_will
from tests.publisher.chain import TOPICS, Chain, FakeLink


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
    assert chain.counters.problem == "the central store confirms nothing, 1 message sent again: check it"
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.run()
    assert chain.kept() == [0, 0]
    assert chain.counters.problem is None


def test_connecting_is_tried_again_with_growing_pauses(chain: Chain) -> None:
    failed = chain.time.seconds
    pauses = []
    for number in range(9):
        while len(chain.link.connects) == number:
            chain.publisher.step()
        pauses.append(chain.link.connects[-1] - failed)
        chain.link.events.append(ConnectFailed("broker x:1883: refuses connections"))
        failed = chain.time.seconds
    assert pauses == [0, 1, 2, 4, 5, 5, 5, 5, 5]
    assert chain.counters.problem == "broker x:1883: refuses connections"
    chain.append()
    chain.connect()
    chain.link.answer()
    chain.run()
    assert chain.counters.problem is None
    chain.link.lose()
    chain.run(1.5)
    assert chain.link.calls[-1] == "connect"


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


def broker_takes(chain: Chain, times: int) -> None:
    for _ in range(times):
        chain.link.answer()
        chain.run(0.1)


def test_the_broker_is_never_far_ahead_of_a_store_that_answers(chain: Chain) -> None:
    """Brokers drop what a slow store leaves in their queue."""
    chain.append(2000)
    chain.connect()
    broker_takes(chain, 5)
    assert (chain.kept(), chain.link.waiting) == ([1500, 500], [])
    chain.link.receipt({"ids": [str(one) for one in chain.ids[:50]]})
    chain.run(0.1)
    assert len(chain.link.waiting) == 50
    broker_takes(chain, 1)
    assert (chain.kept(), chain.link.waiting) == ([1450, 500], [])


def test_a_store_that_says_nothing_does_not_keep_the_reads_from_the_broker(chain: Chain) -> None:
    chain.append(2000)
    chain.connect()
    for _ in range(20):
        broker_takes(chain, 12)
        chain.run(2)
    assert chain.kept() == [0, 2000]


def test_without_a_store_the_broker_has_all_at_once(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "outbox.db", confirm="broker")
    chain.append(2000)
    chain.connect()
    broker_takes(chain, 22)
    assert chain.kept() == [0, 0]
    chain.outbox.close()

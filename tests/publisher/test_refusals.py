"""What the broker does not take."""

import json

import pytest

from edge_agent.domain import GapReason
from edge_agent.mqtt import (
    Connected,
    SubscriptionRefused,
)
from edge_agent.outbox.bounds import insert_gap
from tests.publisher.chain import TOPICS, Chain
from tests.publisher.test_gaps import gaps


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


@pytest.mark.parametrize(
    ("code", "pauses_s"),
    [
        (0x10, (1, 2, 4, 5, 5, 5)),  # a store that comes back is to have the reads within seconds
        (0x87, (1, 2, 4, 8, 16, 32, 64, 75)),
        (0x90, (1, 2, 4, 8, 16, 32, 64, 75)),
    ],
)
def test_while_the_topic_is_refused_one_read_asks_within_a_second_then_less_and_less_often(
    chain: Chain, code: int, pauses_s: tuple[int, ...]
) -> None:
    chain.append(500)
    chain.connect()
    for pause_s in pauses_s:
        chain.link.answer(code)
        chain.append()
        chain.run(pause_s * 0.8)
        assert chain.link.waiting == []
        chain.run(pause_s * 0.4)
        assert chain.link.waiting == ["note 1"]
    assert chain.kept() == [500 + len(pauses_s), 0]


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


def test_a_health_record_heavier_than_the_broker_takes_costs_no_connection(chain: Chain) -> None:
    chain.publisher.report(lambda: b"x" * 2000)
    chain.append()
    chain.connect(Connected(receive_maximum=10, maximum_packet_size=1000))
    assert chain.link.waiting == ["note 1"]
    assert chain.counters.problem == "the health record of 2000 bytes is too large for the broker"


def test_a_health_record_that_cannot_be_made_stops_nothing(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> bytes:
        raise ValueError("cameras\n  Tuple should have at most 16 items")

    chain.publisher.report(fail)
    chain.append()
    chain.connect()
    assert chain.link.waiting == ["note 1"]
    assert "no health record: cameras" in caplog.messages


def test_gap_records_heavier_than_the_broker_takes_do_not_block_the_others(chain: Chain) -> None:
    for _ in range(15):
        with chain.outbox._session.transaction() as (connection, _now):
            places = [(2 * n + 1, 2 * n + 1) for n in range(200)]
            insert_gap(connection, places, GapReason.PURGED, reads=200, acknowledged=0, now_ms=0)
    chain.outbox.not_written(7)
    chain.connect(Connected(receive_maximum=10, maximum_packet_size=1000))
    (sent,) = [json.loads(one) for one in chain.link.waiting]
    assert (sent["reason"], sent["reads"]) == ("not_written", 7)
    assert chain.outbox.status().gaps == 16


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

"""Pictures go when their reads are with the store, and stop nothing."""

from pathlib import Path

import pytest

from edge_agent.contract.receipt import Receipt
from edge_agent.mqtt import Connected, Message
from tests.publisher.chain import OPEN_DOOR, TOPICS, Chain
from tests.publisher.test_gaps import gaps


def images(chain: Chain) -> list[Message]:
    return [one for one in chain.link.published if "/images/" in one.topic]


def waiting(chain: Chain) -> list[str]:
    return [one for one in chain.link.waiting if one.startswith("picture")]


def deliver_reads(chain: Chain, limits: Connected = OPEN_DOOR) -> None:
    """Connect, and let the store have every read; its answer to the pictures is still to come."""
    chain.connect(limits)
    while chain.outbox.status().pending:
        chain.link.answer()
        chain.run()
    chain.link.receipt({"ids": [str(one) for one in chain.ids]})
    chain.run()


def test_a_picture_goes_after_its_reads_receipt_and_leaves_with_its_own(chain: Chain) -> None:
    chain.append(picture=True)
    chain.connect()
    chain.link.answer()
    chain.run(30)
    assert images(chain) == []
    chain.link.receipt({"ids": [str(chain.ids[0])]})
    chain.run()
    (row,) = chain.outbox.take_images(limit=9)
    assert images(chain) == [Message(TOPICS.image(chain.ids[0]), row.jpeg)]
    chain.link.answer()
    chain.run()
    assert (chain.outbox.take_images(limit=9), chain.outbox.status().images) == ([], 1)
    chain.link.receipt(Receipt.of([], images=[row.key]).model_dump(mode="json"))
    chain.run()
    assert chain.outbox.status().waiting == 0


def test_without_a_store_a_picture_leaves_with_the_brokers_word(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "outbox.db", confirm="broker")
    chain.append(2, picture=True)
    chain.connect()
    for _ in range(2):  # the reads, then the pictures
        chain.link.answer()
        chain.run()
    assert len(images(chain)) == 2
    assert chain.outbox.status().waiting == 0
    chain.outbox.close()


def test_few_pictures_are_on_their_way_at_once_and_reads_go_first(chain: Chain) -> None:
    chain.append(30, picture=True)
    deliver_reads(chain)
    assert len(waiting(chain)) == 8
    chain.append(3)
    chain.run()
    assert chain.link.waiting[8:] == ["note 31", "note 32", "note 33"]
    for _ in range(10):
        chain.link.answer()
        chain.run()
    assert len(images(chain)) == 30


def test_receipts_in_any_order_let_every_picture_go(chain: Chain) -> None:
    chain.append(3, picture=True)
    chain.connect()
    chain.link.answer()
    chain.run()
    for one in (2, 0, 1):
        chain.link.receipt({"ids": [str(chain.ids[one])]})
        chain.run()
    assert [one.split()[1] for one in waiting(chain)] == ["3", "1", "2"]


def test_a_picture_without_a_receipt_goes_again(chain: Chain) -> None:
    chain.append(picture=True)
    deliver_reads(chain)
    chain.link.answer()
    chain.run(50)
    assert len(images(chain)) == 1
    chain.run(25)
    assert len(images(chain)) == 2
    chain.link.answer()
    chain.run()
    chain.link.lose()
    chain.run(5)
    chain.connect()
    assert len(images(chain)) == 3


@pytest.mark.parametrize("code", [0x87, 0x90])
def test_where_nobody_wants_pictures_they_are_offered_seldom_and_reads_go_on(chain: Chain, code: int) -> None:
    chain.append(20, picture=True)
    deliver_reads(chain)
    chain.link.answer(code)
    chain.run(5)
    assert chain.counters.problem == f"nobody takes pictures (code {code}): check the broker's rules and the store"
    chain.append()
    chain.run()
    assert chain.link.waiting == ["note 21"]
    chain.link.answer()
    chain.link.receipt({"ids": [str(chain.ids[-1])]})
    chain.run(150)
    assert len(images(chain)) == 8
    chain.run(40)
    assert len(waiting(chain)) == 8
    chain.link.answer()
    chain.run()
    assert len(images(chain)) == 24
    assert chain.outbox.status().images == 20


def test_pictures_go_on_seconds_after_a_store_came_back(chain: Chain) -> None:
    chain.append(20, picture=True)
    deliver_reads(chain)
    chain.link.answer(0x10)
    chain.run(4)
    assert (len(images(chain)), waiting(chain)) == (8, [])
    chain.run(3)
    assert len(waiting(chain)) == 8


@pytest.mark.parametrize("code", [0x95, 0x99])
def test_a_picture_that_is_refused_for_itself_is_kept_with_a_gap_record(chain: Chain, code: int) -> None:
    chain.append(2, picture=True)
    deliver_reads(chain)
    chain.link.answer(code, count=1)
    chain.link.answer()
    chain.run(400)
    (gap,) = gaps(chain)
    assert (gap.what, gap.reason, gap.ranges) == ("images", "quarantined", ((1, 1),))
    assert chain.outbox.status().images == 2
    assert sum(one.payload.startswith(b"picture 1 ") for one in images(chain)) == 1
    assert chain.counters.quarantined == 1


def test_a_picture_with_which_three_connections_are_lost_is_held_back(chain: Chain) -> None:
    chain.append(3, picture=True)
    deliver_reads(chain)
    for losses in range(3):
        assert len(waiting(chain)) == (1 if losses == 2 else 3)
        chain.link.lose()
        chain.run(30)
        chain.connect()
    assert [one.split()[1] for one in waiting(chain)] == ["2", "3"]
    assert [(gap.what, gap.ranges) for gap in gaps(chain)] == [("images", ((1, 1),))]


def test_a_picture_heavier_than_the_broker_takes_is_kept_back(chain: Chain) -> None:
    chain.append(picture=True)
    chain.append(picture=True, picture_size=2000)
    chain.append(picture=True)
    deliver_reads(chain, Connected(receive_maximum=65535, maximum_packet_size=1000))
    assert [one.split()[1] for one in waiting(chain)] == ["1", "3"]
    assert chain.outbox.status().images == 3
    assert chain.counters.problem is not None

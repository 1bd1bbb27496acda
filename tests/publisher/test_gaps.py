"""Gap records on their way."""

from pathlib import Path

import pytest

from edge_agent.contract.gap import GapRecord, decode_gap
from edge_agent.mqtt import (
    Acknowledged,
)
from tests.publisher.chain import TOPICS, Chain


def gaps(chain: Chain) -> list[GapRecord]:
    return [decode_gap(one.payload) for one in chain.link.published if one.topic == TOPICS.gaps]


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
    chain.run(3)
    assert len(gaps(chain)) == 2


def test_where_nobody_takes_reads_nor_gap_records_each_is_said_once(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    chain.outbox.not_written(3)
    chain.append()
    chain.connect()
    for _ in range(10):
        chain.link.answer(0x10)
        chain.run(6)
    told = [message for message in caplog.messages if message.startswith("nobody takes")]
    assert len(told) == 2
    chain.link.answer()
    chain.run(6)
    chain.append()
    chain.run()
    chain.link.answer(0x10)
    chain.run()
    assert len([message for message in caplog.messages if message.startswith("nobody takes")]) == 3

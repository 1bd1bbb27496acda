"""Receipts that make no sense."""

import logging
from uuid import uuid4

import pytest

from edge_agent.mqtt import (
    Received,
)
from tests.publisher.chain import TOPICS, Chain

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


def test_receipts_that_make_no_sense_are_said_ever_more_rarely(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    chain.connect()
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            chain.link.events.append(Received(TOPICS.receipts, b"x" * number))
        chain.run()
    assert chain.counters.bad_receipts == 100
    assert [line.partition("; ignored")[2] for line in caplog.messages] == [
        *[""] * 10, ", as 15 receipts before", ", as 31 receipts before", ", as 63 receipts before",
    ]  # fmt: skip


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

"""Receipts as nobody should send them: each is a receipt or one line, and deletes nothing that it does not name."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.contract.receipt import Receipt, decode_receipt
from edge_agent.domain import ReadKey
from edge_agent.errors import ContractError
from edge_agent.outbox import Outbox
from edge_agent.publisher.ledger import Ledger
from tests.faults.amount import amount
from tests.outbox.test_outbox import OWNER, Clock, Note

TOPIC = "lpr/v1/hartford-pd/car-12/receipts"
MANY = settings(
    max_examples=amount(60, 5000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IDS = [str(UUID(int=number)) for number in range(1, 4)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(IDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["ids", "corrections", "gaps", "through_seq", "more"])
GOOD = Receipt(ids=(UUID(int=1),), corrections=((UUID(int=2), 1),), gaps=(UUID(int=3),), through_seq=7).encode()


@st.composite
def bruised(draw: st.DrawFn) -> bytes:
    """Give a good receipt with some bytes gone, changed or put in."""
    content = bytearray(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content) - 1))
        content[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
        content = content or bytearray(b"{")
    return bytes(content)


PAYLOADS = st.one_of(
    st.dictionaries(FIELDS, JSON, max_size=5).map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
    bruised(),
    st.binary(max_size=60),
    st.sampled_from([b"[" * 100_000, b'{"ids":' * 5000, b'{"through_seq":' + b"9" * 4000 + b"}", GOOD + GOOD, b""]),
)


def understood(payload: bytes) -> Receipt | str:
    try:
        return decode_receipt(payload)
    except ContractError as error:
        return str(error)


@MANY
@given(PAYLOADS)
def test_anything_as_a_receipt_is_one_or_one_line(payload: bytes) -> None:
    match understood(payload):
        case Receipt() as receipt:
            assert receipt.keys or receipt.gaps or receipt.through_seq
        case line:
            assert line.startswith("receipt: ")
            assert "\n" not in line
            assert len(line) < 1000


class Numbered(Note):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.key = ReadKey(UUID(int=number), number - 1)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(path=tmp_path / "outbox.db", now=Clock(), owner=OWNER) as opened:
        yield opened


@MANY
@given(payload=PAYLOADS)
def test_the_ledger_settles_whatever_came_and_only_what_was_named_goes(outbox: Outbox, payload: bytes) -> None:
    there = {row.key for row in outbox.take(limit=9)}
    outbox.append([one for one in (Numbered(1), Numbered(2), Numbered(3)) if one.key not in there])
    before = {row.key: row.seq for row in outbox.take(limit=9)}
    ledger = Ledger(outbox=outbox, receipts_topic=TOPIC, confirm="store", tally=Counter())
    ledger.received(TOPIC, payload)
    gone = ledger.settle()
    left = {row.key for row in outbox.take(limit=9)}
    receipt = understood(payload)
    named = set(receipt.keys) if isinstance(receipt, Receipt) else set()
    assert before.keys() - left == before.keys() & named
    assert gone == len(before.keys() - left)

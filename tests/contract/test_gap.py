"""The account of reads that will not come."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from edge_agent.contract.gap import GapRecord, decode_gap
from edge_agent.domain import MOST_RANGES, GapReason
from edge_agent.errors import ContractError
from tests.contract.test_messages import valid


def gap(**other: object) -> dict[str, Any]:
    made = GapRecord(
        schema="lpr.gap/1", id=uuid4(), agency="hpd", vehicle="car-12", reason=GapReason.QUOTA,
        ranges=((1, 9), (12, 12)), reads=10, acknowledged=3, at=datetime(2026, 7, 4, 12, 30, tzinfo=UTC),
    )  # fmt: skip
    return json.loads(made.encode()) | other  # type: ignore[no-any-return]


def test_a_gap_comes_back_and_fits_the_published_schema() -> None:
    message = gap()
    assert valid(message, "gap.schema.json")
    found = decode_gap(json.dumps(message).encode())
    assert (found.reason, found.ranges, found.reads, found.acknowledged) == (
        GapReason.QUOTA,
        ((1, 9), (12, 12)),
        10,
        3,
    )
    assert json.loads(found.encode()) == message


@pytest.mark.parametrize(
    "wrong",
    [
        {"plate": "AB12345"}, {"reason": "bored"}, {"ranges": [[0, 3]]}, {"ranges": [[1]]}, {"reads": -1},
        {"ranges": [[1, 2]] * (MOST_RANGES + 1)}, {"at": "yesterday"}, {"schema": "lpr.gap/2"}, {"agency": "a/b"},
    ],
)  # fmt: skip
def test_what_is_no_gap_record_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    message = gap(**wrong)
    assert not valid(message, "gap.schema.json")
    with pytest.raises(ContractError, match=r"^gap record: ") as caught:
        decode_gap(json.dumps(message).encode())
    assert "\n" not in str(caught.value)
    assert "AB12345" not in str(caught.value)


def test_a_key_that_stands_twice_hides_nothing() -> None:
    hidden = json.dumps(gap()).replace('"reason":', '"reason": "Jane Doe, 12 Main Street", "reason":')
    with pytest.raises(ContractError, match=r"^gap record: a key stands twice$"):
        decode_gap(hidden.encode())

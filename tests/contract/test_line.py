import json

import pytest

from edge_agent.contract.line import line_of, record_of
from edge_agent.contract.record import decode_read, draft
from edge_agent.errors import ContractError
from tests.contract.reads import CLOCK, POSITION, SOURCE, make_read

RECORD = draft(make_read(), agency="a", vehicle="v", source=SOURCE, clock=CLOCK, position=POSITION).encode(1)


def test_a_record_comes_back_from_its_line_of_json() -> None:
    line = line_of(RECORD)
    assert record_of(line) == record_of(line.rstrip()) == RECORD
    assert json.loads(line).keys() == json.loads(RECORD).keys() | {"crc32"}
    assert record_of(RECORD) == RECORD


@pytest.mark.parametrize("bit", range(8))
def test_no_line_with_a_wrong_bit_gives_another_record(bit: int) -> None:
    line = line_of(RECORD).rstrip()
    for place in range(len(line)):
        changed = line[:place] + bytes([line[place] ^ 1 << bit]) + line[place + 1 :]
        try:
            record = record_of(changed)
            decode_read(record)
        except ContractError:
            continue
        assert record == RECORD

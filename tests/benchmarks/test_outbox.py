"""The way of reads to the disk and from it, measured."""

import sys
from pathlib import Path

import pytest

from benchmarks import made_up, outbox
from edge_agent.contract.record import BUDGET_BYTES, decode_read


def test_the_commit_beside_the_sync_and_our_queue_beside_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outbox.main(["--reads", "60", "--commits", "10", "--directory", str(tmp_path)]) == 0
    rows = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert float(rows["commit"][-1]) > 0
    assert float(rows["the outbox, 50 a commit"][-1]) > 0
    assert float(rows["persist-queue, acknowledged"][-1]) > 0
    assert list(tmp_path.iterdir()) == []


def test_the_records_are_real_and_within_their_budget() -> None:
    one, other = (made_up.record(agency="bench", vehicle="car-1").encode(seq) for seq in (1, 10**9))
    assert len(other) <= BUDGET_BYTES
    assert decode_read(one).id != decode_read(other).id


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--reads", "1"], "should be 10 to 1000000"), (["--directory", "/nowhere"], "there is no such directory")],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        sys.exit(outbox.main(arguments))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err

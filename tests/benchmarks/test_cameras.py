"""Several cameras through the complete agent, measured."""

import re
import sys

import pytest

from benchmarks import cameras
from benchmarks.lines import CamerasEnd


def test_two_cameras_are_measured_beside_their_decoding(capsys: pytest.CaptureFixture[str]) -> None:
    assert cameras.main(["--seconds", "6", "--street", "4"]) == 0
    lines = (re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines())
    cells = {what: found for what, *found in lines}
    given = [float(one.strip(",")) for one in cells["frames a second a camera gave"][0].split()]
    looked_at = [float(one.strip(",")) for one in cells["frames a second looked at"][0].split()]
    assert len(given) == len(looked_at) == 2
    assert all(0 < few <= many for few, many in zip(looked_at, given, strict=True))
    assert float(cells["all of it / only decoding"][0]) > 1
    assert int(cells["reads"][0]) >= 1
    for stage in ("decode, ms of processor", "detect, ms", "read, ms", "compare, follow, fuse, ms", "commit, ms"):
        assert float(cells[stage][0]) > 0


def test_figures_of_a_run() -> None:
    decoded = CamerasEnd(seconds=10, cpu_s=4, frames=[300], processed=[300])
    done = CamerasEnd(
        seconds=20, cpu_s=16, frames=[600], processed=[300], detect_ms=[10.0], read_ms=[2.0],
        commit_ms=[1.0] * 99 + [9],
        delay_s=[1.5, 1.6], memory_mib=[50, 100, 100, 110, 110], waiting=[0, 3, 0],
    )  # fmt: skip
    cells = {row.what: row.cells[0] for row in cameras.rows(decoded, done)}
    assert cells["all of it / only decoding"] == "2.00"
    assert cells["decode, ms of processor"] == "13.33"
    assert cells["memory, first and second half, MiB"] == "100, 110"
    assert cells["commit, 99th percentile, ms"] == "9"
    assert cells["reads waiting to be sent, most"] == "3"


@pytest.mark.parametrize("arguments", [["--cameras", "0"], ["--seconds", "0"]])
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        sys.exit(cameras.main(arguments))
    assert ended.value.code == 2
    assert "should be 1 to" in capsys.readouterr().err

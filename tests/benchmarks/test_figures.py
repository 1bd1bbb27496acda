from pathlib import Path

import pytest

from benchmarks import figures, machine
from benchmarks.lines import DriveFrame, Timing


def timing(detect: float, ocr: float) -> Timing:
    return Timing(decode=1, detect=detect, ocr=ocr)


def test_mean_and_95th_percentile() -> None:
    assert figures.spread([float(n) for n in range(1, 101)]) == figures.Spread(mean=50.5, p95=95)
    assert figures.spread([7.0]) == figures.Spread(mean=7, p95=7)


def test_one_slow_picture_in_25_does_not_reach_the_95th_percentile() -> None:
    assert figures.spread([1.0] * 24 + [100.0]).p95 == 1


def test_the_ratio_is_of_the_sums_of_pictures_that_both_read() -> None:
    ours = {"a": timing(1, 1), "b": timing(2, 1), "c": timing(9, 1), "only ours": timing(500, 0)}
    peer = {"a": timing(10, 10), "b": timing(20, 10), "c": timing(20, 5), "only theirs": timing(900, 0)}
    found = figures.ratio(ours, peer)
    assert found == pytest.approx((3 / 25, 15 / 75))


def test_no_ratio_where_there_is_nothing_to_compare() -> None:
    assert figures.ratio({"a": timing(1, 1)}, {"b": timing(1, 1)}) is None
    assert figures.ratio({"a": timing(1, 1)}, {"a": timing(0, 0)}) is None


def test_the_drawing_of_the_drive_is_not_counted() -> None:
    frames = [
        DriveFrame(render=50, detect=5, read=3, track=1, commit=1),
        DriveFrame(render=50, detect=5, read=4, track=1, commit=None),
    ]
    rows = {row.what: row.cells for row in figures.drive_rows(frames)}
    assert rows["whole pipeline, ms"] == ("10.00", "10.00")
    assert rows["commit, ms (1 commits)"] == ("1.00", "1.00")
    assert rows["frames a second"] == ("100.0", "")


def test_a_drive_without_a_read_has_no_commit() -> None:
    rows = figures.drive_rows([DriveFrame(render=1, detect=1, read=1, track=1, commit=None)])
    assert figures.Row("commit, ms (0 commits)", ("-", "-")) in rows


def test_the_processors_name_or_its_architecture(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some Processor 9000\nprocessor\t: 1\nmodel name\t: other\n")
    assert machine.processor(cpuinfo) == "Some Processor 9000"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 108.00\n")
    assert machine.processor(cpuinfo) not in {"", "108.00"}

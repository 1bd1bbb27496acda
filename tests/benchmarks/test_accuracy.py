import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import accuracy
from tests.benchmarks.scripts import GOOD, script


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A labelled set of one picture without anything in it."""
    (tmp_path / "street").mkdir()
    cv2.imwrite(str(tmp_path / "street/0.png"), np.zeros((60, 90), np.uint8))
    table = tmp_path / "street.csv"
    table.write_text("image,x,y,w,h,text\nstreet/0.png,0,0,10,5,ABC123\n")
    return table


def test_readers_side_by_side(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert accuracy.main([str(street), "--peer", str(script(tmp_path, GOOD))]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = {line.split("  ")[0]: line.split()[-8:-2] for line in out.splitlines()}
    assert rows["edge-agent"] == ["1", "0.000", "1", "0.000", "0.000", "0.000"]
    assert rows["the peer"] == ["1", "1.000", "1", "1.000", "1.000", "0.000"]


def test_a_picture_that_cannot_be_read_is_told(street: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (street.parent / "street/1.png").write_bytes(b"no picture")
    assert accuracy.main([str(street)]) == 0
    assert "edge-agent: 1 of 2 pictures not read, which counts as missed" in capsys.readouterr().out


def test_a_label_outside_its_picture_is_one_line(street: Path, capsys: pytest.CaptureFixture[str]) -> None:
    street.write_text("image,x,y,w,h,text\nstreet/0.png,400,20,10,5,ABC123\n")
    assert accuracy.main([str(street)]) == 1
    said = "the label at x, y, w, h 400, 20, 10, 5 lies outside the 90 x 60 pixels"
    assert capsys.readouterr().err == f"accuracy: {street.parent}/street/0.png: {said}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: CSV (see --help)"),
        (["none.csv"], "none.csv: the truth cannot be read: No such file or directory"),
        (["street.csv", "--peer", "none.py"], "none.py: there is no such reader script"),
        (["street.csv", "--threads", "0"], "--threads should be 1 to 64 (see --help)"),
        (["alone.csv"], "alone: there is no such directory, where the pictures of alone.csv should be"),
    ],
)
def test_what_is_wrong_is_one_line(
    street: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(street.parent)
    Path("alone.csv").write_text(street.read_text())
    with pytest.raises(SystemExit) as end:
        sys.exit(accuracy.main(arguments))
    assert end.value.code == (2 if "--help" in said else 1)
    assert capsys.readouterr().err == f"accuracy: {said}\n"

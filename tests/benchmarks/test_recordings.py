"""What recordings and runs of pictures give together."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import drive, recordings
from edge_agent.camera.sim import plates


def plate(text: str, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A gray car with a plate at (200, 150), half as high as wide."""
    picture = np.full((360, 640, 3), 70, np.uint8)
    drawn = plates.draw(plates.Plate(plates.STYLES[0], text), np.random.default_rng(4))
    picture[150 : 150 + width // 2, 200 : 200 + width] = cv2.resize(drawn, (width, width // 2))
    return picture


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures of one plate, the last too small to be read, and one of another."""
    (tmp_path / "lot").mkdir()
    rows = ["image,x,y,w,h,text"]
    for number, (text, width) in enumerate(
        [("AB 12345", 160), ("AB 12345", 120), ("AB 12345", 6), ("CD 98765", 150)]
    ):
        cv2.imwrite(str(tmp_path / f"lot/{number}.png"), plate(text, width))
        rows.append(f"lot/{number}.png,200,150,{width},{width // 2},{text.replace(' ', '')}")
    table = tmp_path / "lot.csv"
    table.write_text("\n".join(rows), encoding="utf-8")
    return table


def test_a_plate_shown_more_than_once_is_read_by_all_of_its_pictures(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = recordings.runs(pictures, advance=lambda: None)
    assert run == recordings.Run("AB12345", 3, "AB12345", "AB12345", 2)
    assert drive.main(["--runs", str(pictures), "--wrong"]) == 0
    out = capsys.readouterr().out
    assert "1 plates shown more than once" in out
    assert "1.0000 (1 of 1)" in out
    assert "0.667" in out


def test_a_plate_of_which_nothing_is_found_counts_as_wrong(tmp_path: Path) -> None:
    (tmp_path / "lot").mkdir()
    cv2.imwrite(str(tmp_path / "lot/0.png"), np.full((360, 640, 3), 70, np.uint8))
    table = tmp_path / "lot.csv"
    table.write_text("image,x,y,w,h,text\nlot/0.png,9,9,90,40,XY12\nlot/0.png,300,9,90,40,XY12\n", encoding="utf-8")
    assert list(recordings.runs(table, advance=lambda: None)) == [recordings.Run("XY12", 2, "", "", 0)]


def test_each_recording_of_a_table_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for clip, text in (("a.avi", "AB 12345"), ("b.avi", "CD 98765")):
        video = cv2.VideoWriter(str(tmp_path / clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 360))
        for width in range(100, 160, 4):
            video.write(plate(text, width))
        video.release()
    table = tmp_path / "labels.csv"
    rows = "clip,plate,first_visible,last_visible\na.avi,AB12345,0,14\nb.avi,AB12345,0,14\n"
    table.write_text(rows, encoding="utf-8")
    assert drive.main(["--video", str(table)]) == 0
    found = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a.avi", "1", "1", "1", "1", "0", "0"] in found
    assert ["b.avi", "1", "0", "0", "0", "1", "0"] in found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs", "none.csv"], "none.csv: the truth cannot be read: No such file or directory"),
        (["--runs", "once.csv"], "once.csv: shows no plate with a sure text more than once"),
        (["--video", "none.csv"], "none.csv: the truth cannot be read: No such file or directory"),
        (["--video", "gone.csv"], "gone.mp4: there is no such file or directory"),
    ],
)
def test_what_is_wrong_is_one_line(
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(pictures.parent)
    Path("once.csv").write_text("image,x,y,w,h,text\nlot/3.png,200,150,150,75,CD98765\n")
    Path("gone.csv").write_text("clip,plate,first_visible,last_visible\ngone.mp4,X,1,2\n")
    assert drive.main(arguments) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1

"""A labelled folder that cannot be trained on is named in one line."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training import data

READER = "image,x,y,w,h,text,region,state,source,quality,flags,split\n"
DETECTOR = "image,width,height,x,y,w,h,source,region,group\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 80), np.uint8))
    return tmp_path


def reader_table(folder: Path, *rows: str) -> Path:
    (folder / "reader.csv").write_text(READER + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


def detector_table(folder: Path, *rows: str) -> Path:
    (folder / "detector.csv").write_text(DETECTOR + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_several_folders_are_trained_on_each_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_DATA", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert data.data_folders(None) == [tmp_path]
    assert data.data_folders([str(tmp_path), str(tmp_path / "mine")]) == [tmp_path, tmp_path / "mine"]
    with pytest.raises(data.DataError, match="nowhere: no such folder"):
        data.data_folders([str(tmp_path), "nowhere"])


def test_reads_plates_of_one_split_with_their_boxes(folder: Path) -> None:
    reader_table(
        folder,
        "a.png,1,2,30,10,ab-1 23,us,tx,own,good,o0,train",
        "a.png,,,,,XYZ9,de,,own,good,,val",
        "a.png,,,,,LONGERTHANANYPLATE,us,,own,good,,train",
        "a.png,,,,,AB12,us,,own,noisy,,train",
        "a.png,,,,,AB12,us,,own,good,twoline,train",
    )
    plate, stacked = data.plate_texts(folder, "train")
    assert (plate.text, plate.box, plate.folded, plate.two_lines) == ("AB123", (1, 2, 30, 10), True, False)
    assert stacked.two_lines
    assert [p.text for p in data.plate_texts(folder, "val")] == ["XYZ9"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,,,,,AB12,us,,own,good,,trian", r"reader\.csv:2: split should be train or val, got 'trian'"),
        ("a.png,,,,,AB12,us,,own,good,occludd,train", r"reader\.csv:2: unknown flag 'occludd'\. Known: dashcam, "),
    ],
)
@pytest.mark.parametrize("split", ["train", "val", None])
def test_a_split_or_a_flag_that_is_none_is_named(folder: Path, row: str, said: str, split: str | None) -> None:
    with pytest.raises(data.DataError, match=said):
        data.plate_texts(reader_table(folder, row), split)


def test_several_flags_of_one_plate_are_told_apart(folder: Path) -> None:
    reader_table(folder, "a.png,,,,,AB12,us,,own,good,twoline;o0,", "a.png,,,,,AB13,us,,own,good,twoline symbol,")
    [plate] = data.plate_texts(folder, "train")
    assert (plate.text, plate.folded, plate.two_lines) == ("AB12", True, True)


def test_boxes_of_one_photograph_are_gathered(folder: Path) -> None:
    detector_table(folder, "a.png,80,40,1,2,30,10,own,us,g", "a.png,80,40,40,20,20,10,own,us,g")
    [one] = data.photographs(folder)
    assert one.boxes == ((1, 2, 30, 10), (40, 20, 20, 10))


def test_a_photograph_without_a_plate_is_kept(folder: Path) -> None:
    [one] = data.photographs(detector_table(folder, "a.png,80,40,,,,,own,us,g"))
    assert one.boxes == ()
    assert one.region == "us"


def test_a_mixed_region_says_nothing(folder: Path) -> None:
    [one] = data.photographs(detector_table(folder, "a.png,80,40,,,,,own,WORLD,g"))
    assert one.region == ""


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b.png,,,,,AB12,us,,own,good,,train", "reader.csv:2: picture missing: 'b.png'"),
        ("a.png,,,,,--,us,,own,good,,train", "reader.csv:2: empty text"),
        ("a.png,1,x,3,4,AB12,us,,own,good,,train", "reader.csv:2: box is not four numbers: 1,x,3,4"),
        ("a.png,1,2,0,4,AB12,us,,own,good,,train", "reader.csv:2: box without area"),
        ("a.png,-9,2,5,4,AB12,us,,own,good,,train", "reader.csv:2: box outside the picture"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(folder: Path, row: str, said: str) -> None:
    reader_table(folder, row)
    with pytest.raises(data.DataError) as caught:
        data.plate_texts(folder, "train")
    assert str(caught.value).endswith(said)
    assert "\n" not in str(caught.value)


def test_a_box_beyond_the_photograph_is_named(folder: Path) -> None:
    detector_table(folder, "a.png,80,40,70,2,30,10,own,us,g")
    with pytest.raises(data.DataError, match=r"detector.csv:2: box outside the picture"):
        data.photographs(folder)


def test_missing_columns_are_named(folder: Path) -> None:
    (folder / "reader.csv").write_text("image,text\n", encoding="utf-8")
    with pytest.raises(data.DataError, match="column missing: x, y, w, h"):
        data.plate_texts(folder, "train")


def test_no_table_no_rows_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(data.DataError, match="no such file"):
        data.photographs(folder)
    with pytest.raises(data.DataError, match="no usable plate whose column split says train"):
        data.plate_texts(reader_table(folder), "train")
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    with pytest.raises(data.DataError, match=r"give --data DIR or set EDGE_AGENT_DATA"):
        data.data_folder(None)
    with pytest.raises(data.DataError, match="no such folder"):
        data.data_folder(str(folder / "nowhere"))


def test_a_broken_picture_is_named(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not much of a picture")
    with pytest.raises(data.DataError, match=r"broken.jpg: not a picture"):
        data.read_gray(folder / "broken.jpg")


def test_a_tenth_of_the_pictures_without_plates_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "negatives").mkdir()
    for k in range(20):
        cv2.imwrite(str(tmp_path / "negatives" / f"{k:02d}.png"), np.full((4, 4), k, np.uint8))
    kept = [int(one[0, 0]) for one in data.without_plates(tmp_path, validation=True)]
    learned = [int(one[0, 0]) for one in data.without_plates(tmp_path)]
    assert kept == [0, 10]
    assert sorted(kept + learned) == list(range(20))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,1,2", "reader.csv:2: too few columns"),
        ("a.png,nan,2,30,10,AB123,us,,own,good,,", "reader.csv:2: box is not four numbers: nan,2,30,10"),
        ("a.png,1,2,inf,10,AB123,us,,own,good,,", "reader.csv:2: box is not four numbers: 1,2,inf,10"),
    ],
)
def test_a_row_without_a_box_in_numbers_is_named(folder: Path, row: str, said: str) -> None:
    with pytest.raises(data.DataError) as fault:
        data.plate_texts(reader_table(folder, row), None)
    assert str(fault.value).endswith(said)


def test_a_table_that_is_not_utf8_is_named(folder: Path) -> None:
    (folder / "reader.csv").write_bytes(READER.encode() + b"a.png,,,,,\x99\n")
    with pytest.raises(data.DataError, match=r"reader.csv: not a table in UTF-8"):
        data.plate_texts(folder, None)


def test_what_is_no_picture_among_pictures_is_left_alone(folder: Path) -> None:
    (folder / "README.txt").write_text("about these pictures")
    assert [one.name for one in data.pictures_in(folder)] == ["a.png"]


def test_a_picture_of_another_size_than_its_boxes_are_for_is_named(folder: Path) -> None:
    detector_table(folder, "a.png,40,80,5,2,30,10,own,us,g")
    (one,) = data.photographs(folder)
    with pytest.raises(data.DataError, match=r"a.png: the picture is 80 x 40 pixels, the table says 40 x 80"):
        data.taken(one)
    detector_table(folder, "a.png,80,40,5,2,30,10,own,us,g")
    assert data.taken(*data.photographs(folder)).shape == (40, 80)


def test_a_picture_that_is_cut_off_is_named(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 160), np.uint8)
    cv2.imwrite(str(folder / "b.jpg"), noise)
    (folder / "b.jpg").write_bytes((folder / "b.jpg").read_bytes()[:2000])
    with pytest.raises(data.DataError, match=r"b.jpg: the picture is truncated"):
        data.read_gray(folder / "b.jpg")


def test_texts_that_cannot_be_learned_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = ("a.png,,,,,\u00c4B1,,,,,,", "a.png,,,,,A,,,,,,", "a.png,,,,,AB12,,,,,,")
    with caplog.at_level("INFO", "training"):
        assert len(data.plate_texts(reader_table(folder, *rows), "train")) == 1
    assert "reader.csv: 2 left out: not 2 to 10 of A-Z and 0-9" in caplog.text

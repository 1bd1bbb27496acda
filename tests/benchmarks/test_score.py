from pathlib import Path

import pytest

from benchmarks.lines import Picture, Plate
from benchmarks.score import Score, TruePlate, load_truth, score
from edge_agent.domain import Box
from edge_agent.errors import EdgeAgentError

HEADER = "image,x,y,w,h,text,quality\n"


def table(directory: Path, rows: str, header: str = HEADER) -> Path:
    path = directory / "truth.csv"
    path.write_text(header + rows)
    return path


def picture(name: str, *plates: tuple[tuple[float, float, float, float], str]) -> Picture:
    return Picture(image=name, plates=tuple(Plate(box=box, text=text) for box, text in plates))


def test_found_and_read(tmp_path: Path) -> None:
    truth = load_truth(table(tmp_path, "us/a.jpg,10,10,100,50,ABC123,ok\nus/b.jpg,10,10,100,50,XYZ789,ok\n"))
    seen = [
        picture("/data/us/a.jpg", ((10, 10, 110, 60), "ABC123"), ((300, 300, 400, 350), "XYZ789")),
        picture("/data/us/b.jpg", ((10, 10, 110, 60), "XYZ780")),
    ]
    assert score(truth, seen) == Score(
        plates=2, captured=2, texts=2, right=1, distinct=2, distinct_right=1, extra=1
    )


def test_letter_o_and_digit_0_count_as_one(tmp_path: Path) -> None:
    truth = load_truth(table(tmp_path, "us/a.jpg,0,0,10,5,OSG-719,ok\n"))
    assert score(truth, [picture("us/a.jpg", ((0, 0, 10, 5), "0sg719"))]).right == 1


@pytest.mark.parametrize("quality", ["bad", "doubtful", "label?", "label says 8"])
def test_doubtful_labels_count_for_the_capture_alone(tmp_path: Path, quality: str) -> None:
    truth = load_truth(table(tmp_path, f"us/a.jpg,0,0,10,5,ABC123,{quality}\nus/a.jpg,50,50,10,5,,ok\n"))
    seen = [picture("us/a.jpg", ((0, 0, 10, 5), "ABC123"), ((50, 50, 60, 55), "NOISE"))]
    assert score(truth, seen) == Score(
        plates=2, captured=2, texts=0, right=0, distinct=0, distinct_right=0, extra=0
    )


def test_a_box_that_overlaps_too_little_is_a_miss_though_its_text_is_right() -> None:
    truth = {"us/a.jpg": [TruePlate(Box(0, 0, 100, 10), "ABC123")]}
    assert score(truth, [picture("us/a.jpg", ((0, 0, 30, 10), "ABC123"))]).right == 1
    missed = score(truth, [picture("us/a.jpg", ((0, 0, 29, 10), "ABC123"))])
    assert (missed.captured, missed.right) == (0, 0)


def test_the_box_that_fits_best_is_the_one_that_counts() -> None:
    truth = {"us/a.jpg": [TruePlate(Box(0, 0, 100, 10), "ABC123")]}
    seen = picture("us/a.jpg", ((0, 0, 60, 10), "ABC123"), ((0, 0, 99, 10), "ABC128"))
    assert score(truth, [seen]) == Score(
        plates=1, captured=1, texts=1, right=0, distinct=1, distinct_right=0, extra=0
    )


def test_a_labelled_picture_that_was_not_read_is_a_miss() -> None:
    truth = {"us/a.jpg": [TruePlate(Box(0, 0, 10, 5), "A1")], "us/b.jpg": [TruePlate(Box(0, 0, 10, 5), "B2")]}
    assert score(truth, [picture("us/a.jpg", ((0, 0, 10, 5), "A1"))]) == Score(
        plates=2, captured=1, texts=2, right=1, distinct=2, distinct_right=1, extra=0
    )


def test_a_plate_of_several_pictures_is_right_if_one_of_them_is_read() -> None:
    truth = {f"us/{name}.jpg": [TruePlate(Box(0, 0, 10, 5), "ABC-120")] for name in "ab"}
    seen = [picture("us/a.jpg", ((0, 0, 10, 5), "ABC12O")), picture("us/b.jpg", ((0, 0, 10, 5), "ABC128"))]
    found = score(truth, seen)
    assert (found.texts, found.right, found.distinct, found.distinct_right) == (2, 1, 1, 1)


def test_truth_without_quality_is_sure(tmp_path: Path) -> None:
    truth = load_truth(table(tmp_path, "us/a.jpg,0,0,10,5,A1\n", header="image,x,y,w,h,text\n"))
    assert truth == {"us/a.jpg": [TruePlate(Box(0, 0, 10, 5), "A1")]}


def test_truth_without_texts_counts_for_the_capture_alone(tmp_path: Path) -> None:
    truth = load_truth(table(tmp_path, "us/a.jpg,0,0,10,5\n", header="image,x,y,w,h\n"))
    assert truth == {"us/a.jpg": [TruePlate(Box(0, 0, 10, 5), "")]}


def test_truth_of_other_pictures_is_refused() -> None:
    with pytest.raises(EdgeAgentError, match="names none of the pictures: it should call them like us/a"):
        score({"eu/b.jpg": []}, [picture("/data/us/a.jpg")])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "without the column h, image, w, x, y"),
        (b"image,x,y,w\na,1,2,3\n", "without the column h"),
        (b"image,x,y,w,h,text\na.jpg,1,2,wide,4,A\n", "truth.csv:2: x, y, w and h should be numbers"),
        (b"image,x,y,w,h,text\na.jpg,1,2,-3,4,A\n", "truth.csv:2: w and h should be more than 0"),
        (b"image,x,y,w,h,text\na.jpg,inf,2,3,4,A\n", "truth.csv:2: w and h should be more than 0, x and y finite"),
        (b"image,x,y,w,h,text\na.jpg,1,2\n", "truth.csv:2: x, y, w and h should be numbers"),
        (b"\xff\xd8\xff\xe0\x00", "not text with commas"),
    ],
)
def test_a_bad_truth_table_is_one_clear_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes(content)
    with pytest.raises(EdgeAgentError, match=complaint) as caught:
        load_truth(path)
    assert "\n" not in str(caught.value)


def test_a_missing_truth_table_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EdgeAgentError, match="the truth cannot be read: No such file"):
        load_truth(tmp_path / "none.csv")

"""Reads of a recording beside what it shows."""

import dataclasses
from pathlib import Path

import pytest

from edge_agent.domain import Read
from edge_agent.errors import TruthError
from edge_agent.services.truth import TruePass, clips, judge, load
from tests.contract.reads import make_read

HEADER = "clip,plate,first_visible,last_visible,note\n"


def read(text: str, first: int, last: int) -> Read:
    return dataclasses.replace(make_read(text), frame_numbers=(first, last))


def test_the_passes_of_one_clip_are_loaded(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "\ufeff" + HEADER + "a.mp4,ls15-ebc,0,139,\na.mp4,,4,9,far\nb.mp4,XYZ9,1,2,\n", encoding="utf-8"
    )
    assert load(table, "a.mp4") == [TruePass("LS15EBC", 0, 139), TruePass("", 4, 9)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("clip,plate\na.mp4,X\n", "is no truth table: without the column first_visible, last_visible"),
        (HEADER + "a.mp4,X,9,2,\n", ":2: first_visible to last_visible should be 0 or more, and not go back"),
        (HEADER + "a.mp4,X,-1,2,\n", ":2: first_visible to last_visible should be 0 or more, and not go back"),
        (HEADER + "a.mp4,X,1,two,\n", ":2: first_visible and last_visible should be frame numbers"),
        (HEADER + "b.mp4,X,1,2,\nc.mp4,X,1,2,\n", "names no a.mp4, only b.mp4, c.mp4"),
        (HEADER, "names no a.mp4, only nothing"),
        (HEADER.replace(",", ";"), "first_visible, last_visible; its columns are parted by ';', not ','"),
        ("", "is no truth table: without the column clip, plate, first_visible, last_visible"),
        ("\0", "is no truth table"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(content, encoding="utf-8")
    with pytest.raises(TruthError) as fault:
        load(table, "a.mp4")
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_plate_that_was_labelled_twice_is_one_pass(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = "a.mp4,XYZ9,90,99,\na.mp4,XYZ9,0,20,\na.mp4,XYZ9,10,30,\na.mp4,,5,6,\na.mp4,,5,6,\n"
    table.write_text(HEADER + rows, encoding="utf-8")
    far = TruePass("", 5, 6)
    assert load(table, "a.mp4") == [TruePass("XYZ9", 0, 30), far, far, TruePass("XYZ9", 90, 99)]


def test_the_recordings_of_a_table_are_named_once(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(HEADER + "b.mp4,X,1,2,\na.mp4,Y,1,2,\nb.mp4,Z,1,2,\n", encoding="utf-8")
    assert clips(table) == ["a.mp4", "b.mp4"]


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"none.csv: the truth cannot be read: No such file"):
        load(tmp_path / "none.csv", "a.mp4")


def test_right_wrong_missed_and_doubled_are_told_apart() -> None:
    passes = [TruePass("AB12345", 0, 50), TruePass("B0SS", 10, 60), TruePass("FAR99", 70, 90), TruePass("", 0, 5)]
    reads = [read("AB12345", 5, 40), read("AB-12345", 41, 49), read("BO5S", 20, 30), read("HHIE?", 72, 80)]
    verdict = judge(passes, reads)
    assert (verdict.plates, verdict.captured, verdict.right) == (3, 2, 1)
    assert [one.text for one in verdict.repeated] == ["AB-12345"]
    assert [one.text for one in verdict.others] == ["BO5S", "HHIE?"]
    assert [one.text for one, _ in verdict.misread] == ["B0SS"]
    assert [one.text for one in verdict.missed] == ["FAR99"]
    assert str(verdict) == "captured 2 of 3, read right 1 of 3, other reads 2, duplicates 1"


def test_one_plate_in_two_passes_is_right_in_both() -> None:
    passes = [TruePass("AB12345", 0, 50), TruePass("AB12345", 200, 250)]
    verdict = judge(passes, [read("AB12345", 5, 40), read("AB12345", 205, 220), read("AB12345", 230, 240)])
    assert (verdict.right, len(verdict.others)) == (2, 0)
    assert [one.frame_numbers for one in verdict.repeated] == [(230, 240)]


def test_the_right_text_at_another_time_is_no_read_of_the_pass() -> None:
    verdict = judge([TruePass("AB12345", 0, 50)], [read("AB12345", 60, 70)])
    assert (verdict.captured, verdict.right, len(verdict.others)) == (0, 0, 1)

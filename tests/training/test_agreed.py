"""Another program's reads become a labelled folder that training takes."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from training import agreed, data

BOXES = {"a.png": (20, 20, 60, 20), "b.png": (20, 20, 60, 20), "c.png": (20, 20, 60, 20), "d.png": (5, 5, 20, 8)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = ["image,width,height,x,y,w,h,source,region,group"]
    for name, box in BOXES.items():
        cv2.imwrite(str(tmp_path / name), np.zeros((80, 120), np.uint8))
        source = "clips" if name == "c.png" else "own"
        rows.append(f"{name},120,80,{','.join(map(str, box))},{source},us,{name}")
    (tmp_path / "detector.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "reader.csv").write_text("image,x,y,w,h,text\na.png,,,,,KN0WN1\n", encoding="utf-8")
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "us.csv").write_text("image,x,y,w,h,text\nus/1.jpg,,,,,MEAS4\n", encoding="utf-8")
    return tmp_path


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, *reads: str) -> int:
    (folder / "reads.jsonl").write_text("\n".join(reads), encoding="utf-8")
    given = [
        "agreed",
        "--data",
        folder,
        "--reads",
        folder / "reads.jsonl",
        "--without",
        "clips",
        "--out",
        folder / "out",
    ]
    monkeypatch.setattr(sys, "argv", [str(one) for one in given])
    return agreed.main()


def line(folder: Path, name: str, text: str, box: tuple[int, ...] = (20, 21, 80, 40)) -> str:
    return json.dumps({"image": f"{folder.name}/{name}", "plates": [{"box": box, "text": text}]})


def test_the_plates_come_with_a_margin_and_count_as_noisy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = [line(folder, "a.png", "AB-123"), line(folder, "b.png", "NEW99"), line(folder, "c.png", "CLIP1")]
    assert made(folder, monkeypatch, *reads) == 0
    plates = data.plate_texts(folder / "out", "train", noisy=True)
    assert [(one.text, one.region, one.quality, one.source) for one in plates] == [
        ("AB123", "us", "noisy", "own"),
        ("NEW99", "us", "noisy", "own"),
    ]
    assert plates[0].box == (15, 5, 60, 20)
    assert data.read_gray(plates[0].image).shape == (30, 90)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"image": "x"}', "without 'plates'"),
        ('{"image": ', "not JSON"),
        ("[]", "as `edge-agent read --jsonl` prints them"),
        ('{"image": "x", "plates": [{"box": [1, 2], "text": "A"}]}', "as `edge-agent read --jsonl` prints them"),
        (
            '{"image": "x", "plates": [{"box": [1, 2, 3, 4], "text": 5}]}',
            "as `edge-agent read --jsonl` prints them",
        ),
    ],
)
def test_what_is_no_read_is_said_in_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, line: str, said: str
) -> None:
    assert made(folder, monkeypatch, line) == 1
    assert f"reads.jsonl:1: not a line of reads{' ' if said.startswith('as') else ': '}{said}" in caplog.text


def test_a_missing_table_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "reader.csv").unlink()
    assert made(folder, monkeypatch, line(folder, "a.png", "AB123")) == 1
    assert caplog.messages == [f"{folder}/reader.csv: No such file or directory"]


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("KNOWN1", (20, 20, 80, 40)),
        ("MEAS4", (20, 20, 80, 40)),
        ("FAR123", (70, 20, 110, 40)),
        ("", (20, 20, 80, 40)),
    ],
    ids=["in the table", "in an evaluation set", "another place", "unreadable"],
)
def test_what_must_not_be_learned_stays_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, box: tuple[int, ...]
) -> None:
    assert made(folder, monkeypatch, line(folder, "a.png", text, box)) == 0
    assert (folder / "out" / "reader.csv").read_text(encoding="utf-8").count("\n") == 1


def test_a_line_that_is_no_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(folder, monkeypatch, line(folder, "a.png", "AB123"), '{"image": "x"}') == 1
    assert "reads.jsonl:2: not a line of reads: without 'plates'" in caplog.text


def test_a_labelled_folder_is_never_written_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(folder, monkeypatch, line(folder, "a.png", "AB123")) == 0
    before = (folder / "out/reader.csv").read_bytes()
    assert made(folder, monkeypatch, line(folder, "b.png", "NEW99")) == 1
    assert "reader.csv: is there already" in caplog.text
    assert (folder / "out/reader.csv").read_bytes() == before

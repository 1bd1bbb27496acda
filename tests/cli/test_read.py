import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent import host
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.domain import Box
from tests.cli.program import COMMAND, TIMEOUT_S, edge_agent, environment


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A picture of the simulated drive in which one plate is large and whole, and that plate's text."""
    camera = SimCamera(name="sim", now=host.now, seed=1, seconds=30, pace="fast")
    camera.open()
    path = tmp_path_factory.mktemp("pictures") / "street.png"
    while (frame := camera.read()) is not None:
        for vehicle in camera.truth():
            last = vehicle.sightings[-1]
            if last.frame == frame.number and last.width_px > 65 and last.shown > 0.99:
                cv2.imwrite(str(path), frame.image)
                return path, vehicle.text
    raise AssertionError("the drive shows no large plate")


def test_a_picture_is_read(drive: tuple[Path, str]) -> None:
    path, text = drive
    done = edge_agent("read", path)
    assert done.returncode == 0
    assert f"{path}: {text}  confidence" in done.stdout
    assert done.stderr == ""


def test_json_lines_have_the_fields_of_the_contract(drive: tuple[Path, str]) -> None:
    path, text = drive
    done = edge_agent("read", "--jsonl", path)
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["image"] == str(path)
    assert set(line["timing_ms"]) == {"decode", "detect", "ocr"}
    plate = next(plate for plate in line["plates"] if plate["text"] == text)
    assert set(plate) == {"box", "detection_confidence", "text", "confidence", "characters", "region"}
    assert len(plate["characters"]) == len(text)
    assert min(plate["characters"]) == plate["confidence"]
    assert plate["region"] is None


def test_far_plates_are_looked_for_where_asked(drive: tuple[Path, str]) -> None:
    picture, text = drive
    done = edge_agent("read", "--jsonl", "--far", str(picture))
    assert done.returncode == 0
    plates = json.loads(done.stdout)["plates"]
    assert text in [one["text"] for one in plates]
    boxes = [Box(*one["box"]) for one in plates]
    assert all(one.iou(other) < 0.4 for k, one in enumerate(boxes) for other in boxes[:k])


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(drive: tuple[Path, str], tmp_path: Path) -> None:
    path, text = drive
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "b.png").write_bytes(path.read_bytes())
    (tmp_path / "notes.txt").write_text("not a picture")
    done = edge_agent("read", "--jsonl", tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert "not a picture of a known format" in lines[0]["error"]
    assert lines[0]["plates"] == []
    assert text in [plate["text"] for plate in lines[1]["plates"]]
    assert done.stderr.splitlines() == [
        f"edge-agent: {tmp_path / 'a.jpg'}: not a picture of a known format, or damaged",
        "edge-agent: 1 other file was left alone in the directories",
    ]


def test_annotated_pictures_keep_the_directories_shape(drive: tuple[Path, str], tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "monday").mkdir(parents=True)
    (source / "monday" / "1.png").write_bytes(drive[0].read_bytes())
    cv2.imwrite(str(source / "gray.jpg"), np.full((90, 160), 80, np.uint8))
    done = edge_agent("read", "--annotate", out, source)
    assert done.returncode == 0
    before, after = cv2.imread(str(drive[0])), cv2.imread(str(out / "monday" / "1.png.annotated.jpg"))
    assert before is not None
    assert after is not None
    assert after.shape == before.shape
    yellow = (after.astype(int) - before.astype(int))[:, :, 1:].max(axis=2) > 100
    assert yellow.sum() > 500
    assert (out / "gray.jpg.annotated.jpg").exists()


def test_annotating_into_the_pictures_own_directory_leaves_the_originals_alone(
    drive: tuple[Path, str], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(drive[0].read_bytes())
    done = edge_agent("read", "--annotate", tmp_path / "a", tmp_path / "a" / "x.png", tmp_path / "b" / "x.png")
    assert done.returncode == 0
    assert (tmp_path / "a" / "x.png").read_bytes() == drive[0].read_bytes()
    made = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert made == ["x.png", "x.png.2.annotated.jpg", "x.png.annotated.jpg"]


def test_annotated_pictures_are_not_read_as_pictures(drive: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copy(drive[0], tmp_path / "a.png")
    for _ in range(2):
        done = edge_agent("read", "--jsonl", "--annotate", tmp_path, tmp_path)
        assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == [str(tmp_path / "a.png")]
    assert "1 other file was left alone" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.png.annotated.jpg"]


def test_names_that_no_terminal_can_show_are_escaped(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"a\xff\nb.png")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 80), np.uint8))
    (tmp_path / "a.png").rename(odd)
    (line,) = edge_agent("read", "--jsonl", tmp_path).stdout.splitlines()
    assert json.loads(line)["image"] == f"{tmp_path}/a\\xff\nb.png"
    assert edge_agent("read", tmp_path).stdout == f"{tmp_path}/a\\udcff\\nb.png: no plate\n"
    odd.write_bytes(b"")
    (line,) = edge_agent("read", "--jsonl", tmp_path).stdout.splitlines()
    assert json.loads(line)["error"] == f"{tmp_path}/a\\xff\nb.png: the file is empty"


def test_what_is_no_file_in_a_directory_is_counted(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 80), np.uint8))
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "2 other files were left alone" in edge_agent("read", tmp_path).stderr


def test_a_recording_without_a_plate_says_so(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 80), np.uint8))
    assert edge_agent("replay", tmp_path).stdout == f"{tmp_path}: no plate was read\n"
    assert edge_agent("replay", "--jsonl", tmp_path).stdout == ""


def test_a_directory_without_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    done = edge_agent("read", tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"edge-agent: {tmp_path}: holds no picture (1 other file)\n"


def test_a_directory_without_pictures_does_not_stop_the_others(drive: tuple[Path, str], tmp_path: Path) -> None:
    done = edge_agent("read", "--jsonl", tmp_path, drive[0])
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert lines[0] == {
        "image": str(tmp_path),
        "plates": [],
        "error": f"{tmp_path}: holds no picture (0 other files)",
    }
    assert drive[1] in [plate["text"] for plate in lines[1]["plates"]]
    assert done.stderr == f"edge-agent: {tmp_path}: holds no picture (0 other files)\n"


def test_a_reader_that_goes_away_is_no_fault(drive: tuple[Path, str]) -> None:
    command = [*COMMAND, "read", "--jsonl", *[str(drive[0])] * 5]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (0, "")


def test_output_that_cannot_be_written_is_one_line(drive: tuple[Path, str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "read", str(drive[0])],
            stdout=full, stderr=subprocess.PIPE, env=environment(), text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "edge-agent: No space left on device\n"


def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    done = edge_agent("read", tmp_path / "x.jpg")
    assert done.returncode == 1
    assert "not a regular file" in done.stderr


def test_one_missing_picture_is_one_line_and_status_one() -> None:
    done = edge_agent("read", "nowhere.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "edge-agent: nowhere.jpg: No such file or directory\n"


def test_where_annotations_cannot_be_written_it_says_so(drive: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    done = edge_agent("read", "--annotate", tmp_path / "out" / "deeper", drive[0])
    assert done.returncode == 1
    assert "the annotated picture cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def photographs() -> Path:
    data = os.environ.get("EDGE_AGENT_DATA")
    if not data:
        pytest.skip("EDGE_AGENT_DATA is not set: no photographs to read")
    return Path(data) / "eval" / "us"


def test_real_cars_are_read() -> None:
    done = edge_agent("read", "--jsonl", photographs())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(lines) > 100
    assert sum(bool(line["plates"]) for line in lines) > 0.95 * len(lines)


def write_moving(picture: Path, folder: Path) -> None:
    """Three pictures in which a picture moves a little: the same one again would be no evidence."""
    seen = cv2.imread(str(picture))
    assert seen is not None
    for number in range(3):
        cv2.imwrite(str(folder / f"b{number}.png"), np.roll(seen, 4 * number, axis=1))


def test_a_recording_that_is_damaged_in_part_is_read_and_said_with_status_1(
    drive: tuple[Path, str], tmp_path: Path
) -> None:
    path, text = drive
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    write_moving(path, tmp_path)
    done = edge_agent("replay", tmp_path)
    assert done.returncode == 1
    assert text in done.stdout
    assert done.stderr.startswith("edge-agent: camera replay: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_report_of_a_replay_is_one_page(drive: tuple[Path, str], tmp_path: Path) -> None:
    path, text = drive
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_moving(path, pictures)
    done = edge_agent("replay", pictures, "--report", tmp_path / "report.html", "--jsonl")
    assert done.returncode == 0, done.stderr
    assert text in [json.loads(line)["text"] for line in done.stdout.splitlines()]
    assert f'<span class="plate">{text}</span>' in (tmp_path / "report.html").read_text(encoding="utf-8")
    (tmp_path / "other.mp4").write_bytes(b"a recording")
    done = edge_agent("replay", pictures, "--report", tmp_path / "other.mp4")
    assert "the report cannot be written: a file that is no report is there" in done.stderr
    assert (tmp_path / "other.mp4").read_bytes() == b"a recording"
    done = edge_agent("replay", pictures, "--report", tmp_path / "no" / "report.html")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the report cannot be written: there is no such directory" in done.stderr


def test_a_reader_that_has_gone_costs_no_report(drive: tuple[Path, str], tmp_path: Path) -> None:
    path, text = drive
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_moving(path, pictures)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "replay", pictures, "--report", tmp_path / "report.html"],
        stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT_S, env=environment(),
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert text in (tmp_path / "report.html").read_text(encoding="utf-8")

import sys
from pathlib import Path

import cv2
import pytest

from benchmarks import lines, program, speed
from edge_agent import host
from edge_agent.camera.sim.camera import SimCamera
from tests.benchmarks.scripts import GOOD, script


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures of the simulated drive."""
    directory = tmp_path / "street"
    directory.mkdir()
    camera = SimCamera(name="sim", now=host.now, seed=1, seconds=1, pace="fast")
    camera.open()
    for number in range(2):
        frame = camera.read()
        assert frame is not None
        cv2.imwrite(str(directory / f"{number}.jpg"), frame.image)
    return directory


def figures_of(text: str) -> dict[str, list[str]]:
    """The table's rows: what, and its cells."""
    rows = (line.split("  ") for line in text.splitlines() if "  " in line)
    return {cells[0].strip(): [cell.strip() for cell in cells[1:] if cell.strip()] for cells in rows}


def test_pictures_beside_a_peer(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("image,x,y,w,h,text\nstreet/0.jpg,0,0,10,5,ABC123\nstreet/1.jpg,0,0,10,5,ABC128\n")
    peer = script(tmp_path, GOOD)
    arguments = ["--pictures", pictures, "--truth", truth, "--peer", peer, "--drive", "0"]
    assert speed.main([str(one) for one in arguments]) == 0
    out, err = capsys.readouterr()
    rows = figures_of(out)
    assert err == ""
    assert {"processor", "load", "versions", "threads"} <= rows.keys()
    for what, peers in (("decode, ms", "1.00"), ("detect, ms", "30.00"), ("read, ms", "10.00")):
        assert rows[what][2:] == [peers, peers]
        assert float(rows[what][0]) >= 0
    assert rows["whole pipeline, ms"][2] == "41.00"
    assert rows["pictures a second"][1] == "24.4"
    assert rows["pictures not read"] == ["0", "0"]
    assert rows["captured"][1] == "1.0000 (2 of 2)"
    assert rows["end to end"][1] == "0.5000 (1 of 2)"
    assert "detect + read, edge-agent / the peer: " in out
    assert "simulated drive" not in out


def test_the_drive_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main(["--drive", "1"]) == 0
    out, err = capsys.readouterr()
    rows = figures_of(out)
    assert err == ""
    assert "simulated drive, 1 s, 15 frames" in out
    for what in ("draw, ms (not counted)", "detect, ms", "track and vote, ms", "whole pipeline, ms"):
        assert float(rows[what][0]) > 0
    assert float(rows["peak memory, MiB (with drawing)"][0]) > 10


def test_the_drives_reads_are_on_disk_and_counted() -> None:
    command = [sys.executable, "-m", "benchmarks.timed_drive", "8", "1", "1"]
    ran = program.run(command, name="the drive", limit_s=300)
    end = lines.parse(ran.lines[-1], lines.DriveEnd, printed_by="the drive")
    frames = [lines.parse(line, lines.DriveFrame, printed_by="the drive") for line in ran.lines[:-1]]
    assert (ran.exit_status, ran.complaint, len(frames)) == (0, "", 120)
    assert end.committed > 0
    assert any(frame.commit is not None for frame in frames)


def test_a_drive_that_fails_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = script(tmp_path, "#!/bin/sh\necho working >&2\necho models: altered >&2\nexit 78\n", "python")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert speed.main(["--drive", "1"]) == 1
    assert capsys.readouterr().err == "speed: the drive failed: models: altered\n"


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["--pictures", "{tmp}/none"], 1, "{tmp}/none: there is no such directory"),
        (["--pictures", "{tmp}/empty"], 1, "{tmp}/empty: holds no picture"),
        (
            ["--pictures", "{tmp}/street", "--peer", "{tmp}/none.py"],
            1,
            "{tmp}/none.py: there is no such reader script",
        ),
        (
            ["--pictures", "{tmp}/street", "--truth", "{tmp}/none.csv"],
            1,
            "{tmp}/none.csv: the truth cannot be read: No such file or directory",
        ),
        (["--peer", "{tmp}/none.py"], 2, "--truth and --peer need --pictures (see --help)"),
        (["--drive", "0"], 2, "nothing to measure: give --pictures, or a --drive of some seconds (see --help)"),
        (["--drive", "-1"], 2, "--drive should be 0 to 3600 seconds (see --help)"),
        (["--drive", "nan"], 2, "--drive should be 0 to 3600 seconds (see --help)"),
        (["--threads", "0"], 2, "--threads should be 1 to 64 (see --help)"),
        (["--pics", "x"], 2, "unrecognized arguments: --pics x (see --help)"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_bad_input_is_one_clear_line(
    tmp_path: Path, arguments: list[str], status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    try:
        got = speed.main([one.format(tmp=tmp_path) for one in arguments])
    except SystemExit as left:
        got = int(left.code or 0)
    out, err = capsys.readouterr()
    assert (got, out) == (status, "")
    assert err == f"speed: {complaint.format(tmp=tmp_path)}\n"


def test_pictures_that_cannot_be_read_are_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert speed.main(["--pictures", str(tmp_path), "--drive", "0"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("speed: edge-agent could read none of the pictures: ")
    assert len(err.splitlines()) == 1

"""The report of a recording, also as a browser shows it."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.domain import Read, Reading, corrected
from edge_agent.errors import ReportError
from edge_agent.pipeline import Look
from edge_agent.reading.tracker import Rules, Tracker
from edge_agent.services import truth
from edge_agent.services.report import file as report_file
from edge_agent.services.report.page import page
from edge_agent.services.report.recorder import Recorder
from edge_agent.services.truth import TruePass
from tests import fakes

RULES = Rules(emit_after_s=1.5, emit_at_latest_s=3.0, min_evidence=1.1, min_plate_width_px=32, unsure_below=0.5)
BROWSER = shutil.which("chromium")
HEADLESS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def recorded(frames: Sequence[Sequence[Reading]]) -> tuple[Recorder, list[Read]]:
    """What a recorder notes, and the reads, of readings at 10 frames a second."""
    recorder, reads = Recorder(), list[Read]()
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds(), journal=recorder)
    for number, readings in enumerate(frames):
        frame = fakes.frame(number, number / 10)
        recorder.frame(frame)
        recorder.looked(frame, Look(tuple(one.detection for one in readings), tuple(readings), (), 1.0, 1.0))
        reads += fakes.shown(tracker, frame, readings)
    return recorder, corrected(reads + tracker.finish())


def street() -> list[list[Reading]]:
    """A plate that is read right, one that is read wrong, a glimpse, and one too narrow."""
    frames: list[list[Reading]] = [[] for _ in range(60)]
    for k in range(10):
        frames[k].append(fakes.reading("ABC123", x=50 + 10 * k))
        frames[20 + k].append(fakes.reading("WR0NG1", x=250, share=0.7))
    frames[40].append(fakes.reading("GLIMPSE", x=300))
    frames[41].append(fakes.reading("FAR", x=10, width=20))
    return frames


def test_a_missed_plate_comes_with_the_picture_halfway_and_what_is_most_like_it() -> None:
    missed = TruePass("GL1MPS3", 38, 44)
    recorder = Recorder(pictured=[missed.middle])
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds(), journal=recorder)
    for number in range(60):
        there = [fakes.reading("ABC123", x=20), fakes.reading("GLIMPSE", x=300)] if number == 40 else []
        frame = fakes.frame(number, number / 10)
        recorder.frame(frame)
        fakes.shown(tracker, frame, there)
    text = page("a", recorder, [], truth.judge([missed], []))
    assert list(recorder.pictures) == [41]
    card = text[text.index('<article class="missed">') :]
    assert 'alt="frame 41"' in card
    assert card.index(">GLIMPSE</a>") < card.index(">ABC123</a>")


def test_a_missed_plate_whose_frame_never_came_has_no_picture() -> None:
    passes = [TruePass("ABC123", 90, 99)]
    recorder = Recorder(pictured=[95])
    recorder.frame(fakes.frame(0, 0.0))
    text = page("a", recorder, [], truth.judge(passes, []))
    assert "Nothing was found then." in text
    assert "alt=" not in text


def judged(name: str = "street.mp4") -> str:
    recorder, reads = recorded(street())
    passes = [TruePass("ABC123", 0, 12), TruePass("R1GHT1", 18, 32), TruePass("GL1MPS3", 38, 44)]
    return page(name, recorder, reads, truth.judge(passes, reads))


def test_what_was_missed_and_wrong_comes_first() -> None:
    text = judged()
    places = [
        text.index(f'<span class="plate">{plate}</span>') for plate in ("R1GHT1", "GL1MPS3", "WR0NG1", "ABC123")
    ]
    assert places == sorted(places)
    assert "not in the truth" in text


def test_what_was_missed_is_on_the_timeline_too() -> None:
    assert judged().count(" missed</title>") == 2
    assert "<title>GL1MPS3 missed</title>" in judged()


def test_each_stage_says_what_it_left_out_and_why() -> None:
    text = judged()
    assert "narrower than min_plate_width_px, up to 20 px" in text
    assert "tracks: too little evidence" in text
    assert re.search(r'GLIMPSE</span> <span class="tag">too little evidence', text)


def test_nothing_narrow_has_no_width() -> None:
    recorder, reads = recorded([[fakes.reading("ABC123")]] * 5)
    assert '<td>narrower than min_plate_width_px</td><td class="number">0</td>' in page("a", recorder, reads, None)


def test_a_plate_read_wrong_is_told_from_one_that_was_missed() -> None:
    recorder, reads = recorded(street())
    passes = [TruePass("WRONGI", 18, 32), TruePass("GL1MPS3", 38, 44)]
    text = page("a", recorder, reads, truth.judge(passes, reads))
    assert re.search(r'GL1MPS3</span> <span class="tag">missed', text)
    assert re.search(r'WRONGI</span> <span class="tag">read as WR0NG1</span>.*?alt="plate WR0NG1"', text)


def test_a_plate_read_wrong_is_shown_where_the_picture_stood_still_in_between() -> None:
    recorder, reads = Recorder(), list[Read]()
    tracker = Tracker(rules=RULES, new_id=fakes.CountingIds(), journal=recorder)
    for number in range(60):
        frame = fakes.frame(number, number / 10)
        recorder.frame(frame)
        reads += fakes.shown(tracker, frame, [fakes.reading("WR0NG1")]) if number < 10 else tracker.stay(frame)
    reads = corrected(reads + tracker.finish())
    passes = [TruePass("WRONGI", 20, 30)]
    text = page("a", recorder, reads, truth.judge(passes, reads))
    assert 'WRONGI</span> <span class="tag">read as WR0NG1' in text


def test_frames_that_show_nothing_new_are_counted_apart() -> None:
    recorder, reads = recorded([[fakes.reading("ABC123")]] * 5)
    assert '<p class="soft">5 frames, 0.4 s of recording. ' in page("a", recorder, reads, None)
    recorder.frame(fakes.frame(5, 0.5))
    assert "6 frames, 0.5 s of recording; 1 of them not looked at, as" in page("a", recorder, reads, None)


def test_a_plate_that_the_truth_has_twice_is_right_twice() -> None:
    there = [[fakes.reading("ABC123")]] * 10
    recorder, reads = recorded([*there, *([[]] * 300), *there])
    passes = [TruePass("ABC123", 0, 9), TruePass("ABC123", 310, 319)]
    assert page("a", recorder, reads, truth.judge(passes, reads)).count('<article class="right"') == 2
    once = [TruePass("ABC123", 0, 400)]
    text = page("a", recorder, reads, truth.judge(once, reads))
    assert "<b>1</b>duplicates" in text
    assert text.count("a second time") == 2  # the card and the legend


def test_the_frames_shown_are_those_that_the_read_was_given_from() -> None:
    frames = [[fakes.reading("ABC123", width=60 if k < 40 else 110, share=0.8)] for k in range(60)]
    recorder, reads = recorded(frames)
    text = page("a", recorder, reads, None)
    last = reads[0].frame_numbers[1]
    shown = [int(number) for number in re.findall(r"#(\d+) ", text)]
    assert last < 40
    assert len(shown) == 10
    assert max(shown) <= last
    assert f"given from {reads[0].frames} frames up to {last}, evidence of " in text
    assert "; the 10 that counted most<" in text


def test_frames_that_have_no_vote_are_not_counted() -> None:
    recorder, reads = recorded([[fakes.reading("ABC123" if k % 4 else "", share=0.8)] for k in range(20)])
    assert "given from 15 of 20 frames up to 19" in page("a", recorder, reads, None)


def test_frames_that_were_not_read_again_are_told() -> None:
    recorder, reads = recorded([[fakes.reading("ABC123")]] * 10)
    text = page("a", recorder, reads, None)
    assert "given from 3 of 10 frames up to 9, 7 not read again as it was sure, evidence" in text
    assert 'as the text was sure and the plate as wide</td><td class="number">7</td>' in text


def test_texts_on_the_timeline_end_at_its_edge() -> None:
    recorder, reads = recorded([*([[]] * 96), *([[fakes.reading("ABC1234567")]] * 4)])
    begin = re.search(r'<text x="([\d.]+)" y="26">ABC1234567', page("a", recorder, reads, None))
    assert begin is not None
    assert float(begin[1]) + 10 * 9 <= 1000


def test_without_a_truth_nothing_is_called_right_or_wrong() -> None:
    recorder, reads = recorded(street())
    text = page("a.mp4", recorder, reads, None)
    assert text.count('<article class="read"') == 2
    assert 'class="right"' not in text
    assert "in the truth" not in text


def test_a_correction_names_what_was_said_first() -> None:
    frames = [
        [fakes.reading("A8C123" if k < 40 else "ABC123", share=0.75 if k < 40 else 0.97, width=50 + k)]
        for k in range(120)
    ]
    recorder, reads = recorded(frames)
    text = page("a.mp4", recorder, reads, None)
    assert text.count('<article class="read"') == 1
    assert "first read as A8C123" in text


@pytest.mark.parametrize("frames", [[], [[]], [[], [], []]])
def test_a_recording_that_shows_nothing(frames: list[list[Reading]]) -> None:
    recorder, reads = recorded(frames)
    assert "No plate was read." in page("empty.mp4", recorder, reads, None)


def test_a_name_cannot_become_markup() -> None:
    assert "<script>" not in judged('<script>alert("x")</script>.mp4')


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = judged()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert "url(" not in text


def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    video, device = tmp_path / "drive.mp4", Path("/dev/null")
    video.touch()
    for bad, why in (
        (tmp_path / "nowhere" / "r.html", "there is no such directory"),
        (device, "is no regular file"),
        (tmp_path, "is no regular file"),
        (video, "it is what is read"),
    ):
        with pytest.raises(ReportError, match=f"the report cannot be written: {why}"):
            report_file.target(bad, inputs=[video])
    assert device.is_char_device()


def test_a_link_is_followed_and_nothing_else_is_left(tmp_path: Path) -> None:
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.write_text("<!DOCTYPE html>old", encoding="utf-8")
    link.symlink_to(real)
    report_file.write(report_file.target(link, inputs=[]), "new")
    assert real.read_text(encoding="utf-8") == "new"
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="the report cannot be written: No such file or directory"):
        report_file.write(tmp_path / "gone" / "r.html", "new")


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1100, 400])
def test_a_browser_shows_it(tmp_path: Path, width: int) -> None:
    assert BROWSER is not None
    (tmp_path / "report.html").write_text(judged(), encoding="utf-8")
    shot = tmp_path / "shot.png"
    done = subprocess.run(
        [
            BROWSER, *HEADLESS, f"--user-data-dir={tmp_path}/profile", f"--window-size={width},1400",
            f"--screenshot={shot}", "--virtual-time-budget=2000", (tmp_path / "report.html").as_uri(),
        ],
        capture_output=True, timeout=60, check=False, text=True,
    )  # fmt: skip
    assert shot.exists(), done.stderr[-500:]
    image = cv2.imread(str(shot))
    assert image is not None
    # The green of a read that is right, the red of one that is not, and the plates' own gray patches.
    blue, green, red = (image[:, :, k].astype(int) for k in range(3))
    assert int(np.count_nonzero((green > red + 60) & (green > blue + 30))) > 500
    assert int(np.count_nonzero((red > green + 80) & (red > blue + 80))) > 500
    ground = image[-1, -1]
    assert np.count_nonzero((image != ground).any(axis=2)) > 0.1 * image.shape[0] * image.shape[1]

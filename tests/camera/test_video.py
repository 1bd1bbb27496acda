"""Videos of every container: what is whole is not called damaged, what is not is told."""

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge_agent.camera.container import inspect
from edge_agent.camera.files import FilesCamera
from edge_agent.camera.transport_stream import PACKET
from edge_agent.domain import Frame
from tests.camera.test_files import Clock, camera

NAMES = ("drive.mp4", "drive.mov", "drive.mkv", "drive.ts", "drive.avi", "drive.flv")
UNEVEN_MS = [0, *(int(one) for one in np.cumsum(np.random.default_rng(0).integers(20, 300, 59)))]
EVEN_MS = [50 * number for number in range(60)]


def encoded(path: Path, times_ms: Sequence[int], *, options: dict[str, str] | None = None) -> Path:
    """Noise whose frames have these times; every tenth is a key frame."""
    rng = np.random.default_rng(1)
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream("libx264", rate=20, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for at_ms in times_ms:
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8), format="bgr24")
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def played(path: Path) -> tuple[FilesCamera, list[Frame]]:
    source = camera(path, Clock())
    source.open()
    return source, list(iter(source.read, None))


def times(frames: Sequence[Frame]) -> list[float]:
    return [frame.stamp.monotonic_s - frames[0].stamp.monotonic_s for frame in frames]


@pytest.mark.parametrize("name", NAMES)
def test_frames_that_come_unevenly_are_no_damage(tmp_path: Path, name: str) -> None:
    source, frames = played(encoded(tmp_path / name, UNEVEN_MS))
    assert not source.damaged
    assert [frame.number for frame in frames] == list(range(60))
    assert times(frames) == pytest.approx([at / 1e3 for at in UNEVEN_MS], abs=0.02)
    assert source.length is not None
    assert source.done / source.length > 0.9


def test_a_video_in_fragments_is_no_damage(tmp_path: Path) -> None:
    path = encoded(tmp_path / "drive.mp4", UNEVEN_MS, options={"movflags": "frag_keyframe+empty_moov"})
    source, frames = played(path)
    assert (len(frames), source.damaged) == (60, False)


@pytest.mark.parametrize("name", ["drive.mkv", "drive.avi", "drive.mp4"])
def test_a_file_whose_end_is_missing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    path = encoded(tmp_path / name, EVEN_MS, options={"movflags": "faststart"} if name.endswith("mp4") else None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with caplog.at_level(logging.WARNING):
        source, frames = played(path)
    assert 20 < len(frames) < 60
    assert source.damaged
    of = " of 60" if name.endswith("mp4") else ""
    assert f"gives {len(frames)}{of} frames: the file is cut off or damaged" in caplog.text


@pytest.mark.parametrize("name", ["drive.mkv", "drive.mp4"])
def test_what_follows_damage_keeps_its_place_and_its_time(tmp_path: Path, name: str) -> None:
    path = encoded(tmp_path / name, EVEN_MS)
    content = bytearray(path.read_bytes())
    fifth = len(content) // 5
    content[fifth : 2 * fifth] = np.random.default_rng(0).bytes(fifth)
    path.write_bytes(content)
    source, frames = played(path)
    assert source.damaged
    assert len(frames) < 58
    assert frames[-1].number == 59
    assert [frame.number for frame in frames] == pytest.approx([20 * at for at in times(frames)], abs=0.1)


@pytest.mark.parametrize("name", ["drive.mkv", "drive.ts"])
def test_a_part_that_the_decoder_passes_over_is_told_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = encoded(tmp_path / name, EVEN_MS)
    content = path.read_bytes()
    fifth = len(content) // 5 // PACKET * PACKET
    path.write_bytes(
        content[:fifth] + content[2 * fifth :]
        if name.endswith("ts")
        else content[:fifth] + bytes(fifth) + content[2 * fifth :]
    )
    with caplog.at_level(logging.WARNING):
        source, frames = played(path)
    assert source.damaged
    assert f"gives {len(frames)} frames: the file is cut off or damaged" in caplog.text
    assert len(frames) < 55
    assert frames[-1].number == 59


def test_packets_with_a_time_before_them_are_a_transport_stream_too(tmp_path: Path) -> None:
    content = encoded(tmp_path / "drive.ts", EVEN_MS).read_bytes()
    packets = [bytes(4) + content[at : at + PACKET] for at in range(0, len(content), PACKET)]
    whole, holed = tmp_path / "whole.m2ts", tmp_path / "holed.m2ts"
    whole.write_bytes(b"".join(packets))
    holed.write_bytes(b"".join(packets[:50] + packets[57:]))
    assert not inspect(whole).broken
    assert inspect(holed).broken


def test_transport_streams_put_one_behind_the_other_are_whole(tmp_path: Path) -> None:
    content = encoded(tmp_path / "drive.ts", EVEN_MS).read_bytes()
    (tmp_path / "both.ts").write_bytes(content + content)
    assert not inspect(tmp_path / "both.ts").broken


def test_a_transport_stream_that_ends_within_a_packet_is_told(tmp_path: Path) -> None:
    path = encoded(tmp_path / "drive.ts", EVEN_MS)
    path.write_bytes(path.read_bytes()[:-100])
    assert inspect(path).broken


def test_a_beginning_that_is_damaged_counts_too(tmp_path: Path) -> None:
    path = encoded(tmp_path / "drive.mp4", EVEN_MS)
    content = bytearray(path.read_bytes())
    begin = content.find(b"mdat") + 4
    content[begin : len(content) // 3] = np.random.default_rng(0).bytes(len(content) // 3 - begin)
    path.write_bytes(content)
    _, frames = played(path)
    assert frames[0].number == 60 - len(frames) > 10
    assert frames[-1].number == 59


def test_a_jump_ahead_is_time_that_has_passed(tmp_path: Path) -> None:
    late = [at + (300_000 if number >= 30 else 0) for number, at in enumerate(EVEN_MS)]
    source, frames = played(encoded(tmp_path / "drive.mkv", late))
    assert not source.damaged
    assert times(frames) == pytest.approx([at / 1e3 for at in late], abs=0.02)
    assert [frame.number for frame in frames] == list(range(60))


def test_a_frame_now_and_then_keeps_its_times(tmp_path: Path) -> None:
    _, frames = played(encoded(tmp_path / "drive.mkv", [15_000 * number for number in range(12)]))
    assert times(frames) == pytest.approx([15 * number for number in range(12)], abs=0.02)


def test_a_jump_of_days_is_none(tmp_path: Path) -> None:
    far = [at + (10**9 if number >= 30 else 0) for number, at in enumerate(EVEN_MS)]
    _, frames = played(encoded(tmp_path / "drive.mkv", far))
    assert times(frames)[-1] == pytest.approx(59 / 20, abs=0.05)


def test_a_gap_of_minutes_is_not_waited_for(tmp_path: Path) -> None:
    late = [at + (300_000 if number >= 30 else 0) for number, at in enumerate(EVEN_MS)]
    clock = Clock()
    source = camera(encoded(tmp_path / "drive.mkv", late), clock, "recorded")
    source.open()
    stamps = times(list(iter(source.read, None)))
    assert stamps[30] - stamps[29] == pytest.approx(30, abs=0.1)
    assert stamps[-1] - stamps[30] == pytest.approx(29 / 20, abs=0.05)

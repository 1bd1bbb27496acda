"""`edge-agent replay` as a technician uses it, who tries a camera's settings on a recording."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent import host
from edge_agent.camera.sim.camera import SimCamera
from tests.cli.program import ROOT, edge_agent


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of the drive, in which plates pass near, ten frames a second."""
    folder = tmp_path_factory.mktemp("drive")
    camera = SimCamera(name="sim", now=host.now, seed=1, seconds=4, rate_fps=10, pace="fast")
    camera.open()
    for number, frame in enumerate(iter(camera.read, None)):
        cv2.imwrite(str(folder / f"{number:04}.png"), frame.image)
    return folder


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The shipped configuration with one more camera, to which no plate is wide enough."""
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "config", folder)
    agent = (folder / "agent.toml").read_text()
    (folder / "agent.toml").write_text(agent.replace("[mqtt]", "[mqtt]\ntls = false"))
    (folder / "cameras" / "far.toml").write_text('kind = "sim"\n[reading]\nmin_plate_width_px = 1900\n')
    return folder


def test_a_recording_is_read_as_a_camera_of_the_car_would(drive: Path, configuration: Path) -> None:
    texts = {}
    for camera in ("sim", "far"):
        done = edge_agent("replay", drive, "--jsonl", "--camera", camera, "--config", configuration)
        assert done.returncode == 0, done.stderr
        texts[camera] = [json.loads(line)["text"] for line in done.stdout.splitlines()]
    assert texts["sim"]
    assert texts["far"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--camera", "sim", "--threads", "2"), "--threads cannot stand beside --camera"),
        (("--camera", "sim", "--engine", "onnx"), "--engine cannot stand beside --camera"),
        ((), "--config needs --camera NAME beside it"),
    ],
    ids=["threads beside it", "engine beside it", "no camera"],
)
def test_options_that_do_not_go_together_are_one_line(
    tmp_path: Path, configuration: Path, options: tuple[str, ...], said: str
) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((90, 160, 3), np.uint8))
    done = edge_agent("replay", tmp_path, "--config", configuration, *options)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_secrets_and_other_cameras_need_not_be_right(drive: Path, configuration: Path) -> None:
    front = configuration / "cameras" / "front.toml"
    front.write_text('kind = "rtsp"\nurl = "rtsp://a/b"\ncredentials_file = "no"\n')
    agent = configuration / "agent.toml"
    agent.write_text(agent.read_text().replace("[mqtt]", '[mqtt]\npassword_file = "none"\nusername = "car"'))
    for camera in ("sim", "front"):
        done = edge_agent("replay", drive, "--jsonl", "--camera", camera, "--config", configuration)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_page_names_the_camera_and_its_settings(drive: Path, configuration: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    labels = tmp_path / "labels.csv"
    labels.write_text(f"clip,plate,first_visible,last_visible\n{drive.name},ABC123,500,600\n")
    done = edge_agent(
        "replay", drive, "--camera", "far", "--config", configuration, "--report", page, "--truth", labels
    )
    assert done.returncode == 0
    assert f"Read as far of {configuration} would: reading.min_plate_width_px = 1900.<" in page.read_text()
    assert "1 plate first seen after the last frame, 39" in done.stderr


def test_a_camera_that_is_not_there_is_said_with_those_that_are(tmp_path: Path, configuration: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((90, 160, 3), np.uint8))
    done = edge_agent("replay", tmp_path, "--config", configuration, "--camera", "front")
    assert done.returncode == 78
    assert done.stderr == f"edge-agent: {configuration}: there is no camera 'front', only far, sim\n"
    agent = configuration / "agent.toml"
    agent.write_text(agent.read_text().replace("[mqtt]", '[mqtt]\npassword_file = "none"\nusername = "car"'))
    done = edge_agent("replay", tmp_path, "--config", configuration, "--camera", "front")
    assert "there is no camera 'front', only far, sim" in done.stderr.splitlines()[0]


def test_what_is_wrong_with_the_configuration_is_said(tmp_path: Path, configuration: Path) -> None:
    (configuration / "cameras" / "far.toml").write_text('kind = "sim"\n[reading]\nmin_width = 40\n')
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((90, 160, 3), np.uint8))
    done = edge_agent("replay", tmp_path, "--config", configuration, "--camera", "far")
    assert done.returncode == 78
    assert "cameras/far.toml:3: reading.min_width: unknown key" in done.stderr

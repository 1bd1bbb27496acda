"""Makes the pictures of the documentation: python docs/pictures.py."""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from edge_agent import host, wiring
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.services import truth
from edge_agent.vision.annotate import annotate
from edge_agent.vision.patch import jpeg

HERE = Path(__file__).parent
FRAMES_PER_SECOND = 10.0  # as a directory of pictures is replayed


def drive() -> bytes:
    """The frame of the simulated drive with the most plates read for certain, annotated as `read` does it."""
    reading = ReadingSettings()
    pipeline = wiring.pipeline(models=ModelSettings(), reading=reading, tracking=TrackingSettings())
    camera = SimCamera(name="sim", now=host.now, seed=1, seconds=40, pace="fast")
    camera.open()
    best, picture = 0.0, b""
    for frame in iter(camera.read, None):
        readings = [r for r in pipeline.look(frame.image).readings if r.characters.confidence > 0.8]
        worth = len(readings) + max((r.detection.box.width for r in readings), default=0) / 1000
        if worth > best:
            best, picture = worth, jpeg(annotate(frame.image, readings, unsure_below=reading.unsure_below))
    return picture


def report() -> bytes:
    """The report of the simulated drive as chromium shows it."""
    with tempfile.TemporaryDirectory() as folder:
        drive, labels, file, shot = (
            Path(folder) / one for one in ("simulated drive", "labels.csv", "page.html", "shot.png")
        )
        drive.mkdir()
        camera = SimCamera(name="sim", now=host.now, seed=1, seconds=30, rate_fps=FRAMES_PER_SECOND, pace="fast")
        camera.open()
        for frame in iter(camera.read, None):
            cv2.imwrite(str(drive / f"{frame.number:04}.png"), frame.image)
        rows = [
            f"{drive.name},{one.text},{one.sightings[0].frame},{one.sightings[-1].frame}"
            for one in camera.truth()
            if len(one.readable(width_px=40)) > 1
        ]
        labels.write_text("\n".join((",".join(truth.COLUMNS), *rows)))
        subprocess.run(
            [sys.executable, "-m", "edge_agent", "replay", drive, "--truth", labels, "--report", file],
            check=True, capture_output=True,
        )  # fmt: skip
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
             "--window-size=1100,1300", f"--screenshot={shot}", file.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
        return jpeg(np.asarray(cv2.imread(str(shot)), np.uint8))


if __name__ == "__main__":
    cv2.setNumThreads(1)
    for name, made in (("drive.jpg", drive()), ("report.jpg", report())):
        (HERE / name).write_bytes(made)
        print(f"{HERE / name} written")

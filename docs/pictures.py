"""Makes the pictures of the documentation: python docs/pictures.py."""

import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

from edge_agent import host, wiring
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Read, corrected, folded
from edge_agent.services import truth
from edge_agent.services.report.page import page
from edge_agent.services.report.recorder import Recorder
from edge_agent.vision.annotate import annotate
from edge_agent.vision.patch import jpeg

HERE = Path(__file__).parent


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
    recorder = Recorder()
    pipeline = wiring.pipeline(
        models=ModelSettings(), reading=ReadingSettings(), tracking=TrackingSettings(), journal=recorder
    )
    camera = SimCamera(name="sim", now=host.now, seed=1, seconds=30, pace="fast")
    camera.open()
    reads: list[Read] = []
    for frame in iter(camera.read, None):
        recorder.frame(frame)
        reads += pipeline.step(frame, looked=recorder.looked)
    reads = corrected(reads + pipeline.finish())
    passes = [
        truth.TruePass(folded(one.text), one.sightings[0].frame, one.sightings[-1].frame)
        for one in camera.truth()
        if len(one.readable(width_px=40)) > 1
    ]
    text = page("simulated drive", recorder, reads, passes, truth.judge(passes, reads))
    with tempfile.TemporaryDirectory() as folder:
        file, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
        file.write_text(text, encoding="utf-8")
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

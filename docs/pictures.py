"""Makes the pictures of the documentation: python docs/pictures.py."""

from pathlib import Path

import cv2

from edge_agent import host, wiring
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.vision.annotate import annotate, jpeg

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


if __name__ == "__main__":
    cv2.setNumThreads(1)
    (HERE / "drive.jpg").write_bytes(drive())
    print(f"{HERE / 'drive.jpg'} written")

"""`edge-agent replay`: a recording through the pipeline of the car, every frame."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from edge_agent import host, wiring
from edge_agent.camera.files import FilesCamera
from edge_agent.camera.pace import Pace
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Read
from edge_agent.services.report.recorder import Recorder


def recording(path: Path, *, pace: Pace) -> FilesCamera:
    """A video or a directory of pictures as a camera that gives every frame, open. Raises CameraError."""
    camera = FilesCamera(name="replay", path=path, pace=pace, now=host.now)
    camera.open()
    return camera


def replay(
    camera: FilesCamera, *, models: ModelSettings, recorder: Recorder | None, advance: Callable[[float], None]
) -> Iterator[Read]:
    """Give each vehicle pass of a recording, and each correction. Raises CameraError.

    `advance` is told after each frame how much of the recording's length is done.
    """
    pipeline = wiring.pipeline(
        models=models, reading=ReadingSettings(), tracking=TrackingSettings(), journal=recorder
    )
    try:
        for frame in iter(camera.read, None):
            yield from pipeline.step(frame, looked=recorder.looked) if recorder else pipeline.step(frame)
            advance(camera.done)
        yield from pipeline.finish()
    finally:
        camera.close()


def as_json(read: Read) -> str:
    """One line of `replay --jsonl`."""
    return json.dumps(
        {
            "text": read.text,
            "confidence": round(read.confidence, 3),
            "characters": [round(share, 3) for share in read.character_confidences],
            "candidates": [{"text": one.text, "confidence": round(one.confidence, 3)} for one in read.candidates],
            "region": asdict(read.region) if read.region else None,
            "box": [round(edge, 1) for edge in read.box],
            "frames": list(read.frame_numbers),
            "id": str(read.id),
        }
    )


def as_line(read: Read) -> str:
    """What a person is shown."""
    first, last = read.frame_numbers
    return (
        f"{read.text:<10} confidence {read.confidence:.2f}  frames {first}-{last} ({read.frames} read)"
        f"  plate {read.box.width:.0f}x{read.box.height:.0f} px"
    )

"""`edge-agent check`: what would keep a valid configuration from working on this computer."""

import os
from collections.abc import Callable
from pathlib import Path

from edge_agent import wiring
from edge_agent.camera.rtsp import read_credentials
from edge_agent.config.loader import Configuration
from edge_agent.config.settings import CameraSettings, FilesCamera, MqttSettings, RtspCamera, StateSettings
from edge_agent.errors import EdgeAgentError
from edge_agent.mqtt import tls_context
from edge_agent.outbox import read_status


def faults(configuration: Configuration) -> list[str]:
    """Every file that cannot be used, a line each; no camera is opened and no broker called."""
    agent = configuration.agent
    tried: list[Callable[[], object]] = [
        lambda: wiring.pipeline(models=agent.models, reading=agent.reading, tracking=agent.tracking),
        lambda: _check_broker(agent.mqtt),
        lambda: _check_state(agent.state),
        *(lambda camera=camera: _check_camera(camera) for camera in configuration.cameras),
    ]
    found = []
    for attempt in tried:
        try:
            attempt()
        except EdgeAgentError as error:
            found += str(error).splitlines()
    return found


def _check_broker(mqtt: MqttSettings) -> None:
    if (tls := wiring.broker(mqtt).tls) is not None:
        tls_context(tls)


def _check_state(state: StateSettings) -> None:
    there = _nearest(state.directory)
    if not os.access(there, os.W_OK | os.X_OK):
        raise EdgeAgentError(f"{state.directory}: this user cannot write to {there}; the service's user must")
    outbox = state.directory / wiring.OUTBOX_FILE
    if outbox.exists():
        read_status(outbox)


def _nearest(directory: Path) -> Path:
    """The directory, or that of its parents that exists."""
    return next(path for path in (directory, *directory.parents) if path.exists())


def _check_camera(settings: CameraSettings) -> None:
    match settings:
        case FilesCamera():
            camera = wiring.camera(settings)
            camera.open()
            camera.close()
        case RtspCamera() if settings.credentials_file is not None:
            read_credentials(settings.credentials_file)

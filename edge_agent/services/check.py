"""`edge-agent check`: what would keep valid settings from working on this computer."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edge_agent import wiring
from edge_agent.camera.rtsp import read_credentials
from edge_agent.camera.v4l2 import why_no_camera
from edge_agent.config.layers import Layers
from edge_agent.config.lines import KeyPath
from edge_agent.config.loader import Inspection
from edge_agent.config.settings import (
    AgentSettings,
    CameraSettings,
    FilesCamera,
    RtspCamera,
    StateSettings,
    V4l2Camera,
)
from edge_agent.errors import BrokerError, CameraError, EdgeAgentError, StateDirectoryError
from edge_agent.mqtt import Tls, common_name, tls_context
from edge_agent.outbox import read_status

Trial = tuple[KeyPath, Callable[[], object]]
"""A key, and what must succeed for its value to work."""


def faults(found: Inspection) -> list[str]:
    """Every sound setting that names what cannot be used, a line each; no device is opened and no broker called."""
    lines = _failed(_agent_trials(found.agent), found.agent_layers) if found.agent else []
    for camera, layers in found.cameras:
        lines += _failed(_camera_trials(camera), layers)
    return lines


def _failed(trials: Iterable[Trial], layers: Layers) -> list[str]:
    lines = []
    for key, attempt in trials:
        try:
            attempt()
        except EdgeAgentError as error:
            lines += [f"{layers.place(key)}: {'.'.join(map(str, key))}: {line}" for line in str(error).splitlines()]
    return lines


def _agent_trials(agent: AgentSettings) -> Iterator[Trial]:
    models, mqtt = agent.models, agent.mqtt
    yield (
        ("models", "directory") if models.directory else ("models",),
        lambda: wiring.pipeline(models=models, reading=agent.reading, tracking=agent.tracking),
    )
    if mqtt.ca_file is not None:
        yield ("mqtt", "ca_file"), lambda: tls_context(Tls(ca_file=mqtt.ca_file))
    if mqtt.certificate_file is not None:
        yield ("mqtt", "certificate_file"), lambda: _check_identity(agent)
    yield ("mqtt", "password_file"), lambda: wiring.broker(mqtt)
    yield ("state", "directory"), lambda: _check_state(agent.state)


def _check_identity(agent: AgentSettings) -> None:
    certificate, vehicle = agent.mqtt.certificate_file, agent.vehicle.id
    if certificate is not None and (name := common_name(certificate, agent.mqtt.key_file)) != vehicle:
        raise BrokerError(f"{certificate}: its common name is {name!r}, but vehicle.id is {vehicle!r}")


def _check_state(state: StateSettings) -> None:
    there = _nearest(state.directory)
    if not os.access(there, os.W_OK | os.X_OK):
        raise StateDirectoryError(f"{state.directory}: this user cannot write to {there}; the service's user must")
    outbox = state.directory / wiring.OUTBOX_FILE
    if outbox.exists():
        read_status(outbox)


def _nearest(directory: Path) -> Path:
    """The directory, or that of its parents that exists."""
    return next(path for path in (directory, *directory.parents) if path.exists())


def _camera_trials(settings: CameraSettings) -> Iterator[Trial]:
    match settings:
        case FilesCamera():
            yield ("path",), lambda: _check_recording(settings)
        case RtspCamera(credentials_file=Path() as file):
            yield ("credentials_file",), lambda: read_credentials(file)
        case V4l2Camera():
            yield ("device",), lambda: _check_device(settings.device)


def _check_recording(settings: FilesCamera) -> None:
    camera = wiring.camera(settings)
    try:
        camera.open()
    except CameraError as error:  # which camera it is, the place says
        raise CameraError(str(error).removeprefix(f"camera {settings.name}: ")) from None
    camera.close()


def _check_device(device: Path) -> None:
    if wrong := why_no_camera(device):
        raise CameraError(f"{device}: {wrong}")

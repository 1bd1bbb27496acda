"""`edge-agent check`: what would keep valid settings from working on this computer."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from edge_agent import wiring
from edge_agent.camera.rtsp import read_credentials
from edge_agent.camera.v4l2 import why_no_camera
from edge_agent.config.layers import Layers
from edge_agent.config.lines import KeyPath
from edge_agent.config.loader import Inspection
from edge_agent.config.settings import (
    AgentSettings,
    ExportSettings,
    FilesCamera,
    ModelSettings,
    MqttSettings,
    ReadingSettings,
    RtspCamera,
    Settings,
    StateSettings,
    TrackingSettings,
    V4l2Camera,
)
from edge_agent.errors import (
    BrokerError,
    CameraError,
    ConfigurationError,
    EdgeAgentError,
    OutboxDamaged,
    OutboxError,
    OutboxOutdated,
    StateDirectoryError,
)
from edge_agent.mqtt import Tls, expiry_warning, identity, tls_context
from edge_agent.outbox import MOST_OF_DISK, check_pages, check_regular, is_empty, read_status, why_not_ours
from edge_agent.services.outbox import try_to_encrypt

MOST_OF_FREE = 0.9
"""That the outbox may fill: SQLite and its log take more than the reads do."""

Trial = tuple[KeyPath, Callable[[], object]]
"""A key of some settings, and what must succeed for its value to work."""


def faults(found: Inspection) -> list[str]:
    """Every sound setting that names what cannot be used, a line each; no device is opened and no broker called."""
    lines = []
    for name, table in found.agent_tables.items():
        lines += _failed(table, found.agent_layers, inside=(name,))
    if found.agent is not None:
        lines += _failed(found.agent, found.agent_layers)
    for camera, layers in found.cameras:
        lines += _failed(camera, layers)
    return list(dict.fromkeys(lines))


def cautions(found: Inspection, now: datetime) -> list[str]:
    """What will work, but a person should know, a line each."""
    if found.agent is None:
        return []
    lines = []
    outbox = found.agent.state.directory / wiring.OUTBOX_FILE
    with suppress(ConfigurationError, OutboxError):  # faults tell of those
        try:
            if _is_there(outbox):
                check_pages(outbox, key=wiring.outbox_key(found.agent.state))
                if is_empty(outbox):
                    lines.append(f"outbox {outbox}: is a file of 0 bytes: the service begins a new one in it")
        except OutboxDamaged:
            lines.append(f"outbox {outbox}: is damaged: what can be read of it is saved when the service starts")
        except OutboxOutdated as error:
            lines.append(str(error))
    mqtt = found.agent.mqtt
    with suppress(BrokerError):
        if mqtt.certificate_file and (line := expiry_warning(identity(mqtt.certificate_file, mqtt.key_file), now)):
            lines.append(line)
    return lines


def _failed(settings: Settings, layers: Layers, *, inside: KeyPath = ()) -> list[str]:
    lines = []
    for key, attempt in _trials(settings):
        try:
            attempt()
        except EdgeAgentError as error:
            path = (*inside, *key)
            lines += [f"{layers.place(path)}: {'.'.join(map(str, path))}: {one}" for one in str(error).splitlines()]
    return lines


def _trials(settings: Settings) -> Iterator[Trial]:
    match settings:
        case AgentSettings():
            yield ("mqtt", "certificate_file"), lambda: _check_identity(settings)
            yield ("vehicle", "id"), lambda: _check_owner(settings)
        case ModelSettings():
            yield ("directory",) if settings.directory else (), lambda: _check_models(settings)
        case MqttSettings():
            own = Tls(certificate_file=settings.certificate_file, key_file=settings.key_file)
            yield ("ca_file",), lambda: tls_context(Tls(ca_file=settings.ca_file))
            yield ("certificate_file",), lambda: tls_context(own)
            yield ("password_file",), lambda: wiring.broker(settings)
        case StateSettings():
            yield ("key_file",), lambda: wiring.outbox_key(settings)
            yield ("directory",), lambda: _check_state(settings)
            yield ("quota_mb",), lambda: _check_quota(settings)
        case ExportSettings(certificate_file=Path() as file):
            yield ("certificate_file",), lambda: try_to_encrypt(file)
        case FilesCamera():
            yield ("path",), lambda: _check_recording(settings)
        case RtspCamera(credentials_file=Path() as file):
            yield ("credentials_file",), lambda: read_credentials(file)
        case V4l2Camera():
            yield ("device",), lambda: _check_device(settings.device)


def _check_models(models: ModelSettings) -> None:
    wiring.pipeline(models=models, reading=ReadingSettings(), tracking=TrackingSettings())


def _check_identity(agent: AgentSettings) -> None:
    certificate, vehicle = agent.mqtt.certificate_file, agent.vehicle.id
    if certificate is not None and (name := identity(certificate, agent.mqtt.key_file).common_name) != vehicle:
        raise BrokerError(f"{certificate}: its common name is {name!r}, but vehicle.id is {vehicle!r}")


def _check_owner(agent: AgentSettings) -> None:
    outbox = agent.state.directory / wiring.OUTBOX_FILE
    try:
        found = read_status(outbox)
    except (OutboxError, ConfigurationError, StateDirectoryError):  # the state directory's trial says why
        return
    if wrong := why_not_ours(found, wiring.owner(agent.vehicle)):
        raise StateDirectoryError(f"{outbox}: {wrong}")


def _check_state(state: StateSettings) -> None:
    there = _nearest(state.directory)
    if not os.access(there, os.W_OK | os.X_OK):
        raise StateDirectoryError(f"{state.directory}: this user cannot write to {there}; the service's user must")
    outbox = state.directory / wiring.OUTBOX_FILE
    check_regular(outbox)
    if _is_there(outbox):
        if not os.access(outbox, os.R_OK | os.W_OK):
            raise StateDirectoryError(f"{outbox}: this user cannot write it; the service's user must")
        # Of the key its own trial tells; the other two are mended at the start, see cautions.
        with suppress(ConfigurationError, OutboxDamaged, OutboxOutdated):
            read_status(outbox, key=wiring.outbox_key(state))


def _check_quota(state: StateSettings) -> None:
    """The quota must end before the disk does: on a full disk even deletes fail."""
    disk = shutil.disk_usage(_nearest(state.directory))
    outbox = state.directory / wiring.OUTBOX_FILE
    ours = outbox.stat().st_size if _is_there(outbox) else 0
    free_mb, most_mb = int((disk.free + ours) / 1e6), int(MOST_OF_DISK * disk.total / 1e6)
    if state.quota_mb > most_mb:
        raise StateDirectoryError(
            f"{state.quota_mb} MB are more than {MOST_OF_DISK:.0%} of the disk of {state.directory}"
            f" ({disk.total / 1e6:.0f} MB): at most {most_mb}"
        )
    if state.quota_mb > MOST_OF_FREE * free_mb:
        fits = f"at most {fits_mb}, or " if (fits_mb := int(MOST_OF_FREE * free_mb)) else ""
        raise StateDirectoryError(
            f"{state.quota_mb} MB are more than {MOST_OF_FREE:.0%} of what is free for them on the disk of"
            f" {state.directory} ({free_mb} MB): {fits}make room there"
        )


def _is_there(file: Path) -> bool:
    """Whether there is a file that this user can see: its directory may be the service's alone."""
    try:
        return file.exists()
    except PermissionError:
        return False


def _nearest(directory: Path) -> Path:
    """The directory, or that of its parents that exists."""
    return next(path for path in (directory, *directory.parents) if _is_there(path))


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

"""Reads a configuration directory: all of it, every problem at once.

Defaults in code < agent.toml < cameras/NAME.toml < tuned/NAME.toml in the state directory, the tuner's own.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from edge_agent.config.layers import Document, Layers, MissingError, Place, UnreadableError, read
from edge_agent.config.problems import problem_lines, wrong_kind
from edge_agent.config.settings import (
    CAMERA_KINDS,
    AgentSettings,
    CameraSettings,
    ModelSettings,
    ReadingSettings,
    Settings,
    TrackingSettings,
)
from edge_agent.domain import MOST_CAMERAS
from edge_agent.errors import ConfigurationError

INHERITED = ("reading", "tracking")
"""Tables of agent.toml that hold for every camera whose own file does not say otherwise."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

Model = TypeVar("Model", bound=Settings)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of one car, checked; the layers tell origins, the warnings are lines to log at the start."""

    agent: AgentSettings
    cameras: tuple[CameraSettings, ...]
    agent_layers: Layers
    camera_layers: Mapping[str, Layers]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What of a directory is sound, of agent.toml each table too, and every problem of the rest, a line each."""

    agent: AgentSettings | None
    agent_tables: Mapping[str, Settings]
    agent_layers: Layers
    cameras: tuple[tuple[CameraSettings, Layers], ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def load(directory: Path) -> Configuration:
    """Read agent.toml, cameras/*.toml and the tuner's files. Raises ConfigurationError with every problem."""
    found = inspect(directory)
    if found.agent is None or found.problems:
        raise ConfigurationError(found.problems)
    return Configuration(
        agent=found.agent,
        cameras=tuple(camera for camera, _ in found.cameras),
        agent_layers=found.agent_layers,
        camera_layers={camera.name: layers for camera, layers in found.cameras},
        warnings=found.warnings,
    )


def reads_with(directory: Path, name: str) -> tuple[ModelSettings, ReadingSettings, TrackingSettings]:
    """What one camera reads with; what else is wrong, as with secrets, is no matter. Raises ConfigurationError."""
    found = inspect(directory)
    networks = found.agent_tables.get("models")
    for camera, layers in found.cameras:
        if camera.name == name and isinstance(networks, ModelSettings):
            tables = layers.values()
            with suppress(ValidationError):
                return (
                    networks,
                    ReadingSettings.model_validate(tables.get("reading", {})),
                    TrackingSettings.model_validate(tables.get("tracking", {})),
                )
    names = [camera.name for camera, _ in found.cameras]
    unknown = (
        [] if name in names else [f"{directory}: there is no camera {name!r}, only {', '.join(names) or 'none'}"]
    )
    raise ConfigurationError([*unknown, *found.problems])


def inspect(directory: Path) -> Inspection:
    """Read what `load` reads, which succeeds where no problem is found."""
    if not directory.is_dir():
        reason = "is not a directory" if directory.exists() else "there is no such directory"
        problem = f"{directory}: {reason}"
        return Inspection(
            agent=None, agent_tables={}, agent_layers=Layers(()), cameras=(), problems=(problem,), warnings=()
        )
    return _Loader(directory).inspect()


class _Loader:
    """Collects problems and warnings while it reads one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._problems: list[str] = []
        self._warnings: list[str] = []

    def inspect(self) -> Inspection:
        document = self._read("agent.toml")
        layers = Layers((document or Document("agent.toml", {}, {}),))
        agent = self._validate(AgentSettings, layers) if document else None
        cameras = self._cameras(layers.documents[0].only(INHERITED))
        if agent is not None:
            self._warn(agent, layers)
            cameras = [self._tuned(agent.state.directory, camera, own) for camera, own in cameras]
        return Inspection(
            agent=agent,
            agent_tables=self._sound_tables(layers) if document else {},
            agent_layers=layers,
            cameras=tuple(cameras),
            problems=tuple(dict.fromkeys(self._problems)),
            warnings=tuple(self._warnings),
        )

    def _read(self, name: str) -> Document | None:
        try:
            return read(self._directory / name, name)
        except UnreadableError as error:
            self._problems.append(str(error))
            return None

    def _sound_tables(self, layers: Layers) -> dict[str, Settings]:
        values, sound = layers.values(), {}
        for name, field in AgentSettings.model_fields.items():
            table = field.annotation
            if isinstance(table, type) and issubclass(table, Settings):
                with suppress(ValidationError):
                    # What is in a file that every user can open may be wrong as well.
                    context = {"directory": self._directory, "open_to_all": True}
                    sound[name] = table.model_validate(values.get(name, {}), context=context)
        return sound

    def _validate(self, model: type[Model], layers: Layers) -> Model | None:
        try:
            return model.model_validate(layers.values(), context={"directory": self._directory})
        except ValidationError as error:
            self._problems += problem_lines(error, model, layers)
            return None

    def _cameras(self, inherited: Document) -> list[tuple[CameraSettings, Layers]]:
        paths = sorted(path for path in self._directory.glob("cameras/*.toml") if not path.name.startswith("."))
        cameras = self._directory / "cameras"
        if cameras.is_dir() and not os.access(cameras, os.R_OK | os.X_OK):
            self._problems.append("cameras: this user may not read the directory")
            return []
        self._check_others(cameras=len(paths))
        if not paths:
            self._problems.append(
                "cameras: there is no camera: copy a file from cameras/examples to cameras/*.toml"
            )
        if len(paths) > MOST_CAMERAS:
            self._problems.append(f"cameras: {len(paths)} cameras are too many: at most {MOST_CAMERAS}")
        found = []
        named: dict[str, Place] = {}
        for path in paths:
            document = self._read(f"cameras/{path.name}")
            if document is None:
                continue
            layers = Layers((inherited, document.with_default("name", path.stem)))
            self._check_name(layers, named)
            camera = self._camera(layers)
            if camera is not None:
                found.append((camera, layers))
        return found

    def _check_others(self, *, cameras: int) -> None:
        """Name the files that were perhaps meant to be cameras; a dot or a ~ marks those of an editor."""
        for path in sorted(self._directory.glob("cameras/*")):
            if path.suffix == ".toml" or path.is_dir() or path.name.startswith(".") or path.name.endswith("~"):
                continue
            line = f"cameras/{path.name}: not read: its name should end in .toml, in small letters"
            meant = path.suffix.lower() == ".toml" or not cameras
            (self._problems if meant else self._warnings).append(line)

    def _camera(self, layers: Layers) -> CameraSettings | None:
        kind = layers.values().get("kind")
        model = CAMERA_KINDS.get(kind) if isinstance(kind, str) else None
        if model is None:
            self._problems.append(f"{layers.place(('kind',))}: {wrong_kind(kind)}")
            return None
        return self._validate(model, layers) or self._as_far_as_sound(model, layers)

    def _as_far_as_sound(self, model: type[Model], layers: Layers) -> Model | None:
        """What the sound settings of a camera say, so that a wrong one hides nothing of what they name."""
        values, context = layers.values(), {"directory": self._directory, "open_to_all": True}
        try:
            return model.model_validate(values, context=context)
        except ValidationError as error:
            wrong = {one["loc"][0] for one in error.errors() if one["loc"]}
        with suppress(ValidationError):
            return model.model_validate({k: v for k, v in values.items() if k not in wrong}, context=context)
        return None

    def _check_name(self, layers: Layers, named: dict[str, Place]) -> None:
        name, place = layers.values()["name"], layers.place(("name",))
        if not isinstance(name, str):
            return
        if name.lower() in named:
            self._problems.append(f"{place}: name: {name!r} is already the camera of {named[name.lower()]}")
        named.setdefault(name.lower(), place)

    def _tuned(self, state: Path, camera: CameraSettings, own: Layers) -> tuple[CameraSettings, Layers]:
        """Lay the tuner's file over a camera; a broken one is left out and reported: the car keeps reading."""
        path = state / "tuned" / f"{camera.name}.toml"
        try:
            document = read(path, str(path))
        except MissingError:
            return camera, own
        except UnreadableError as error:
            self._warnings.append(f"{error}; this file is ignored")
            return camera, own
        layers = Layers((*own.documents, document))
        fixed = [key for key in ("kind", "name") if key in document.values]
        problems = [f"{layers.place((key,))}: {key}: cannot be tuned" for key in fixed]
        try:
            tuned = type(camera).model_validate(layers.values(), context={"directory": self._directory})
        except ValidationError as error:
            problems += problem_lines(error, type(camera), layers)
        if not problems:
            return tuned, layers
        self._warnings += [f"{problem}; {path} is ignored" for problem in problems]
        return camera, own

    def _warn(self, agent: AgentSettings, layers: Layers) -> None:
        """Say what is allowed but risky."""
        risks = {
            ("state", "key_file"): agent.state.key_file is None
            and "is not set: reads lie on the disk unencrypted, for whoever takes it out of the car",
            ("mqtt", "confirm"): agent.mqtt.confirm == "broker"
            and "a read leaves the disk once the broker has it: what the broker drops is lost",
            ("mqtt", "tls"): not agent.mqtt.tls
            and agent.mqtt.host not in _LOOPBACK
            and "reads travel unencrypted: everyone on the way can read them",
            ("logging", "level"): agent.logging.level == "DEBUG" and "the plates read are written to the log",
        }
        self._warnings += [f"{layers.place(key)}: {'.'.join(key)}: {risk}" for key, risk in risks.items() if risk]

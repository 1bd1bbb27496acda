"""Writes the settings in force, as TOML, with the place that each came from."""

import json
from pathlib import Path

from pydantic import BaseModel

from edge_agent.config.layers import Layers
from edge_agent.config.lines import KeyPath
from edge_agent.config.loader import Configuration

ORIGIN_COLUMN = 56


def show(configuration: Configuration, *, origin: bool = False) -> list[str]:
    """Give the lines of one TOML document; of secrets the file's path alone, with origin each value's place."""
    lines = _table(configuration.agent, configuration.agent_layers, header="", path=(), origin=origin)
    for camera in configuration.cameras:
        layers = configuration.camera_layers[camera.name]
        lines += _table(camera, layers, header=f"cameras.{camera.name}", path=(), origin=origin)
    return lines[1:]


def _table(table: BaseModel, layers: Layers, *, header: str, path: KeyPath, origin: bool) -> list[str]:
    lines = ["", f"[{header}]"] if header else []
    inner = []
    for key, value in table:
        key_path = (*path, key)
        if isinstance(value, BaseModel):
            name = f"{header}.{key}" if header else key
            inner += _table(value, layers, header=name, path=key_path, origin=origin)
            continue
        line = f"# {key} is not set" if value is None else f"{key} = {_written(value)}"
        place = layers.origin(key_path) or "default"
        lines.append(f"{line:<{ORIGIN_COLUMN}} # {place}" if origin and value is not None else line)
    return lines + inner


def _written(value: object) -> str:
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(str(value), ensure_ascii=False) if isinstance(value, Path) else repr(value)

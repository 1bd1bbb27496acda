"""Put model files and their manifest in place, whole or not at all."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.files import replace

MANIFEST = "models.toml"
KEYS = (
    "file", "sha256", "code_sha256", "settings_sha256", "kind", "input", "charset", "margin", "regions",
    "region_from", "threshold", "threshold_if_read", "version", "data", "licence", "measured",
)  # fmt: skip
DATA = "see models/README.md"
LICENCE = "Apache-2.0; trained on the sources named in models/README.md"


@dataclass(frozen=True, slots=True)
class Entry:
    """One model's table in the manifest; None where a kind has no such key."""

    file: str
    sha256: str
    kind: str
    input: tuple[int, int]
    version: str
    measured: str
    data: str = DATA
    licence: str = LICENCE
    threshold: float | None = None
    threshold_if_read: float | None = None
    charset: str | None = None
    margin: float | None = None
    regions: tuple[str, ...] | None = None
    region_from: float | None = None
    code_sha256: str | None = None
    settings_sha256: str | None = None


def digest(file: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def put(made: Path, folder: Path) -> None:
    """Put a folder's files, its manifest last, in place of another's, all or none. Raises DataError."""
    files = sorted((one for one in made.rglob("*") if one.is_file()), key=lambda one: one.name == MANIFEST)
    replace({folder / one.relative_to(made): one.read_bytes() for one in files})


def write_manifest(folder: Path, entries: Mapping[str, Entry]) -> None:
    """models.toml, replaced in one step; tables of models that are not named stay."""
    _write(folder, _tables(folder) | {name: asdict(entry) for name, entry in entries.items()})


def record(folder: Path, measured: Mapping[str, str]) -> None:
    """Write what was measured, one line a model, into the manifest."""
    tables = _tables(folder)
    _write(
        folder,
        {name: table | {"measured": measured.get(name, table["measured"])} for name, table in tables.items()},
    )


def _tables(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _write(folder: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    lines = ["# Written by training/export.py; the agent checks each file against its hash."]
    for name in sorted(tables):
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_toml(tables[name][key])}" for key in KEYS if tables[name].get(key) is not None]
    replace({folder / MANIFEST: ("\n".join(lines) + "\n").encode()})


def _toml(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)

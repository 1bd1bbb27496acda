"""Lays one TOML file over another and remembers where each value came from."""

import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent.config.lines import KeyPath, key_lines

LARGEST_FILE = 1 << 20
"""Bytes; nothing that a person wrote as settings is larger."""

Table = dict[str, Any]


class Place(NamedTuple):
    """Where a value is written; line 0 is the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class UnreadableError(Exception):
    """A file that is no TOML or cannot be read, in one line that starts with its name."""


class MissingError(UnreadableError):
    """A file that is not there."""


@dataclass(frozen=True, slots=True)
class Document:
    """One TOML file: its name as shown, its values, and the line of each key."""

    name: str
    values: Table
    lines: Mapping[KeyPath, int]

    def only(self, keys: Sequence[str]) -> "Document":
        """Give the document without the tables that are not named."""
        return Document(self.name, {key: self.values[key] for key in keys if key in self.values}, self.lines)

    def with_default(self, key: str, value: object) -> "Document":
        """Give the document with a value for a key that it may lack."""
        return Document(self.name, {key: value, **self.values}, self.lines)

    def place(self, path: KeyPath) -> Place | None:
        """Give the place of a key; None where the file does not set it."""
        written = path[0] in self.values and path in self.lines
        return Place(self.name, self.lines[path]) if written else None


@dataclass(frozen=True, slots=True)
class Layers:
    """Files laid one over another: the later one wins, key by key."""

    documents: tuple[Document, ...]

    def values(self) -> Table:
        merged: Table = {}
        for document in self.documents:
            merged = _over(merged, document.values)
        return merged

    def origin(self, path: KeyPath) -> Place | None:
        """Give the place of the winning value; None where the default holds."""
        return next((place for document in reversed(self.documents) if (place := document.place(path))), None)

    def place(self, path: KeyPath) -> Place:
        """Give the place of a key or, where it is not written, of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if place := self.origin(path[:length]):
                return place
        return Place(self.documents[-1].name, 0)


def _over(lower: Table, upper: Table) -> Table:
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def read(path: Path, name: str) -> Document:
    """Read one TOML file. Raises UnreadableError."""
    text = _text(path, name)
    try:
        return Document(name, tomllib.loads(text), key_lines(text))
    except RecursionError:
        raise UnreadableError(f"{name}: tables or arrays are nested too deeply") from None
    except ValueError as error:
        raise UnreadableError(_not_toml(name, str(error), text)) from None


def _text(path: Path, name: str) -> str:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UnreadableError(f"{name}: is {'a directory' if stat.S_ISDIR(mode) else 'not a file'}")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"{name}: there is no such file") from None
    except OSError as error:
        raise UnreadableError(f"{name}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise UnreadableError(f"{name}: is larger than 1 MiB, so it is no settings file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"{name}:{line}: is not UTF-8 text") from None


def _not_toml(name: str, message: str, text: str) -> str:
    """Move the parser's `(at line 3, column 5)` to where a person looks for it."""
    match = re.fullmatch(
        r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", message
    )
    if match is None:
        return f"{name}: is not TOML: {message}"
    line = int(match["line"] or len(text.splitlines()))
    if twice := _twice(match["what"], text.split("\n")[line - 1]):
        return f"{name}:{line}: {twice}"
    column = f", column {match['column']}" if match["column"] else ""
    return f"{name}:{line}: is not TOML: {match['what']}{column}"


def _twice(what: str, line: str) -> str | None:
    """Say in plain words which section or key stands twice; None where the parser means something else."""
    if what.startswith("Cannot declare") and (section := re.match(r"\s*(\[[^\]]{1,80}\])", line)):
        return f"section {section[1]} appears twice"
    if what == "Cannot overwrite a value" and (key := re.match(r"\s*([A-Za-z0-9_-]{1,80})\s*=", line)):
        return f"key {key[1]} appears twice"
    return None

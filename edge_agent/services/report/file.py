"""The report's file: known to be writable before the recording is read, in place whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_agent.errors import ReportError

DOCTYPE = b"<!doctype html"


def target(path: Path, *, inputs: Sequence[Path]) -> Path:
    """Where the report will lie, links followed. Raises ReportError where it cannot, or would replace an input."""
    found = path.resolve()
    if found.exists() and not found.is_file():
        raise ReportError(f"{path}: the report cannot be written: is no regular file")
    if found.is_file() and not _is_page(found):
        raise ReportError(f"{path}: the report cannot be written: a file that is no report is there")
    if found in [one.resolve() for one in inputs]:
        raise ReportError(f"{path}: the report cannot be written: it is what is read")
    if not found.parent.is_dir():
        raise ReportError(f"{path}: the report cannot be written: there is no such directory")
    if not os.access(found.parent, os.W_OK):
        raise ReportError(f"{path}: the report cannot be written: its directory is not writable")
    return found


def _is_page(path: Path) -> bool:
    """Whether a file is an HTML page, or empty: a recording named by mistake is not lost. Raises ReportError."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(DOCTYPE))
    except OSError as error:
        raise ReportError(f"{path}: the report cannot be written: {error.strerror}") from None
    return not begin or begin.lower() == DOCTYPE


def write(path: Path, text: str) -> None:
    """Put a text in a file's place. Raises ReportError."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            made = Path(scratch) / path.name
            made.write_text(text, encoding="utf-8")
            made.replace(path)
    except OSError as error:
        raise ReportError(f"{path}: the report cannot be written: {error.strerror}") from None

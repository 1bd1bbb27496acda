"""The report's file: known to be writable before the recording is read, in place whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.errors import ReportError


@contextmanager
def opened(path: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that puts a text in the file's place. Raises ReportError."""
    with _explained(path):
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)

    def write(text: str) -> None:
        with _explained(path):
            Path(scratch).write_text(text, encoding="utf-8")
            Path(scratch).replace(path)

    try:
        yield write
    finally:
        with suppress(FileNotFoundError):
            Path(scratch).unlink()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(f"{path}: the report cannot be written: {error.strerror}") from None

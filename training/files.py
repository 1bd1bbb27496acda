"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from training.data import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def plain(error: Exception) -> str:
    """What is wrong in one line, for a person: of a file that fails its name and the reason."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def replace(contents: Mapping[Path, bytes]) -> None:
    """Put files in place of what is there, one after the other, once all of them are on the disk.

    Raises DataError where that fails; then what was there stays.
    """
    partials = {path: path.with_name(path.name + ".partial") for path in contents}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with partials[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, partial in partials.items():
            partial.replace(path)
    except OSError as error:
        for partial in partials.values():
            if partial.is_file():
                partial.unlink()
        message = f"{path}: cannot be written: {error.strerror}; what was there stays"
        raise DataError(message) from error

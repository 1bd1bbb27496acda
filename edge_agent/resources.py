"""Finds the files the program needs beside its code: models, example configuration, the reference store."""

from pathlib import Path


def path(name: str) -> Path:
    """Give the path of a top-level folder such as `models`, in an installed package or in a checkout."""
    package = Path(__file__).parent
    installed = package / "_resources" / name
    return installed if installed.exists() else package.parent / name

"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.config.settings import Engine

SERVICE_DIRECTORY = Path("/etc/edge-agent")


def named(text: str) -> Path:
    """A path that is said: an empty one, of a variable that is not set, must not mean the current directory."""
    if not text:
        raise typer.BadParameter("should be a path, and is empty")
    return Path(text)


def directory(text: str) -> Path:
    """A directory, or one that is yet to be made."""
    if (path := named(text)).is_file():
        raise typer.BadParameter(f"Directory '{text}' is a file")
    return path


def existing_directory(text: str) -> Path:
    """A directory that is there."""
    if not (path := directory(text)).is_dir():
        raise typer.BadParameter(f"Directory '{text}' does not exist")
    return path


def existing_file(text: str) -> Path:
    """A file that is there."""
    if not (path := named(text)).exists():
        raise typer.BadParameter(f"File '{text}' does not exist")
    if not path.is_file():  # a pipe that nobody writes would be waited for
        raise typer.BadParameter(f"'{text}' is no regular file")
    return path


ConfigOption = Annotated[
    Path, typer.Option("--config", metavar="DIR", parser=named, help="Directory with agent.toml and cameras/.")
]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print JSON lines, and nothing else.")]
EngineOption = Annotated[
    Engine, typer.Option("--engine", help="What reads: onnx (default), easyocr, easyocr-english (an extra).")
]
ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Directory with models.toml; without it the program's networks.",
    ),
]
Threads = Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Processor threads the networks may use.")]

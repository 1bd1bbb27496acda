"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

SERVICE_DIRECTORY = Path("/etc/edge-agent")

ConfigOption = Annotated[
    Path, typer.Option("--config", metavar="DIR", readable=False, help="Directory with agent.toml and cameras/.")
]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print JSON lines, and nothing else.")]

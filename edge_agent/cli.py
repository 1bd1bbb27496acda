"""The command line: thin; every command's work is done below."""

import os
import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from typer.exceptions import TyperException

from edge_agent import wiring
from edge_agent.config import loader
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.errors import EdgeAgentError
from edge_agent.services import stills

MANY_PICTURES = 20

app = typer.Typer(
    name="edge-agent",
    help="Reads licence plates from a patrol car's camera and delivers every read, whatever the network does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look into the configuration.", no_args_is_help=True)
outbox_app = typer.Typer(help="Look into the outbox on disk.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(outbox_app, name="outbox")

Threads = Annotated[int, typer.Option(min=1, max=64, help="Processor threads the networks may use.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print one JSON line each, and nothing else.")]
ConfigDirectory = Annotated[Path, typer.Argument(help="Directory with agent.toml and cameras/.")]


def _fail(message: str, status: int) -> None:
    for line in message.splitlines():
        print(f"edge-agent: {line}", file=sys.stderr)
    sys.exit(status)


def main() -> None:
    """Run a command; what went wrong is one line on stderr and the exit status of its kind."""
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:
        _fail(f"{error.format_message().rstrip('.')} (see --help)", error.exit_code)
    except EdgeAgentError as error:
        _fail(str(error), error.exit_status)
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@app.command(epilog="Example: edge-agent read --annotate out/ photo.jpg")
def read(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, or directories of them.")],
    *,
    jsonl: JsonLines = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the pictures with boxes and texts here.")
    ] = None,
    threads: Threads = 1,
) -> None:
    """Read the plates of still pictures."""
    reading = ReadingSettings()
    pipeline = wiring.pipeline(models=ModelSettings(threads=threads), reading=reading, tracking=TrackingSettings())
    found, others = stills.gather(paths)
    errors = 0
    with _progress(len(found)) as advance:
        for result in stills.read_stills(
            found, pipeline=pipeline, unsure_below=reading.unsure_below, annotate_into=annotate
        ):
            if jsonl:
                print(stills.as_json(result, unsure_below=reading.unsure_below))
            elif result.error is None:
                print("\n".join(stills.as_lines(result, unsure_below=reading.unsure_below)))
            if result.error is not None:
                errors += 1
                print(f"edge-agent: {result.error}", file=sys.stderr)
            advance()
    if others:
        print(f"edge-agent: {others} other files in the directories were left alone", file=sys.stderr)
    if errors:
        raise typer.Exit(1)

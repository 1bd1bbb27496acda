"""The command line: thin; every command's work is done below."""

import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from edge_agent import __version__, wiring
from edge_agent.cli.options import (
    SERVICE_DIRECTORY,
    ConfigOption,
    EngineOption,
    JsonLines,
    ModelsOption,
    Threads,
    directory,
    named,
)
from edge_agent.cli.outbox import outbox_app
from edge_agent.cli.replay import replay
from edge_agent.cli.terminal import INTERRUPTED, discard_output, fail, output, progress, say
from edge_agent.config import loader
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.config.show import show
from edge_agent.domain import counted
from edge_agent.errors import ConfigurationError, EdgeAgentError, ModelError
from edge_agent.host import stop_on_signals
from edge_agent.services import check as checking
from edge_agent.services import run as running
from edge_agent.services import stills
from edge_agent.services.demo import demo as demonstration
from edge_agent.vision.models import content

app = typer.Typer(
    name="edge-agent",
    help="Reads licence plates from a patrol car's camera and delivers every read, whatever the network does.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Example: edge-agent read photo.jpg",
)
config_app = typer.Typer(help="Look into the configuration.", epilog="Example: edge-agent config show config")
app.add_typer(config_app, name="config")
app.add_typer(outbox_app, name="outbox")

ConfigArgument = Annotated[
    Path, typer.Argument(metavar="[DIR]", parser=named, help="Directory with agent.toml and cameras/.")
]


def main() -> NoReturn:
    """Run a command; what went wrong is a line on stderr and the exit status of its kind."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # until here __main__ had it end at once
    logging.basicConfig(format="edge-agent: %(message)s")
    threading.excepthook = _thread_ended
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except TyperException as error:
        message = error.format_message().rstrip(".").replace("Value error, ", "")
        fail(f"{message} (see --help)", error.exit_code) if message else sys.exit(error.exit_code)
    except EdgeAgentError as error:
        fail(str(error), error.exit_status)
    except (typer.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except OSError as error:
        discard_output()
        fail(": ".join(filter(None, (error.filename, error.strerror or str(error)))), 1)
    if status == INTERRUPTED:
        say("interrupted")
    sys.exit(status)


def _thread_ended(failed: threading.ExceptHookArgs) -> None:
    """Log why a thread ended: a line where it is a known trouble; who watches the threads goes on from there."""
    if isinstance(failed.exc_value, EdgeAgentError):
        logging.getLogger(__name__).error("%s", failed.exc_value)
    else:
        threading.__excepthook__(failed)


def _log(level: str) -> None:
    """Log as a service does; the journal adds time and unit by itself."""
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", force=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edge-agent {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stand before every command: the options of the program itself."""


@app.command(epilog="Example: edge-agent run --config /etc/edge-agent")
def run(*, config: ConfigOption = SERVICE_DIRECTORY) -> None:
    """Run the service: read with every camera, keep every read, deliver."""
    configuration = loader.load(config)
    _log(configuration.agent.logging.level)
    running.run(configuration, stop_on_signals())


@app.command(epilog="Example: edge-agent demo --seconds 30 --no-tty")
def demo(
    *,
    seconds: Annotated[float, typer.Option(min=5, max=3600, metavar="N", help="Length of the drive.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same number draws the same drive.")] = 1,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", parser=directory, help="Where outbox and store lie; a cut-off demo goes on from there."
        ),
    ] = None,
    tty: Annotated[bool, typer.Option("--tty/--no-tty", help="Draw a screen, or print lines.")] = True,
) -> None:
    """Show the whole chain on a simulated drive.

    Broker and central store are its own: nothing else on this computer is touched.
    """
    stop = stop_on_signals()
    good = demonstration.run(
        seconds=seconds, seed=seed, state=state or demonstration.default_state(), tty=tty, stop=stop
    )
    if not good or stop.is_set():
        raise typer.Exit(INTERRUPTED if stop.is_set() else 1)


@app.command(epilog="Example: edge-agent read --annotate out/ photo.jpg")
def read(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", parser=named, help="Pictures, or directories of them.")
    ],
    *,
    jsonl: JsonLines = False,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=directory, help="Also write the pictures with boxes and texts here."),
    ] = None,
    far: Annotated[
        bool,
        typer.Option("--far", help="Also look at each quarter of a picture, for far plates: five times the time."),
    ] = False,
    models: ModelsOption = None,
    engine: EngineOption = "onnx",
    threads: Threads = 1,
) -> None:
    """Read the plates of still pictures."""
    reading = ReadingSettings()
    networks = ModelSettings(directory=models, engine=engine, threads=threads)
    pipeline = wiring.pipeline(models=networks, reading=reading, tracking=TrackingSettings())
    found, others = stills.gather(paths)
    errors = 0
    with output(), progress(len(found), "reading") as advance:
        results = stills.read_stills(
            found, pipeline=pipeline, unsure_below=reading.unsure_below, far_plates=far, annotate_into=annotate
        )
        for done, result in enumerate(results, 1):
            if jsonl:
                print(stills.as_json(result, unsure_below=reading.unsure_below), flush=True)
            elif result.error is None:
                print("\n".join(stills.as_lines(result, unsure_below=reading.unsure_below)))
            if result.error is not None:
                errors += 1
                say(result.error)
            advance(done)
    if others:
        say(f"{others} other file{'s were' if others > 1 else ' was'} left alone in the directories")
    if errors:
        raise typer.Exit(1)


app.command(epilog="Example: edge-agent replay drive.mp4")(replay)


@app.command(epilog="Example: edge-agent check config")
def check(directory: ConfigArgument = SERVICE_DIRECTORY) -> None:
    """Check a configuration directory and list every problem at once."""
    found = loader.inspect(directory)
    warnings = [*found.warnings, *checking.cautions(found, datetime.now(UTC))]
    for warning in warnings:
        say(f"warning: {warning}")
    if problems := [*found.problems, *checking.faults(found)]:
        raise ConfigurationError(problems)
    names = ", ".join(camera.name for camera, _ in found.cameras)
    also = f", {counted(len(warnings), 'warning')}" if warnings else ""
    print(f"{directory}: no problem found{also}; cameras: {names}")


@app.command(epilog="Example: edge-agent models /etc/edge-agent/models")
def models(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            exists=True,
            file_okay=False,
            help="Directory with models.toml; without it the networks of the program.",
        ),
    ] = None,
) -> None:
    """List the networks and try each.

    Their files are checked against the manifest's hashes, and each is run once.
    """
    networks = ModelSettings(directory=directory, threads=1)
    bad = 0
    for model in wiring.manifest(networks).all:
        try:
            size = f"{len(content(model)) / 1e6:.1f} MB, hash right{', runs' if wiring.runs(model) else ''}"
        except ModelError as error:
            say(str(error))
            bad += 1
            size = "not usable"
        print(f"{model.role:9} {model.path}: {model.kind} {model.version}, {size}")
        print(f"{'':9} measured {model.measured}")
    if bad:
        raise typer.Exit(ModelError.exit_status)


@config_app.command("show", epilog="Example: edge-agent config show --origin config")
def config_show(
    directory: ConfigArgument = SERVICE_DIRECTORY,
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
) -> None:
    """Show the settings in force, defaults included.

    Of secrets the file's path alone.
    """
    with output():
        print("\n".join(show(loader.load(directory), origin=origin)))

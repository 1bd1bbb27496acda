"""`edge-agent replay`: a recording through the car's pipeline."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.camera.pace import Pace
from edge_agent.cli.options import (
    SERVICE_DIRECTORY,
    ConfigOption,
    EngineOption,
    JsonLines,
    ModelsOption,
    Threads,
    named,
)
from edge_agent.cli.terminal import INTERRUPTED, output, progress, say
from edge_agent.config import loader
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.domain import Read, corrected, counted
from edge_agent.host import stop_on_signals
from edge_agent.services import replay as replaying
from edge_agent.services import truth as truths
from edge_agent.services.report import file as report_file
from edge_agent.services.report.page import page
from edge_agent.services.report.recorder import Recorder

TOLD_BEHIND_S = 1.0
"""How late a replay at the recorded pace may be before that is said."""


def _recording(text: str) -> Path:
    if "://" in text:
        raise typer.BadParameter(
            "is a video file or a directory of pictures; a live camera is configured in cameras/NAME.toml"
        )
    if (path := named(text)).exists() and not (path.is_file() or path.is_dir()):
        raise typer.BadParameter(f"'{text}' is no regular file")
    return path


def replay(
    ctx: typer.Context,
    video: Annotated[
        Path,
        typer.Argument(
            metavar="VIDEO",
            parser=_recording,
            help="A video, or a directory of pictures taken one after the other.",
        ),
    ],
    *,
    jsonl: JsonLines = False,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            exists=True,
            dir_okay=False,
            help="What the recording shows: clip,plate,first_visible,last_visible; the reads are judged by it.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            dir_okay=False,
            help="Write a page: every read with the frames that voted, and what was left out and why.",
        ),
    ] = None,
    pace: Annotated[
        Pace, typer.Option(help="As fast as this computer can, or no faster than it was recorded.")
    ] = "fast",
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Read as this camera of --config would: its settings, the car's networks."
        ),
    ] = None,
    config: ConfigOption = SERVICE_DIRECTORY,
    models: ModelsOption = None,
    engine: EngineOption = "onnx",
    threads: Threads = 1,
) -> None:
    """Read a recording through the car's pipeline.

    Every frame of it that shows something new; with --camera no more of them than its `max_fps` has it. What is
    printed is as its last correction has it; Ctrl-C ends it early, and what was read until then is printed.
    """
    if camera is None:
        _refuse(ctx, "config", why="needs --camera NAME beside it")
        networks = ModelSettings(directory=models, engine=engine, threads=threads)
        seeing, notes = replaying.Seeing(networks, ReadingSettings(), TrackingSettings()), []
    else:
        _refuse(
            ctx, "models", "engine", "threads", why="cannot stand beside --camera, which has the car's networks"
        )
        networks, reading, tracking = loader.reads_with(config, camera)
        seeing = replaying.Seeing(networks, reading, tracking, reading.max_fps)
        notes = [f"Read as {camera} of {config} would: {seeing.told()}"]
    passes = truths.load(truth, video.name) if truth else []
    report_at = report_file.target(report, inputs=[video, *([truth] if truth else [])]) if report else None
    recorder = Recorder(pictured=[one.middle for one in passes]) if report else None
    recording = replaying.recording(video)
    stop = stop_on_signals()
    run = replaying.Replay(recording, pace=pace, seeing=seeing, recorder=recorder, stop=stop)
    with progress(recording.length, "replaying") as advance:
        reads = corrected(run.reads(advance))
    beyond = [one for one in passes if one.first >= run.reached]
    if stop.is_set():
        passes = [one for one in passes if one not in beyond]
        notes.append(f"Ended early: only the first {counted(run.reached, 'frame')} of it")
    elif beyond:
        say(f"{truth}: {counted(len(beyond), 'plate')} first seen after the last frame, {run.reached - 1}")
    verdict = truths.judge(passes, reads) if truth else None
    if recorder and report_at:  # before anything is printed: who reads that may have gone
        report_file.write(report_at, page(video.name, recorder, reads, verdict, notes=notes))
    _tell(run, video, reads, verdict, jsonl=jsonl)
    if stop.is_set():
        raise typer.Exit(INTERRUPTED)
    if recording.damaged:
        raise typer.Exit(1)


def _tell(
    run: replaying.Replay, video: Path, reads: Sequence[Read], verdict: truths.Verdict | None, *, jsonl: bool
) -> None:
    """Print the reads, and say what was not as the recording has it."""
    if run.behind_s >= TOLD_BEHIND_S:
        say(f"{video}: this computer fell {run.behind_s:.1f} s behind the recording; no frame was left out")
    if run.stopped:
        say(f"{video}: only the first {counted(run.reached, 'frame')} looked at")
    with output():
        for one in reads:
            print(replaying.as_json(one, began_s=run.began_s) if jsonl else replaying.as_line(one))
        if not reads and not jsonl:
            print(f"{video}: no plate was read")
        if verdict:
            print(verdict, file=sys.stderr if jsonl else None)


def _refuse(ctx: typer.Context, *options: str, why: str) -> None:
    """Refuse options that would say nothing as the others stand."""
    for one in options:
        if (source := ctx.get_parameter_source(one)) is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"--{one} {why}")

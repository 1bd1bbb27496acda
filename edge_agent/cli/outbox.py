"""`edge-agent outbox`: look into the reads on the disk, carry them out, delete them."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import SERVICE_DIRECTORY, ConfigOption, JsonLines, existing_directory, existing_file
from edge_agent.cli.terminal import output, say
from edge_agent.config import durations, loader
from edge_agent.domain import counted
from edge_agent.services import outbox as service
from edge_agent.wiring import owner

MOST_LINES = 5
"""Of a file that is damaged: a person sees from a few what is wrong."""


def _counted(reads: int, pictures: int, gaps: int) -> str:
    return f"{counted(reads, 'read')}, {counted(pictures, 'picture')}, {counted(gaps, 'gap record')}"


outbox_app = typer.Typer(
    help="Look into the reads on the disk, carry them out, delete them.", epilog="Example: edge-agent outbox status"
)


@outbox_app.command(epilog="Example: edge-agent outbox status --config /etc/edge-agent --jsonl")
def status(*, config: ConfigOption = SERVICE_DIRECTORY, jsonl: JsonLines = False) -> None:
    """Count what waits on the disk.

    Also what left it without the store's receipt. The service may be running.
    """
    found = service.status(loader.load(config).agent)
    if jsonl:
        print(json.dumps(asdict(found)))
        return
    with output():
        print(f"pending      {found.pending}   (committed, not yet at the broker)")
        print(f"sent         {found.sent}   (at the broker, no receipt from the store yet)")
        print(f"quarantined  {found.quarantined}   (not taken by the broker: kept, tried again at the next start)")
        print(f"pictures     {found.images}   (go after their reads; no receipt yet)")
        print(f"gap records  {found.gaps}   (tell the store what will not come; no receipt yet)")
        print(f"oldest       {found.oldest or '-'}")
        print(f"last seq     {found.last_seq}   (reads committed since this outbox began)")
        print(f"size         {found.size_bytes / 1024:.0f} KiB")
        for reason, reads in found.left.items():
            print(f"left         {reads}   ({reason}: deleted without a receipt)")
        for reason, images in found.images_left.items():
            print(f"left         {images}   ({reason}: pictures alone, deleted without a receipt)")
        for name, size_bytes in found.damaged.items():
            print(f"put aside    {name}   ({size_bytes / 1024:.0f} KiB: damaged; goes when its reads are too old)")


@outbox_app.command(epilog="Example: edge-agent outbox export /media/stick")
def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", parser=existing_directory, help="Where the file is written.")
    ],
    *,
    config: ConfigOption = SERVICE_DIRECTORY,
) -> None:
    """Copy everything into one file for the central store.

    Every read, picture and gap record; the store's import takes them. Nothing leaves the outbox, and the service
    may be running. The file is encrypted to the store where `export.certificate_file` is set.
    """
    agent = loader.load(config).agent
    written = service.export(agent, directory)
    print(f"{written.file}: {_counted(written.reads, written.images, written.gaps)}")
    if written.owner != (configured := owner(agent.vehicle)):
        say(f"warning: the outbox is of {written.owner}, not of {configured}: written under the name it is of")
    if not written.encrypted:
        say("warning: the file is not encrypted: export.certificate_file names the store's certificate")


@outbox_app.command(epilog="Example: edge-agent outbox receipts /media/stick/receipts-hpd-car-12.jsonl")
def receipts(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", parser=existing_file, help="What the store's import wrote."),
    ],
    *,
    config: ConfigOption = SERVICE_DIRECTORY,
) -> None:
    """Delete what the central store has imported.

    The service must be stopped.
    """
    taken = service.take_receipts(loader.load(config).agent, file)
    print(f"with the store, and no more in the outbox: {_counted(taken.reads, taken.images, taken.gaps)}")
    if not (taken.reads or taken.images or taken.gaps or taken.problems):
        say(f"nothing in {file} is in this outbox: it is of another vehicle, or was taken before")
        if taken.by_count:
            say("of the reads up to a place in the count only those that the broker has acknowledged leave")
    for line in taken.problems[:MOST_LINES]:
        say(line)
    if (more := len(taken.problems) - MOST_LINES) > 0:
        say(f"... and {counted(more, 'more such line')}")
    if taken.problems:
        raise typer.Exit(1)


def _older_than(text: str | None) -> str | None:
    if text is None:  # and not where it is empty: a shell variable that is not set must not mean all
        return None
    try:
        durations.seconds(text)
    except ValueError:
        raise typer.BadParameter('should be a time such as "21 days" or "3 minutes"') from None
    return text


@outbox_app.command(epilog='Example: edge-agent outbox purge --older-than "21 days"')
def purge(
    *,
    config: ConfigOption = SERVICE_DIRECTORY,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="TIME", callback=_older_than, help="Only reads so old."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete reads for good, delivered or not.

    The service must be stopped. The store is told which they were when the service runs again.
    """
    agent = loader.load(config).agent
    found = service.status(agent)
    reads = found.pending + found.sent + found.quarantined
    kept = f"{counted(reads, 'read')} and {counted(found.images, 'picture')} of {found.owner}"
    what = f"what is older than {older_than} of" if older_than else "all of"
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Delete {what} the {kept} for good?")):
        say("nothing was deleted: --yes says that it is meant")
        raise typer.Exit(1)
    gone = service.purge(agent, older_than_s=durations.seconds(older_than) if older_than else 0.0)
    print(f"{counted(gone.reads, 'read')} and {counted(gone.images, 'picture')} deleted")

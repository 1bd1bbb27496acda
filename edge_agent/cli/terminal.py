"""What a command says, and where: results on stdout, everything else on stderr."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import Progress

MANY_PICTURES = 20
"""From here on a progress bar is worth its line."""

INTERRUPTED = 130
"""The exit status of what a person stopped, as shells have it."""


def discard_output() -> None:
    """Keep Python from failing once more when it writes the rest at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def output() -> Iterator[None]:
    """Write the output to its end; a reader that has gone, as `| head` does, is no fault."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        raise typer.Exit(0) from None


def fail(message: str, status: int) -> NoReturn:
    say(message)
    sys.exit(status)


def say(message: str) -> None:
    for line in message.splitlines():
        print(f"edge-agent: {line}", file=sys.stderr)


@contextlib.contextmanager
def progress(total: int | None, what: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr where a person looks at it; what it gives is told how much of the total is done."""
    console = Console(stderr=True)
    if not console.is_terminal or (total is not None and total < MANY_PICTURES):
        yield lambda _done: None
        return
    # Output that goes elsewhere must not be caught, only what a terminal would mix with the bar.
    with Progress(console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)

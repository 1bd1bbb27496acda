"""What is found and read of labelled sets, alone or beside other readers: python -m benchmarks.accuracy --help."""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import figures, machine, readers
from benchmarks.options import OneLineParser
from benchmarks.score import TruePlate, check_places, key, load_truth, score
from edge_agent.camera.pictures import decode, list_pictures
from edge_agent.errors import EdgeAgentError, PictureError

COLUMNS = (
    "plates",
    "captured",
    "texts",
    "end to end",
    "per plate",
    "extra a picture",
    "detect + read, ms",
    "memory, MiB",
)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m benchmarks.accuracy",
        description="Measure what readers find and read of labelled sets of pictures.",
        epilog="Example: python -m benchmarks.accuracy eval/us.csv eval/br.csv --peer other_reader.py",
        allow_abbrev=False,
    )
    parser.add_argument(
        "sets", type=Path, nargs="+", metavar="CSV", help="a set: NAME.csv beside its pictures NAME/"
    )
    parser.add_argument(
        "--peer", type=Path, action="append", default=[], metavar="SCRIPT", help="another reader, see the docs"
    )
    parser.add_argument(
        "--engine", action="append", default=[], help="the program with another engine: easyocr, easyocr-english"
    )
    parser.add_argument(
        "--models", type=Path, action="append", default=[], metavar="DIR", help="the program with other networks"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of our networks (default 1)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if not 1 <= options.threads <= 64:
        parser.error("--threads should be 1 to 64")
    try:
        _measure(options, Console(width=120, highlight=False, markup=False))
    except EdgeAgentError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(options: argparse.Namespace, console: Console) -> None:
    # Everything that can be wrong with the input is found before the first minute is spent.
    sets = [(table.stem, load_truth(table), _pictures(table)) for table in options.sets]
    for _, truth, pictures in sets:
        _check(truth, pictures)
    rivals = [
        readers.ours(threads=options.threads),
        *(readers.ours(threads=options.threads, models=directory) for directory in options.models),
        *(readers.ours(threads=options.threads, engine=engine) for engine in options.engine),
        *(readers.peer(script) for script in options.peer),
    ]
    console.print("\n".join([*machine.describe(), f"threads    {options.threads}"]), soft_wrap=True)
    console.print()
    for name, truth, pictures in sets:
        rows = []
        measured = readers.measure(rivals, pictures)
        for one in measured:
            found = score(truth, one.pictures.values())
            times = [timing.detect_and_read for timing in one.timings.values()]
            cells = (
                str(found.plates),
                figures.part(found.captured, found.plates),
                str(found.texts),
                figures.part(found.right, found.texts),
                figures.part(found.distinct_right, found.distinct),
                figures.part(found.extra, len(truth)),
                f"{statistics.fmean(times):.2f}",
                f"{one.peak_mib:.0f}",
            )
            rows.append(figures.Row(one.reader.name, cells))
        figures.show(f"{name}, {len(pictures)} pictures", COLUMNS, rows, console)
        for one in measured:
            if unread := len(one.pictures) - len(one.timings):
                console.print(
                    f"{one.reader.name}: {unread} of {len(pictures)} pictures not read, which counts as missed"
                )


def _check(truth: Mapping[str, Sequence[TruePlate]], pictures: Sequence[Path]) -> None:
    """Refuse labels outside their pictures; what cannot be decoded is counted later. Raises EdgeAgentError."""
    for path in pictures:
        if plates := truth.get(key(str(path))):
            try:
                check_places(str(path), plates, decode(path))
            except PictureError:
                continue


def _pictures(table: Path) -> list[Path]:
    directory = table.with_suffix("")
    if not directory.is_dir():
        raise EdgeAgentError(
            f"{directory}: there is no such directory, where the pictures of {table.name} should be"
        )
    pictures, _ = list_pictures(directory)
    if not pictures:
        raise EdgeAgentError(f"{directory}: holds no picture")
    return pictures


if __name__ == "__main__":
    sys.exit(main())

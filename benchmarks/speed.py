"""How fast the program is on this machine, alone or beside another reader: python -m benchmarks.speed --help."""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import figures, lines, machine, program, readers
from benchmarks.options import OneLineParser
from benchmarks.score import TruePlate, key, load_truth, score
from edge_agent.camera.pictures import list_pictures
from edge_agent.errors import EdgeAgentError

DRIVE_START_LIMIT_S, DRIVE_LIMIT_PER_SECOND_S = 120.0, 60.0
SEED = 1
"""Every run drives the same street."""


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m benchmarks.speed",
        description="Measure the reading of pictures and of a simulated drive.",
        epilog="Example: python -m benchmarks.speed --pictures photos --truth photos.csv --peer other_reader.py",
        allow_abbrev=False,
    )
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="a directory of pictures to read")
    parser.add_argument("--truth", type=Path, metavar="CSV", help="what they show: image,x,y,w,h,text[,quality]")
    parser.add_argument("--peer", type=Path, metavar="SCRIPT", help="another reader's Python script, see the docs")
    parser.add_argument("--drive", type=float, default=30.0, metavar="SECONDS", help="0 for no drive (default 30)")
    parser.add_argument("--threads", type=int, default=1, help="threads of our networks (default 1)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.pictures is None and (options.truth or options.peer):
        parser.error("--truth and --peer need --pictures")
    if not 0 <= options.drive <= 3600:
        parser.error("--drive should be 0 to 3600 seconds")
    if not 1 <= options.threads <= 64:
        parser.error("--threads should be 1 to 64")
    if options.pictures is None and not options.drive:
        parser.error("nothing to measure: give --pictures, or a --drive of some seconds")
    try:
        _measure(options, Console(width=100, highlight=False, markup=False))
    except EdgeAgentError as error:
        print(f"speed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(options: argparse.Namespace, console: Console) -> None:
    # Everything that can be wrong with the input is found before the first minute is spent.
    pictures = _pictures(options.pictures) if options.pictures else []
    truth = load_truth(options.truth) if options.truth else None
    rivals = [readers.ours(threads=options.threads)]
    if options.peer:
        rivals.append(readers.peer(options.peer))
    console.print("\n".join([*machine.describe(), f"threads    {options.threads}"]), soft_wrap=True)
    console.print()
    if pictures:
        if absent := set(truth or ()) - {key(str(one)) for one in pictures}:
            console.print(f"{len(absent)} labelled pictures are not among them: they count as missed\n")
        show_pictures(readers.measure(rivals, pictures), truth, console)
    if options.drive:
        show_drive(options.drive, options.threads, console)


def _pictures(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise EdgeAgentError(f"{directory}: there is no such directory")
    pictures, _ = list_pictures(directory)
    if not pictures:
        raise EdgeAgentError(f"{directory}: holds no picture")
    return pictures


def show_pictures(
    measured: Sequence[readers.Measured], truth: dict[str, list[TruePlate]] | None, console: Console
) -> None:
    """Print what the readers took for the pictures, and what of them they read."""
    rows = [
        *figures.picture_rows([list(one.timings.values()) for one in measured]),
        figures.single("peak memory, MiB", *(f"{one.peak_mib:.0f}" for one in measured)),
        figures.single(
            "start to first read, s", *(f"{statistics.median(one.first_read_s):.2f}" for one in measured)
        ),
        figures.single("pictures not read", *(str(len(one.pictures) - len(one.timings)) for one in measured)),
    ]
    if truth is not None:
        scores = [score(truth, one.pictures.values()) for one in measured]
        rows += [
            figures.single("captured", *(figures.share(one.captured, one.plates) for one in scores)),
            figures.single("end to end", *(figures.share(one.right, one.texts) for one in scores)),
        ]
    columns = [name for one in measured for name in (f"{one.reader.name}, mean", "p95")]
    turns = len(measured[0].first_read_s)
    figures.show(f"{len(measured[0].pictures)} pictures, {turns} processes a reader", columns, rows, console)
    if len(measured) > 1:
        ours, peer = measured
        found = figures.ratio(ours.timings, peer.timings)
        by = f"{found[0]:.3f} by the median picture, {found[1]:.3f} by the mean" if found else "cannot be told"
        console.print(f"detect + read, {ours.reader.name} / {peer.reader.name}: {by}\n")


def show_drive(seconds: float, threads: int, console: Console) -> None:
    """Drive once and print what the frames took, and what was read. Raises EdgeAgentError."""
    ran = program.run(
        [sys.executable, "-m", "benchmarks.timed_drive", str(seconds), str(threads), str(SEED)],
        name="the drive",
        limit_s=DRIVE_START_LIMIT_S + DRIVE_LIMIT_PER_SECOND_S * seconds,
    )
    if ran.exit_status or len(ran.lines) < 2:
        raise EdgeAgentError(f"the drive failed: {ran.complaint or f'exit status {ran.exit_status}'}")
    frames = [lines.parse(line, lines.DriveFrame, printed_by="the drive") for line in ran.lines[:-1]]
    end = lines.parse(ran.lines[-1], lines.DriveEnd, printed_by="the drive")
    started_s = ran.first_line_s - (end.build_ms + frames[0].render) / 1e3
    rows = [
        *figures.drive_rows(frames),
        figures.single("peak memory, MiB (with drawing)", f"{ran.peak_mib:.0f}"),
        figures.single("start to first frame read, s", f"{started_s:.2f}"),
        figures.single("vehicles captured", figures.share(end.captured, end.passed)),
        figures.single("vehicles read right", figures.share(end.right, end.passed)),
        figures.single("reads on disk", str(end.committed)),
        figures.single("wrong, twice, of nothing", f"{end.wrong}, {end.duplicates}, {end.false_reads}"),
    ]
    figures.show(f"simulated drive, {seconds:g} s, {len(frames)} frames", ["mean", "p95"], rows, console)


if __name__ == "__main__":
    sys.exit(main())

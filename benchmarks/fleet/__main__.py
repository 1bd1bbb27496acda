"""Many cars, one broker, one central store: python -m benchmarks.fleet --help.

Each car is the agent's own publisher with real records, an outbox in memory and a connection without a thread; the
broker is a real mosquitto, the store the reference one with its workers on a PostgreSQL of the benchmark's own.
"""

import argparse
import asyncio
import logging
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks import figures, machine, plot
from benchmarks.fleet import distance, tables
from benchmarks.fleet.course import Course, Outcome, Plan
from benchmarks.fleet.databases import Verdict
from benchmarks.fleet.plot import draw
from benchmarks.fleet.servers import Site, mosquitto_version
from benchmarks.options import OneLineParser
from edge_agent.errors import EdgeAgentError

_OTHER_FILES = 200
"""What a process has open beside the cars' connections, at most."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(width=100, highlight=False, markup=False)
    try:
        with _quiet():
            verdicts = _measure(options, console)
    except EdgeAgentError as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if any(one.lost or one.twice or one.strange for one in verdicts):
        print("fleet: reads are lost, twice or strange: see the table", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Errors alone: a thousand cars would tell of one outage."""
    log = logging.getLogger("edge_agent")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m benchmarks.fleet",
        description="Measure fleets of light cars against one mosquitto and one central store, an outage included.",
        epilog="Example: python -m benchmarks.fleet --cars 10 100 1000 --plot fleet.svg",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--cars", type=int, nargs="+", default=[10, 100, 1000], help="fleets, one after the other (10 100 1000)")
    add("--seconds", type=float, default=30.0, help="quiet time whose delays are measured (default 30)")
    add("--rate", type=float, default=0.25, help="reads a second and car, on average (default 0.25)")
    add("--backlog", type=int, default=5000, help="reads to send as fast as it goes at first; 0 for none (5000)")
    add("--outage", type=float, default=120.0, help="seconds without broker after that; 0 for none (default 120)")
    add("--workers", type=int, default=2, help="processes of the store (default 2; SQLite has one)")
    add("--database", choices=["postgresql", "sqlite"], default="postgresql", help="of the store (postgresql)")
    add("--round-trip", type=float, default=80.0, help="ms to a far broker, for one whole car; 0 for none (80)")
    add("--far-reads", type=int, default=4000, help="reads that it has to send (default 4000)")
    add("--plot", type=Path, metavar="FILE.svg", help="draw the outage as well")
    options = parser.parse_args(arguments)
    if not all(1 <= cars <= 20_000 for cars in options.cars):
        parser.error("--cars should be 1 to 20000")
    if not 1 <= options.seconds <= 86400 or not 0 <= options.outage <= 3600:
        parser.error("--seconds should be 1 to 86400, --outage 0 to 3600")
    if not 0.001 <= options.rate <= 100 or not 1 <= options.workers <= 32:
        parser.error("--rate should be 0.001 to 100, --workers 1 to 32")
    if not 0 <= options.backlog <= 1_000_000 or not 1 <= options.far_reads <= 100_000:
        parser.error("--backlog should be 0 to 1000000, --far-reads 1 to 100000")
    if not 0 <= options.round_trip <= 5000:
        parser.error("--round-trip should be 0 to 5000")
    if options.plot and not options.outage:
        parser.error("--plot draws the outage: --outage should not be 0")
    if options.database == "sqlite":
        options.workers = 1
    return options


def _measure(options: argparse.Namespace, console: Console) -> list[Verdict]:
    """Drive each fleet, and print what came of it."""
    if options.plot:
        plot.check()
    _allow_files(max(options.cars) + _OTHER_FILES)
    plan = Plan(seconds=options.seconds, rate=options.rate, outage_s=options.outage, backlog=options.backlog)
    described = machine.describe()
    outcomes: list[Outcome] = []
    for cars in options.cars:
        with Site(kind=options.database, workers=options.workers) as site:
            version = site.database.version()
            outcomes.append(asyncio.run(_drive(cars, plan, site)))
    far = None
    if options.round_trip:
        with Site(kind=options.database, workers=options.workers) as site:
            far = distance.measure(site, round_trip_ms=options.round_trip, reads=options.far_reads)
    console.print("\n".join(described), soft_wrap=True)
    console.print(f"servers    mosquitto {mosquitto_version()}, {version}, workers: {options.workers}\n")
    title = f"fleets, {plan.rate:g} reads/s a car, {plan.seconds:g} s"
    title += f", then {plan.outage_s:g} s without broker" if plan.outage_s else ""
    columns = [f"{one.cars} car" + "s" * (one.cars > 1) for one in outcomes]
    figures.show(title, columns, tables.fleet_rows(outcomes, plan), console)
    if far:
        figures.show(
            "one whole car, its outbox on disk",
            [f"{far.round_trip_ms:g} ms away"],
            tables.distance_rows([far]),
            console,
        )
    if options.plot:
        draw(outcomes, plan, options.plot)
    return [one.verdict for one in outcomes]


async def _drive(cars: int, plan: Plan, site: Site) -> Outcome:
    return await Course(cars=cars, plan=plan, site=site).run()


def _allow_files(count: int) -> None:
    """Raise the limit on open files, for us and for the broker. Raises EdgeAgentError where it may not be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise EdgeAgentError(f"so many cars need {count} open files, and {hard} are allowed: ulimit -n {count}")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


if __name__ == "__main__":
    sys.exit(main())

"""What the demo shows: a live screen in a terminal, plain lines elsewhere."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge_agent.camera.sim.truth import VehicleTruth
from edge_agent.domain import Read
from edge_agent.services.demo.account import Account, is_right

RECENT = 10
STATUS_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The demo at one moment of the drive, seconds since its start."""

    at_s: float
    camera_fps: float
    processed: int
    dropped: int
    committed: int
    waiting: int
    receipts: int
    broker: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A read just committed; delay is from the plate's last sight to the disk, truth the plate it was."""

    read: Read
    delay_s: float
    truth: VehicleTruth | None


class Screen(Protocol):
    """Where the demo's progress is shown."""

    def start(self) -> None: ...
    def arrived(self, arrival: Arrival) -> None: ...
    def event(self, text: str) -> None: ...
    def moment(self, moment: Moment) -> None: ...
    def stop(self) -> None: ...


def _verdict(arrival: Arrival) -> str:
    if arrival.truth is None:
        return "no plate there"
    return "right" if is_right(arrival.truth, [arrival.read.text]) else f"was {arrival.truth.text}"


def _what(read: Read) -> str:
    return "read" if not read.revision else "better"


class PlainScreen:
    """A line for each thing that happens, for scripts and logs."""

    def __init__(self) -> None:
        self._shown_s = -STATUS_EVERY_S

    def start(self) -> None:
        pass

    def arrived(self, arrival: Arrival) -> None:
        read = arrival.read
        print(
            f"{_what(read):<8} {read.text:<8} confidence {read.confidence:.2f}  {read.frames:>2} frames"
            f"  delay {arrival.delay_s:.1f} s  {_verdict(arrival)}",
            flush=True,
        )

    def event(self, text: str) -> None:
        print(f"event    {text}", flush=True)

    def moment(self, moment: Moment) -> None:
        if moment.at_s - self._shown_s < STATUS_EVERY_S:
            return
        self._shown_s = moment.at_s
        print(
            f"status   {moment.at_s:5.1f} s  {moment.camera_fps:4.1f} frames/s  committed {moment.committed}"
            f"  waiting {moment.waiting}  receipts {moment.receipts}  broker {moment.broker}",
            flush=True,
        )

    def stop(self) -> None:
        pass


class LiveScreen:
    """A screen that is drawn anew as the drive goes on."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._arrivals: deque[Arrival] = deque(maxlen=RECENT)
        self._events: deque[str] = deque(maxlen=3)
        self._moment: Moment | None = None

    def start(self) -> None:
        self._live.start()

    def arrived(self, arrival: Arrival) -> None:
        self._arrivals.append(arrival)

    def event(self, text: str) -> None:
        self._events.append(text)
        self._draw()

    def moment(self, moment: Moment) -> None:
        self._moment = moment
        self._draw()

    def stop(self) -> None:
        self._live.stop()

    def _draw(self) -> None:
        self._live.update(
            Panel(Group(self._figures(), self._reads(), *map(Text, self._events)), title="edge-agent demo")
        )

    def _figures(self) -> Text:
        moment = self._moment
        if moment is None:
            return Text("starting ...")
        figures = Text()
        figures.append(f"{moment.at_s:5.1f} s   ")
        figures.append(f"{moment.camera_fps:4.1f} frames/s", style="bold")
        figures.append(f" ({moment.processed} processed, {moment.dropped} dropped)   ")
        figures.append("broker ")
        figures.append(moment.broker, style="bold green" if moment.broker == "up" else "bold red")
        figures.append(f"\ncommitted {moment.committed}   ")
        figures.append(f"waiting on disk {moment.waiting} ", style="bold")
        figures.append("█" * min(40, moment.waiting), style="yellow")
        figures.append(f"   receipts {moment.receipts}\n")
        return figures

    def _reads(self) -> Table:
        table = Table(box=None, expand=True)
        for heading in ("", "plate", "confidence", "frames", "delay", "in truth"):
            table.add_column(heading, justify="left")
        for arrival in self._arrivals:
            read = arrival.read
            verdict = _verdict(arrival)
            table.add_row(
                _what(read),
                Text(read.text, style="bold"),
                f"{read.confidence:.2f}",
                str(read.frames),
                f"{arrival.delay_s:.1f} s",
                Text(verdict, style="green" if verdict == "right" else "red"),
            )
        return table


def show_account(account: Account, console: Console) -> None:
    """Print the table at the end."""
    table = Table(title="The drive", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("note")
    share = f"{account.right / account.passed:.0%} of the vehicles" if account.passed else ""
    rows = [
        ("vehicles driven past", account.passed, "with a plate that could be read in two frames or more"),
        ("captured", account.captured, "got a read"),
        ("read right", account.right, f"{share}; 0 and O count as one"),
        ("read wrong", account.wrong, "a character wrong or not readable"),
        ("duplicates", account.duplicates, "more than one read of a vehicle"),
        ("reads of no plate", account.false_reads, ""),
        ("committed to disk", account.committed, "better readings of a pass and earlier demos, cut off, included"),
        ("in the store exactly once", account.stored_once, ""),
        ("still in the outbox", account.undelivered, ""),
    ]
    for what, count, note in rows:
        table.add_row(what, str(count), note)
    console.print(table)

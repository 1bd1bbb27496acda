"""How fast reads come to the disk and leave it: python -m benchmarks.outbox --help.

Beside each other in one run: the disk's own sync and the commit of a read, and our outbox and publisher and
persist-queue's acknowledged SQLite queue with paho, whose user waits for each message's acknowledgement.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from rich.console import Console

from benchmarks import machine, made_up
from benchmarks.figures import Row, show
from benchmarks.options import OneLineParser
from edge_agent import wiring
from edge_agent.config.settings import AgentSettings, MqttSettings, StateSettings, VehicleSettings
from edge_agent.contract.record import ReadDraft
from edge_agent.errors import EdgeAgentError
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.services.demo import processes

VEHICLE = VehicleSettings(agency="bench", id="car-1")
BATCH = 50
"""Reads that share a commit while the car is busy."""

PAGE = b"x" * 4096
LIMIT_S = 600.0


def records(count: int) -> list[ReadDraft]:
    return [made_up.record(agency=VEHICLE.agency, vehicle=VEHICLE.id) for _ in range(count)]


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def commits(outbox: Outbox, directory: Path, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a page written and synced, and of a read committed, in turns."""
    syncs, done = [], []
    with (directory / "page").open("wb") as file:

        def sync() -> None:
            file.write(PAGE)
            file.flush()
            os.fsync(file.fileno())

        for one in records(count):
            syncs.append(timed(sync))
            done.append(timed(lambda one=one: outbox.append([one])))  # type: ignore[misc]
    return syncs, done


def filled(outbox: Outbox, count: int) -> float:
    """Append so many reads in batches; reads a second."""
    batches = [records(min(BATCH, count - start)) for start in range(0, count, BATCH)]
    return count / (timed(lambda: [outbox.append(batch) for batch in batches]) / 1e3)


def drained(outbox: Outbox, publisher: Publisher) -> float:
    """Publish all that waits to a broker whose acknowledgement is enough; reads a second."""
    waiting = outbox.status().pending
    stop = threading.Event()
    thread = threading.Thread(target=publisher.run, args=(stop,), daemon=True)
    started = time.perf_counter()
    thread.start()
    while left := outbox.status().pending:
        if time.perf_counter() - started > LIMIT_S:
            raise EdgeAgentError(f"{left} reads were not drained: {publisher.counters.problem}")
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    stop.set()
    thread.join()
    return waiting / seconds


def others(directory: Path, port: int, count: int) -> tuple[float, float]:
    """persist-queue: put, then take, publish, wait and acknowledge; both reads a second."""
    from persistqueue import SQLiteAckQueue  # noqa: PLC0415 - it is optional

    drafts = records(count)  # written down while they are put, as ours are
    queue = SQLiteAckQueue(str(directory / "persist-queue"), multithreading=True, auto_commit=True)
    put_ms = timed(lambda: [queue.put(one.encode(number)) for number, one in enumerate(drafts, start=1)])
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def drain() -> None:
        for _ in drafts:
            item = queue.get()
            client.publish("bench/other", item, qos=1).wait_for_publish()
            queue.ack(item)

    drain_ms = timed(drain)
    client.loop_stop()
    queue.close()
    return count / put_ms * 1e3, count / drain_ms * 1e3


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Somebody takes the messages: a broker that has nobody for them says so, and they would stay."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    while not client.is_connected():
        time.sleep(0.01)
    client.subscribe("#", qos=0)
    if not subscribed.wait(30):
        raise EdgeAgentError("the broker does not answer")
    yield
    client.loop_stop()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = OneLineParser(
        prog="python -m benchmarks.outbox",
        description="Measure the way of reads to the disk and from it to a broker.",
        epilog="Example: python -m benchmarks.outbox --directory /var/lib/edge-agent-test",
        allow_abbrev=False,
    )
    parser.add_argument("--reads", type=int, default=5000, help="how many are queued and drained (default 5000)")
    parser.add_argument("--commits", type=int, default=500, help="how many are committed one by one (default 500)")
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="on the disk to measure; the default is for temporary files"
    )
    options = parser.parse_args(arguments)
    if not 10 <= options.reads <= 1_000_000 or not 10 <= options.commits <= 1_000_000:
        parser.error("--reads and --commits should be 10 to 1000000")
    if options.directory and not options.directory.is_dir():
        parser.error(f"{options.directory}: there is no such directory")
    try:
        _measure(options, Console(width=100, highlight=False, markup=False))
    except EdgeAgentError as error:
        print(f"outbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(options: argparse.Namespace, console: Console) -> None:
    console.print("\n".join(machine.describe()), soft_wrap=True)
    console.print()
    with ExitStack() as opened:
        scratch = Path(
            opened.enter_context(tempfile.TemporaryDirectory(prefix="edge-agent-bench-", dir=options.directory))
        )
        port = processes.free_port()
        broker = processes.broker(port=port, directory=scratch)
        opened.callback(broker.stop)
        broker.start()
        processes.wait_for_port(broker, port)
        opened.enter_context(listening(port))
        settings = AgentSettings(
            vehicle=VEHICLE,
            state=StateSettings(directory=scratch / "state"),
            mqtt=MqttSettings(host="127.0.0.1", port=port, tls=False, confirm="broker"),
        )
        outbox = opened.enter_context(wiring.outbox(settings))
        syncs, done = commits(outbox, scratch, options.commits)
        lines = [_spread("sync of a page", syncs), _spread("commit", done), _ratio(done, syncs)]
        show("one read a commit, ms", ["median", "p99"], lines, console)
        outbox.purge()
        put = filled(outbox, options.reads)
        drain = drained(outbox, wiring.publisher(settings, outbox))
        lines = [Row(f"the outbox, {BATCH} a commit", (f"{put:.0f}", f"{drain:.0f}"))]
        if importlib.util.find_spec("persistqueue") is None:
            console.print("persist-queue is not installed: pip install persist-queue\n")
        else:
            other_put, other_drain = others(scratch, port, options.reads)
            lines += [
                Row("persist-queue, acknowledged", (f"{other_put:.0f}", f"{other_drain:.0f}")),
                Row("ours / theirs", (f"{put / other_put:.1f}", f"{drain / other_drain:.1f}")),
            ]
        show(f"{options.reads} reads, reads a second", ["to the disk", "to a broker"], lines, console)
        sizes = [len(one.encode(10**6)) for one in records(100)]
        console.print(f"a read on the wire: {max(sizes)} bytes at most")


def _p99(values: Sequence[float]) -> float:
    ranked = sorted(values)
    return ranked[int(0.99 * (len(ranked) - 1))]


def _spread(what: str, values: Sequence[float]) -> Row:
    return Row(what, (f"{statistics.median(values):.2f}", f"{_p99(values):.2f}"))


def _ratio(ours: Sequence[float], disk: Sequence[float]) -> Row:
    median = statistics.median(ours) / statistics.median(disk)
    return Row("commit / sync", (f"{median:.1f}", f"{_p99(ours) / _p99(disk):.1f}"))


if __name__ == "__main__":
    sys.exit(main())

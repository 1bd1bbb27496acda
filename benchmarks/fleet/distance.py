"""One whole car far from its broker: how fast a backlog of its outbox gets through a long way.

python -m benchmarks.fleet.distance PORT ROUND_TRIP_MS is the way: it prints the port on which it listens, and hands
on what comes to 127.0.0.1:PORT and back, half a round trip later.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet.car import AGENCY, made_up
from benchmarks.fleet.servers import Site
from edge_agent import host, wiring
from edge_agent.config.settings import (
    AgentSettings,
    ModelSettings,
    MqttSettings,
    StateSettings,
    VehicleSettings,
)
from edge_agent.contract.record import draft
from edge_agent.errors import EdgeAgentError

VEHICLE = VehicleSettings(agency=AGENCY, id="far-away")
_BATCH = 50
_LIMIT_S = 300.0
_POLL_S = 0.005
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Distance:
    """Reads a second over a round trip (ms): acknowledged by the broker, and receipted by the store."""

    round_trip_ms: float
    reads: int
    acknowledged: float
    receipted: float


def measure(site: Site, *, round_trip_ms: float, reads: int) -> Distance:
    """Send a backlog with the agent's own outbox, publisher and connection. Raises EdgeAgentError."""
    with tempfile.TemporaryDirectory(prefix="fleet-car-") as scratch, _way(site.port, round_trip_ms) as port:
        settings = AgentSettings(
            vehicle=VEHICLE,
            state=StateSettings(directory=Path(scratch)),
            mqtt=MqttSettings(host="127.0.0.1", port=port, tls=False),
        )
        outbox = wiring.outbox(settings)
        outbox.open()
        source, clock, rng = wiring.source(ModelSettings()), host.clock_state(), random.Random(0)
        for first in range(0, reads, _BATCH):
            seen = [made_up(rng) for _ in range(min(_BATCH, reads - first))]
            outbox.append(
                [
                    draft(read, agency=AGENCY, vehicle=VEHICLE.id, source=source, clock=clock, position=position)
                    for read, position in seen
                ]
            )
        publisher = wiring.publisher(settings, outbox)
        stop = threading.Event()
        thread = threading.Thread(target=publisher.run, args=(stop,))
        thread.start()
        try:
            connected_s = _when(lambda: publisher.counters.connected, site, "a connection")
            acknowledged_s = _when(lambda: publisher.counters.sent >= reads, site, "the acknowledgements")
            receipted_s = _when(lambda: publisher.counters.receipted >= reads, site, "the receipts")
        finally:
            stop.set()
            thread.join()
            outbox.close()
    return Distance(
        round_trip_ms=round_trip_ms,
        reads=reads,
        acknowledged=reads / (acknowledged_s - connected_s),
        receipted=reads / (receipted_s - connected_s),
    )


def _when(condition: Callable[[], object], site: Site, what: str) -> float:
    """Wait for something and tell when it was there. Raises EdgeAgentError."""
    limit_s = time.monotonic() + _LIMIT_S
    while not condition():
        site.check()
        if time.monotonic() > limit_s:
            raise EdgeAgentError(f"the far car waited {_LIMIT_S:.0f} s in vain for {what}")
        time.sleep(_POLL_S)
    return time.monotonic()


@contextmanager
def _way(port: int, round_trip_ms: float) -> Iterator[int]:
    """A process of its own, so that it takes nothing from the car's; gives the port on which it listens."""
    command = [sys.executable, "-m", "benchmarks.fleet.distance", str(port), str(round_trip_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.strip().isdecimal():
                raise EdgeAgentError("the way to the broker cannot be opened")
            yield int(line)
        finally:
            process.terminate()


async def _delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Hand on in order, each piece after its time; any number of them is under way."""
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def take() -> None:
        data = b"-"
        while data:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = b""
            pieces.put_nowait((loop.time() + delay_s, data))

    taking = asyncio.create_task(take())
    while True:
        due_s, data = await pieces.get()
        await asyncio.sleep(due_s - loop.time())
        if not data:
            break
        writer.write(data)
    writer.close()
    await taking


async def _serve(port: int, delay_s: float) -> None:
    async def join(near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_delay(near_reader, far_writer, delay_s), _delay(far_reader, near_writer, delay_s))

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    port, round_trip_ms = arguments
    asyncio.run(_serve(int(port), float(round_trip_ms) / 2e3))


if __name__ == "__main__":
    main(sys.argv[1:])

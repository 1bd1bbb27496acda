"""A car in miniature: real outbox, publisher and connection, made-up reads.

As a program, `python -m tests.e2e.car PORT OUTBOX COUNT`: appends COUNT reads, prints each id after its commit,
and ends when the outbox is empty.
"""

import random
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from edge_agent import host
from edge_agent.contract.record import draft
from edge_agent.contract.topics import Topics
from edge_agent.domain import Read
from edge_agent.mqtt import Broker, MqttLink
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher, last_will
from tests.contract.reads import CLOCK, POSITION, SOURCE, make_read

TOPICS = Topics("lpr", "hartford-pd", "car-12")
OWNER = f"{TOPICS.agency}/{TOPICS.vehicle}"


class Car:
    """Runs a publisher on a thread from `with` to its end."""

    def __init__(self, outbox_path: Path, *, broker: Broker, **options: Any) -> None:  # noqa: ANN401 - the publisher's own
        self.outbox = Outbox(path=outbox_path, now=host.now, owner=OWNER)
        link = MqttLink(broker=broker, client_id="hartford-pd-car-12", will=last_will(TOPICS))
        quick: dict[str, Any] = {"resend_after_s": 1.0, "retry_refused_s": 1.0}
        self.publisher = Publisher(outbox=self.outbox, link=link, topics=TOPICS, **(quick | options))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.publisher.run, args=(self._stop,))

    def __enter__(self) -> Self:
        self.outbox.open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.publisher.notify()
        self._thread.join()
        self.outbox.close()

    def see(self, count: int = 1) -> list[UUID]:
        """Read so many plates; they are on disk when this returns."""
        return self.keep([make_read() for _ in range(count)])

    def keep(self, reads: Sequence[Read]) -> list[UUID]:
        """Take reads, corrections among them; they are on disk when this returns."""
        self.outbox.append(
            [
                draft(
                    read,
                    agency=TOPICS.agency,
                    vehicle=TOPICS.vehicle,
                    source=SOURCE,
                    clock=CLOCK,
                    position=POSITION,
                )
                for read in reads
            ]
        )
        self.publisher.notify()
        return [read.id for read in reads]

    def empty(self) -> bool:
        status = self.outbox.status()
        return status.pending + status.sent == 0


def main(port: int, outbox_path: Path, count: int) -> None:
    """Drive past COUNT plates, in small random groups."""
    with Car(outbox_path, broker=Broker("127.0.0.1", port)) as car:
        while count > 0:
            group = min(count, random.randint(1, 5))
            count -= group
            for id_ in car.see(group):
                print(id_, flush=True)
            time.sleep(0.005)
        while not car.empty():
            time.sleep(0.02)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

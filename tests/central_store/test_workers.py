"""Several workers, one database: a real broker, a real server, real processes, and what kills them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge_agent import resources
from edge_agent.contract.receipt import decode_receipt
from edge_agent.mqtt import Broker
from tests.central_store.messages import CAR, JPEG, key_of, payload, picture
from tests.central_store.places import PostgresPlace
from tests.central_store.server import PostgresServer
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.car import Car
from tests.e2e.tap import Tap

PROGRAM = resources.path("examples/central_store") / "store.py"


class Worker:
    """One store of a group, as a process."""

    def __init__(self, name: str, *, broker: Mosquitto, database: str, log: Path) -> None:
        self.log = log
        command = [sys.executable, str(PROGRAM), "--broker", broker.address, "--database", database]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, "--client-id", name, "--group", "stores"], stdout=file, stderr=file
            )

    def listens(self) -> bool:
        return "listening" in self.log.read_text()

    def end(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path)
    mosquitto.start()
    yield mosquitto
    mosquitto.kill()


@pytest.fixture
def workers(tmp_path: Path, broker: Mosquitto, postgres: PostgresPlace) -> Iterator[list[Worker]]:
    made = [
        Worker(name, broker=broker, database=postgres.name, log=tmp_path / f"{name}.log")
        for name in ("store-1", "store-2", "store-3")
    ]
    with ExitStack() as stack:
        for worker in made:
            stack.callback(worker.end)
        wait_until(lambda: all(worker.listens() for worker in made), "the workers to listen")
        yield made


def stored(postgres: PostgresPlace) -> int:
    ((count,),) = postgres.rows("SELECT count(*) FROM reads")
    return int(count)


def test_a_worker_that_is_killed_takes_nothing_with_it(
    tmp_path: Path, broker: Mosquitto, postgres: PostgresPlace, workers: list[Worker]
) -> None:
    with Car(tmp_path / "car" / "outbox.db", broker=Broker("127.0.0.1", broker.port)) as car:
        for _ in range(5):
            car.see(100)
        wait_until(lambda: stored(postgres) > 100, "some reads in the store")
        workers[1].end()
        for _ in range(5):
            car.see(100)
        wait_until(car.empty, "an empty outbox")
        assert car.publisher.counters.receipted >= 1000
    assert postgres.rows("SELECT count(*), count(DISTINCT id), min(seq), max(seq) FROM reads") == [
        (1000, 1000, 1, 1000)
    ]
    assert [workers[index].end(signal.SIGTERM) for index in (0, 2)] == [0, 0]


@pytest.mark.usefixtures("workers")
def test_workers_take_pictures_of_reads_that_any_of_them_took(broker: Mosquitto, postgres: PostgresPlace) -> None:
    jpegs = [JPEG[:3] + bytes([number]) * 2000 * number for number in range(1, 31)]
    reads = [payload(seq, jpeg=jpeg) for seq, jpeg in enumerate(jpegs, 1)]
    keys = {key_of(read, jpeg) for read, jpeg in zip(reads, jpegs, strict=True)}
    with Tap(broker, CAR.receipts) as car:
        for read in reads:
            car.publish(CAR.reads, read)
        wait_until(lambda: stored(postgres) == len(reads), "the reads in the store")
        for read, jpeg in zip(reads, jpegs, strict=True):
            car.publish(picture(read).topic, jpeg)
        wait_until(
            lambda: {key for receipt in car.heard for key in decode_receipt(receipt).image_keys} == keys,
            "the receipts of the pictures",
        )
    rows = postgres.rows("SELECT jpeg FROM images ORDER BY length(jpeg)")
    assert [bytes(jpeg) for (jpeg,) in rows] == jpegs
    assert postgres.rows("SELECT reason FROM rejected") == []


def test_a_server_that_restarts_loses_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    server = PostgresServer()
    server.start()
    place = PostgresPlace(server, "postgres")
    worker = Worker("store-1", broker=broker, database=place.name, log=tmp_path / "store.log")
    with ExitStack() as stack:
        stack.callback(server.remove)
        stack.callback(worker.end)
        wait_until(worker.listens, "the worker to listen")
        with Car(tmp_path / "car" / "outbox.db", broker=Broker("127.0.0.1", broker.port)) as car:
            car.see(50)
            wait_until(car.empty, "an empty outbox")
            server.stop()
            car.see(50)
            wait_until(
                lambda: "trying again" in worker.log.read_text(), "the worker to say that the server is away"
            )
            assert not car.empty()
            server.start()
            wait_until(car.empty, "an empty outbox")
        assert stored(place) == 100
        assert "the database takes reads again" in worker.log.read_text()
        assert worker.end(signal.SIGTERM) == 0

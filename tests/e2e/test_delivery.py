import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent import host
from edge_agent.mqtt import Broker
from edge_agent.outbox import Outbox
from tests.contract.reads import make_read
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.car import OWNER, TOPICS, Car
from tests.e2e.central import CentralStore
from tests.e2e.tap import Tap

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[CentralStore]:
    made = CentralStore(tmp_path, mosquitto)
    yield made
    made.kill()


@pytest.fixture
def outbox_path(tmp_path: Path) -> Path:
    return tmp_path / "car" / "outbox.db"


def broker_of(mosquitto: Mosquitto) -> Broker:
    return Broker("127.0.0.1", mosquitto.port)


def test_reads_arrive_once_and_in_order_and_the_outbox_empties(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    store.start()
    with Car(outbox_path, broker=broker_of(mosquitto)) as car:
        ids = car.see(30) + car.see(20)
        wait_until(car.empty, "an empty outbox")
        assert store.seqs() == list(range(1, 51))
        assert store.ids() == [str(id_) for id_ in ids]
        assert car.publisher.counters.receipted == 50
    assert store.stop() == 0
    gaps = subprocess.run(
        [sys.executable, ROOT / "examples/central_store/store.py", "gaps", "--database", store.database],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (gaps.returncode, gaps.stdout) == (0, "no gaps\n")


def test_a_correction_arrives_beside_its_read_and_both_leave_the_outbox(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    store.start()
    said = make_read("A812CD3")
    with Car(outbox_path, broker=broker_of(mosquitto)) as car:
        car.keep([said])
        wait_until(car.empty, "an empty outbox")
        car.keep([replace(make_read("AB12CD3"), id=said.id, revision=1), make_read("XY98")])
        wait_until(car.empty, "an empty outbox again")
        assert store.ids() == [str(said.id), str(said.id), *store.ids()[2:]]
        assert store.latest() == ["AB12CD3", "XY98"]
        assert car.publisher.counters.receipted == 3


def test_what_the_broker_drops_for_an_absent_store_arrives_all_the_same(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    store.start()
    with Car(outbox_path, broker=broker_of(mosquitto)) as car:
        car.see()
        wait_until(car.empty, "an empty outbox")
        store.stop()
        car.see(40)
        wait_until(lambda: car.publisher.counters.sent >= 41, "acknowledgements without a store")
        assert store.seqs() == [1]
        store.start()
        wait_until(car.empty, "an empty outbox")
    assert store.seqs() == list(range(1, 42))


def test_a_killed_broker_loses_nothing(mosquitto: Mosquitto, store: CentralStore, outbox_path: Path) -> None:
    store.start()
    with Car(outbox_path, broker=broker_of(mosquitto), resend_after_s=3600) as car:  # the reconnection must do it
        car.see(10)
        wait_until(car.empty, "an empty outbox")
        store.kill()
        car.see(10)
        wait_until(lambda: car.publisher.counters.sent >= 20, "acknowledgements without a store")
        mosquitto.kill()  # and with it, what it acknowledged
        car.see(10)
        wait_until(lambda: not car.publisher.counters.connected, "the car to see it")
        assert car.outbox.status().last_seq == 30
        mosquitto.start()
        store.start()
        wait_until(car.empty, "an empty outbox")
        assert car.publisher.counters.connections_lost >= 1
    assert store.seqs() == list(range(1, 31))


def test_a_store_that_is_killed_again_and_again_keeps_each_read_once(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    with Car(outbox_path, broker=broker_of(mosquitto)) as car:
        for _ in range(3):
            store.start()
            car.see(30)
            wait_until(store.seqs, "some reads in the store")
            store.kill()
        store.start()
        wait_until(car.empty, "an empty outbox")
    assert store.seqs() == list(range(1, 91))


def test_a_killed_agent_loses_no_committed_read_and_its_count_has_no_gap(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    store.start()
    committed: list[str] = []
    command = [sys.executable, "-m", "tests.e2e.car", str(mosquitto.port), str(outbox_path)]
    for _ in range(4):
        process = subprocess.Popen([*command, "10000"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout is not None
        goal = random.randint(10, 60)
        committed.extend(line.strip() for line, _ in zip(process.stdout, range(goal), strict=False))
        process.kill()
        committed.extend(line.strip() for line in process.stdout if line.endswith("\n"))
        process.stdout.close()
        process.wait()
    subprocess.run([*command, "3"], check=True, stdout=subprocess.DEVNULL, cwd=ROOT, timeout=120)
    ids, seqs = store.ids(), store.seqs()
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(set(ids)) == len(ids)
    assert set(committed) <= set(ids)
    with Outbox(path=outbox_path, now=host.now, owner=OWNER) as outbox:
        status = outbox.status()
    assert (status.last_seq, status.pending, status.sent) == (len(seqs), 0, 0)


def test_reads_wait_on_disk_while_nobody_is_subscribed(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    with Car(outbox_path, broker=broker_of(mosquitto)) as car:
        car.see(3)
        wait_until(lambda: car.publisher.counters.refused >= 3, "the broker to say that nobody is there")
        assert "nobody takes the reads" in str(car.publisher.counters.problem)
        assert car.outbox.status().pending == 3
        store.start()
        wait_until(car.empty, "an empty outbox")
    assert store.seqs() == [1, 2, 3]


def test_receipts_that_make_no_sense_harm_nothing(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    with Car(outbox_path, broker=broker_of(mosquitto)) as car, Tap(mosquitto) as tap:
        wait_until(lambda: car.publisher.counters.connected, "a connection")
        car.see(2)
        for payload in (b"not json", b"{}", b'{"ids":["x"]}', b'{"through_seq":99}'):
            tap.publish(TOPICS.receipts, payload)
        tap.publish(TOPICS.receipts, b'{"ids":["018f0000-0000-7000-8000-000000000000"]}')
        tap.publish("lpr/v1/hartford-pd/car-13/receipts", b'{"through_seq":2}')
        wait_until(lambda: car.publisher.counters.bad_receipts == 4, "the bad receipts to be counted")
        wait_until(lambda: car.publisher.counters.unknown_receipts == 1, "the unknown id to be counted")
        assert car.outbox.status().last_seq == 2
        assert not car.empty()
        store.start()
        wait_until(car.empty, "an empty outbox")
    assert store.seqs() == [1, 2]


def test_a_bad_record_is_rejected_in_one_line_and_stops_nobody(
    mosquitto: Mosquitto, store: CentralStore, outbox_path: Path
) -> None:
    store.start()
    with Car(outbox_path, broker=broker_of(mosquitto)) as car, Tap(mosquitto) as tap:
        tap.publish(TOPICS.reads, b"not json")
        tap.publish(TOPICS.reads, b"not json")
        tap.publish("lpr/v1/hartford-pd/car 13/reads", b"{}")
        car.see(3)
        wait_until(car.empty, "an empty outbox")
        wait_until(lambda: len(store.rejected()) == 2, "the bad records to be kept")
    assert store.seqs() == [1, 2, 3]
    assert store.log().count("rejected on lpr/v1/hartford-pd/car-12/reads: read record: message: Invalid JSON") == 2


def test_the_state_topic_tells_online_stopped_and_offline(mosquitto: Mosquitto, outbox_path: Path) -> None:
    with Tap(mosquitto, TOPICS.state) as tap:
        with Car(outbox_path, broker=broker_of(mosquitto)):
            wait_until(lambda: tap.heard == [b"online"], "online")
        wait_until(lambda: tap.heard == [b"online", b"stopped"], "stopped")
        command = [sys.executable, "-m", "tests.e2e.car", str(mosquitto.port), str(outbox_path), "1"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        wait_until(lambda: tap.heard[2:] == [b"online"], "online again")
        process.kill()
        process.wait()
        wait_until(lambda: tap.heard[3:] == [b"offline"], "the last will")

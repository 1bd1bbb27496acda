"""`edge-agent run` as systemd runs it: a process with a configuration, a watchdog and signals."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent import host
from edge_agent.errors import OutboxError
from edge_agent.outbox import Outbox, OutboxStatus, read_status
from edge_agent.outbox.salvage import SKIPPED
from edge_agent.wiring import OUTBOX_FILE
from tests.cli.program import COMMAND, edge_agent, environment
from tests.e2e.broker import Mosquitto, free_port, wait_until
from tests.e2e.central import CentralStore

SIM = 'kind = "sim"\nseconds = {seconds}\n'


@dataclass
class Car:
    """A configuration, its state directory and the socket on which systemd would listen."""

    directory: Path
    state: Path
    notices: socket.socket
    told_so_far: list[str] = field(default_factory=list)

    def configure(self, *, port: int, cameras: dict[str, str], more: str = "") -> None:
        (self.directory / "cameras").mkdir(parents=True, exist_ok=True)
        (self.directory / "agent.toml").write_text(
            '[vehicle]\nagency = "test"\nid = "car-1"\n'
            f'[state]\ndirectory = "{self.state}"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\ntls = false\n{more}\n'
        )
        for name, text in cameras.items():
            (self.directory / "cameras" / f"{name}.toml").write_text(text)

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Run the service; it is killed if the test fails."""
        extra = {"NOTIFY_SOCKET": str(self.notices.getsockname()), "WATCHDOG_USEC": "60000000"}
        with subprocess.Popen(
            [*COMMAND, "run", "--config", str(self.directory)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(extra),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def told(self, notice: str) -> bool:
        """Whether the service manager has been told this by now."""
        return any(notice in one for one in self.told_so_far)

    def listen(self) -> None:
        """Take notices as they come, until the socket is shut."""
        while notice := self.notices.recv(4096):
            self.told_so_far.append(notice.decode())

    def outbox(self) -> OutboxStatus | None:
        try:
            return read_status(self.state / OUTBOX_FILE)
        except OutboxError:
            return None

    def committed(self) -> int:
        status = self.outbox()
        return status.last_seq if status else 0


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(tmp_path / "notify"))
        car = Car(directory=tmp_path / "config", state=tmp_path / "state", notices=notices)
        listening = threading.Thread(target=car.listen)
        listening.start()
        yield car
        notices.shutdown(socket.SHUT_RD)
        listening.join()


@pytest.fixture
def store(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[CentralStore]:
    store = CentralStore(tmp_path, mosquitto)
    store.start()
    yield store
    store.kill()


def stopped(process: subprocess.Popen[str]) -> str:
    """Ask it to end as systemd does; give what it logged."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return log


def test_without_a_broker_it_reads_on_buffers_and_feeds_the_watchdog(car: Car) -> None:
    car.configure(port=free_port(), cameras={"front": SIM.format(seconds=600)})
    with car.running() as process:
        wait_until(lambda: car.told("READY=1"), "READY=1")
        wait_until(lambda: car.told("WATCHDOG=1"), "WATCHDOG=1")
        wait_until(lambda: car.committed() >= 2, "two committed reads")
        log = stopped(process)
    assert "refuses connections: check that it runs and that the port is right" in log
    assert car.told("STOPPING=1")
    status = car.outbox()
    assert status is not None
    assert status.pending == status.last_seq


def test_kill_9_while_reading_loses_no_committed_read_and_leaves_no_gap(car: Car) -> None:
    car.configure(port=free_port(), cameras={"front": SIM.format(seconds=600)})
    with car.running() as process:
        wait_until(lambda: car.committed() >= 2, "two committed reads")
        process.kill()
        process.communicate()
    before = car.committed()
    with car.running() as process:
        wait_until(lambda: car.committed() > before, "a read after the restart")
        stopped(process)
    status = car.outbox()
    assert status is not None
    assert status.pending == status.last_seq > before


def test_a_camera_that_is_not_there_does_not_stop_the_others(car: Car) -> None:
    missing = 'kind = "files"\npath = "/nowhere/drive.mp4"\n'
    car.configure(port=free_port(), cameras={"front": SIM.format(seconds=600), "rear": missing})
    with car.running() as process:
        wait_until(lambda: car.told("READY=1"), "READY=1")
        wait_until(lambda: car.committed() >= 1, "a committed read")
        log = stopped(process)
    assert log.count("camera rear: /nowhere/drive.mp4: there is no such file or directory") == 1


def test_plates_and_positions_stay_out_of_the_log(car: Car) -> None:
    car.configure(port=free_port(), cameras={"front": SIM.format(seconds=8)})
    with car.running() as process:
        _, log = process.communicate(timeout=90)
    assert process.returncode == 0
    assert car.committed() >= 2
    assert "confidence" not in log
    for record in map(json.loads, payloads(car)):
        assert record["plate"]["text"] not in log


def payloads(car: Car) -> list[str]:
    """What waits in the outbox of a car that is not running."""
    with Outbox(path=car.state / OUTBOX_FILE, now=host.now, owner="test/car-1") as outbox:
        return [row.payload.decode() for row in outbox.take(limit=1000)]


def refusal(car: Car) -> tuple[int, str]:
    """The exit status and the one line with which a service ends that cannot work, after the warning of no key."""
    done = edge_agent("run", "--config", car.directory)
    warning, line = done.stderr.splitlines()
    assert "state.key_file: is not set" in warning
    return done.returncode, line


def test_a_state_directory_that_cannot_be_written_is_for_a_person(car: Car) -> None:
    car.state.write_text("a file")
    car.state = car.state / "below"
    car.configure(port=free_port(), cameras={"front": SIM.format(seconds=60)})
    status, line = refusal(car)
    assert status == 78
    assert "state directory" in line


def test_a_damaged_outbox_is_kept_and_the_car_reads_on(car: Car) -> None:
    car.state.mkdir()
    (car.state / OUTBOX_FILE).write_bytes(b"garbage " * 900)
    car.configure(port=free_port(), cameras={"front": SIM.format(seconds=600)})
    with car.running() as process:
        wait_until(lambda: car.told("READY=1"), "READY=1")
        wait_until(lambda: car.committed() > SKIPPED, "a committed read")
        log = stopped(process)
    assert "was damaged: 0 reads and 0 pictures could be saved" in log
    (kept,) = car.state.glob(f"{OUTBOX_FILE}.damaged-*")
    assert kept.read_bytes() == b"garbage " * 900


def test_altered_weights_are_for_a_person(car: Car, tmp_path: Path) -> None:
    models = shutil.copytree(Path(__file__).parents[2] / "models", tmp_path / "models")
    for file in models.glob("*.onnx"):
        file.write_bytes(file.read_bytes() + b"\0")
    car.configure(
        port=free_port(), cameras={"front": SIM.format(seconds=60)}, more=f'[models]\ndirectory = "{models}"'
    )
    status, line = refusal(car)
    assert status == 78
    assert "not the file the manifest names" in line


def test_a_second_agent_on_the_same_outbox_is_refused_and_the_first_goes_on(car: Car) -> None:
    car.configure(port=free_port(), cameras={"front": SIM.format(seconds=600)})
    with car.running() as process:
        wait_until(lambda: car.told("READY=1"), "READY=1")
        status, line = refusal(car)
        assert status == 1
        assert f"another agent is using it (pid {process.pid})" in line
        wait_until(lambda: car.committed() >= 1, "a committed read")
        stopped(process)


def test_the_whole_chain_survives_kill_9_of_the_car_and_of_the_broker(
    car: Car, mosquitto: Mosquitto, store: CentralStore
) -> None:
    car.configure(port=mosquitto.port, cameras={"front": SIM.format(seconds=600)}, more="resend_after_s = 2.0")
    with car.running() as process:
        wait_until(lambda: len(store.seqs()) >= 2, "two reads in the store")
        mosquitto.kill()
        before = car.committed()
        wait_until(lambda: car.committed() >= before + 2, "reads while the broker is dead")
        process.kill()
        process.communicate()
    mosquitto.start()
    with car.running() as process:
        wait_until(lambda: len(store.seqs()) > before + 2, "the reads of both lives in the store")
        stopped(process)
    status = car.outbox()
    assert status is not None
    held = {row["seq"] for row in map(json.loads, payloads(car))}
    assert sorted({*store.seqs(), *held}) == list(range(1, status.last_seq + 1))
    assert len(store.ids()) == len(set(store.ids()))

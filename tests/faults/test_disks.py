"""A disk that is full, read-only or fails: no wedge, one line in the log, and all goes on when it heals."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edge_agent.errors import OutboxError, StateDirectoryError
from edge_agent.outbox import Bounds, Outbox, contents, read_status
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.central import CentralStore
from tests.faults.amount import FULL, amount
from tests.faults.disk import shim, watched
from tests.faults.obligations import owed
from tests.faults.small_agent import SmallAgent
from tests.outbox.test_outbox import OWNER, Clock, Note

ROOT = Path(__file__).parents[2]
MB = 1024 * 1024


@contextmanager
def disk_of(directory: Path, size_mb: int) -> Iterator[Path]:
    """A small disk of its own, in memory; root alone may make one."""
    directory.mkdir()
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", directory]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk in memory can be mounted by root alone")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def fill(file: Path) -> None:
    """Take all the room there is."""
    with file.open("wb", buffering=0) as filler:
        for size in (MB, 4096, 1):
            with pytest.raises(OSError, match="No space left on device"):  # noqa: PT012 - at some write
                while True:
                    filler.write(b"x" * size)


def delete_log(outbox: Path) -> None:
    """And the room that it keeps, as one does who moves the outbox's file alone."""
    for suffix in ("-wal", "-shm"):
        outbox.with_name(outbox.name + suffix).unlink()


FAULTS = {
    "writes, syncs and names fail": (errno.EIO, "wsn"),
    "writes fail": (errno.EIO, "w"),
    "syncs fail": (errno.EIO, "s"),
    "read-only": (errno.EROFS, "wsn"),
    "full": (errno.ENOSPC, "wn"),
}


@pytest.mark.parametrize("fault", list(FAULTS)[: None if FULL else 1])
def test_a_disk_that_fails_while_the_agent_runs_costs_no_read(
    tmp_path: Path, mosquitto: Mosquitto, fault: str
) -> None:
    number, letters = FAULTS[fault]
    switch = tmp_path / "fault"
    environment = watched(shim(tmp_path), tmp_path / "state", fault=switch)
    agent, store = SmallAgent(tmp_path, mosquitto.port, environment=environment), CentralStore(tmp_path, mosquitto)
    try:
        store.start()
        agent.start()
        agent.reads_on(more=5)
        for time in range(1, amount(2, 10)):
            switch.write_text(f"{number} {letters}")
            wait_until(lambda: agent.log().count("waiting in memory") >= time, "the alarm")  # noqa: B023
            before = len(agent.offered())
            wait_until(lambda: len(agent.offered()) > before + 5, "the agent to read on")  # noqa: B023
            switch.unlink()
            wait_until(lambda: agent.log().count("the disk takes reads again") >= time, "it to recover")  # noqa: B023
            agent.reads_on(more=3)
        agent.stop()  # which commits what is still open
        agent.start()
        agent.reads_on()
        offered, committed = set(agent.offered()), agent.committed()
        wait_until(lambda: not owed(committed, store.database), "every committed read in the store")
        agent.stop()
        assert offered <= agent.committed().keys()  # what the disk refused waited in memory
    finally:
        agent.kill()
        store.kill()
    alarms = [line for line in agent.log().splitlines() if "waiting in memory" in line]
    assert len(alarms) < 2 * amount(2, 10)
    assert "Traceback" not in agent.log()


def test_a_disk_that_others_fill_takes_reads_again_once_there_is_room(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with disk_of(tmp_path / "state", 16) as disk:
        agent, store = SmallAgent(tmp_path, mosquitto.port), CentralStore(tmp_path, mosquitto)
        try:
            agent.start()
            agent.reads_on(more=5)
            fill(disk / "filler")
            wait_until(lambda: "waiting in memory" in agent.log(), "the alarm")
            assert "the disk is full" in agent.log()
            store.start()
            before = len(agent.offered())
            wait_until(lambda: len(agent.offered()) > before + 5, "the agent to read on")
            (disk / "filler").unlink()
            wait_until(lambda: "the disk takes reads again" in agent.log(), "it to recover")
            agent.reads_on(more=5)
            offered, committed = set(agent.offered()), agent.committed()
            wait_until(lambda: not owed(committed, store.database), "every committed read in the store")
            agent.stop()
            assert offered <= agent.committed().keys()
        finally:
            agent.kill()
            store.kill()


def test_an_outbox_that_fills_up_by_itself_leaves_room_to_delete_and_every_place_is_told(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with disk_of(tmp_path / "small", 24) as disk:
        path, quota = disk / "outbox.db", 4 * MB
        with Outbox(path=path, now=Clock(), owner=OWNER, bounds=Bounds(quota_bytes=quota)) as outbox:
            for _ in range(amount(40, 400)):
                outbox.append([Note(size=900) for _ in range(200)])
            assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > 4 * MB
            rows = outbox.take(limit=100_000)
            missing = {
                seq
                for gap in outbox.take_gaps(limit=100_000)
                for first, last in gap.ranges
                for seq in range(first, last + 1)
            }
            assert {row.seq for row in rows} | missing == set(range(1, amount(40, 400) * 200 + 1))
            assert len(rows) > 2000
            assert outbox.receipted([row.key for row in rows]) == len(rows)
            assert outbox.status().pending == 0


@pytest.mark.parametrize("is_emptied", [True, False], ids=["the log is empty", "the log is in use"])
def test_an_outbox_on_a_disk_without_a_free_byte_can_let_its_reads_go_and_take_as_many(
    tmp_path: Path, is_emptied: bool
) -> None:
    with (
        disk_of(tmp_path / "state", 32) as disk,
        Outbox(path=disk / "outbox.db", now=Clock(), owner=OWNER) as outbox,
    ):
        waiting = [Note(size=900) for _ in range(2000)]
        outbox.append(waiting)
        if is_emptied:
            outbox.expire()
        fill(disk / "filler")
        with pytest.raises(OutboxError, match="the disk is full: make room on it first"):  # noqa: PT012 - at some read
            for _ in range(2000):
                outbox.append([Note(size=900)])
        left = [row.key for row in outbox.take(limit=9999)]
        for start in range(0, len(left), 100):
            assert outbox.receipted(left[start : start + 100]) == len(left[start : start + 100])
            outbox.expire()
        for _ in range(20):
            outbox.append([Note(size=900) for _ in range(50)])
        (disk / "filler").unlink()
        outbox.append([Note(size=900) for _ in range(3000)])
        assert outbox.status().pending == 4000


UNTIL_FULL = """
import os, signal, sys
from pathlib import Path
from edge_agent.errors import OutboxError
from edge_agent.outbox import Outbox
from tests.faults.test_disks import fill
from tests.outbox.test_outbox import OWNER, Clock, Note
outbox = Outbox(path=Path(sys.argv[1]), now=Clock(), owner=OWNER, key=bytes.fromhex(sys.argv[2]) or None)
outbox.open()
for _ in range(int(sys.argv[4])):
    outbox.append([Note(size=900)])
if "full" in sys.argv[3]:
    fill(Path(sys.argv[1]).with_name("filler"))
    try:
        while True:
            outbox.append([Note(size=900)])
    except OutboxError:
        pass
if "killed" in sys.argv[3]:
    os.kill(os.getpid(), signal.SIGKILL)
outbox.close()
"""


@pytest.mark.parametrize("key", [b"", b"k" * 32], ids=["plain", "with a key"])
@pytest.mark.parametrize("how", ["stopped when it is full", "killed when it is full", "stopped", "killed"])
@pytest.mark.parametrize("before", [160, 1, 250, 280][: None if FULL else 1])
def test_a_service_that_ended_starts_on_a_full_disk_and_lets_reads_go(
    tmp_path: Path, key: bytes, how: str, before: int
) -> None:
    with disk_of(tmp_path / "state", 128) as disk:
        path = disk / "outbox.db"
        subprocess.run([sys.executable, "-c", UNTIL_FULL, path, key.hex(), how, str(before)], check=False, cwd=ROOT)
        fill(disk / "rest")
        waiting = read_status(path, key=key or None).pending
        assert waiting >= before
        for _ in range(2):  # what it writes to start leaves as much room as there was
            with Outbox(path=path, now=Clock(), owner=OWNER, key=key or None) as outbox:
                assert outbox.status().pending == waiting
                with suppress(OutboxError):
                    for _ in range(5000):
                        outbox.append([Note(size=900)])
                        waiting += 1
        with Outbox(path=path, now=Clock(), owner=OWNER, key=key or None) as outbox:
            assert outbox.status().pending == waiting
            while rows := outbox.take(limit=100):
                assert outbox.receipted([row.key for row in rows]) == len(rows)
            outbox.append([Note(size=900)])
            assert outbox.status().pending == 1


def test_a_disk_without_a_free_byte_takes_reads_as_long_as_the_store_lets_others_go(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with disk_of(tmp_path / "state", 16) as disk:
        agent, store = SmallAgent(tmp_path, mosquitto.port), CentralStore(tmp_path, mosquitto)
        try:
            store.start()
            agent.start()
            agent.reads_on(more=5)
            wait_until(lambda: not owed(agent.committed(), store.database), "the first reads in the store")
            fill(disk / "filler")
            agent.reads_on(more=20)
            offered, committed = set(agent.offered()), agent.committed()
            wait_until(lambda: not owed(committed, store.database), "every committed read in the store")
            agent.stop()
            assert offered <= agent.committed().keys()
            assert "the disk is full" not in agent.log()
        finally:
            agent.kill()
            store.kill()


def test_deletes_work_on_a_disk_without_a_free_byte_once_the_log_has_its_size(tmp_path: Path) -> None:
    with disk_of(tmp_path / "small", 24) as disk:
        path = disk / "outbox.db"
        with Outbox(path=path, now=Clock(), owner=OWNER, bounds=Bounds(quota_bytes=2 * MB)) as outbox:
            for _ in range(60):
                outbox.append([Note(size=900) for _ in range(50)])
            fill(disk / "filler")
            while rows := outbox.take(limit=170):
                assert outbox.receipted([row.key for row in rows]) == len(rows)
            outbox.append([Note(size=900)])


def test_a_read_only_disk_at_the_start_is_for_a_person_and_said_in_one_line(tmp_path: Path) -> None:
    with disk_of(tmp_path / "small", 4) as disk:
        path = disk / "outbox.db"
        with Outbox(path=path, now=Clock(), owner=OWNER) as outbox:
            outbox.append([Note()])
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(StateDirectoryError, match=r"cannot be written \(Read-only file system\)") as caught:
            Outbox(path=path, now=Clock(), owner=OWNER).open()
        assert "\n" not in str(caught.value)
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        with Outbox(path=path, now=Clock(), owner=OWNER) as outbox:
            assert outbox.append([Note()]) == (2,)


OPENS = """
import sys
from pathlib import Path
from edge_agent.errors import EdgeAgentError
from edge_agent.outbox import Outbox
from tests.outbox.test_outbox import OWNER, Clock
try:
    Outbox(path=Path(sys.argv[1]), now=Clock(), owner=OWNER).open()
except EdgeAgentError as error:
    print(error)
    sys.exit(error.exit_status)
"""


@pytest.mark.parametrize("fails", ["w", "s", "n", "wsn"])
def test_a_disk_that_fails_at_the_start_is_for_time(tmp_path: Path, fails: str) -> None:
    path, fault = tmp_path / "state" / "outbox.db", tmp_path / "fault"
    path.parent.mkdir()
    fault.write_text(f"{errno.EIO} {fails}")
    opens: list[str | Path] = [sys.executable, "-c", OPENS, path]
    done = subprocess.run(
        opens, check=False, cwd=ROOT, env=watched(shim(tmp_path), path.parent, fault=fault),
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (1, "", 1)
    assert subprocess.run(opens, check=False, cwd=ROOT).returncode == 0


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "without its log"])
def test_a_full_disk_at_the_start_is_for_time(tmp_path: Path, *, is_new: bool) -> None:
    with disk_of(tmp_path / "small", 24) as disk:
        path = disk / "state" / "outbox.db"
        if not is_new:
            with Outbox(path=path, now=Clock(), owner=OWNER) as outbox:
                outbox.append([Note()])
            delete_log(path)
        fill(disk / "filler")
        with pytest.raises(OutboxError, match="the disk is full") as caught:
            Outbox(path=path, now=Clock(), owner=OWNER).open()
        assert caught.value.exit_status == 1
        (disk / "filler").unlink()
        with Outbox(path=path, now=Clock(), owner=OWNER) as outbox:
            assert outbox.append([Note()]) == ((1,) if is_new else (2,))


@pytest.mark.parametrize("key", [None, b"k" * 32], ids=["plain", "with a key"])
def test_an_outbox_on_a_full_disk_can_be_looked_at_without_the_index_of_its_log(
    tmp_path: Path, key: bytes | None
) -> None:
    with disk_of(tmp_path / "small", 24) as disk:
        path = disk / "state" / "outbox.db"
        with Outbox(path=path, now=Clock(), owner=OWNER, key=key) as outbox:
            outbox.append([Note(900) for _ in range(300)])
        path.with_name("outbox.db-shm").unlink()
        fill(disk / "filler")
        assert read_status(path, key=key).pending == 300
        assert len(list(contents(path, key=key))) == 300


@pytest.mark.parametrize("has_log", [True, False], ids=["with its log", "without"])
@pytest.mark.parametrize("key", [None, b"k" * 32], ids=["plain", "with a key"])
def test_an_outbox_on_a_full_disk_can_be_looked_at_and_exported(
    tmp_path: Path, key: bytes | None, *, has_log: bool
) -> None:
    with disk_of(tmp_path / "small", 24) as disk:
        path = disk / "state" / "outbox.db"
        with Outbox(path=path, now=Clock(), owner=OWNER, key=key) as outbox:
            outbox.append([Note(900) for _ in range(300)])
        if not has_log:
            delete_log(path)
        fill(disk / "filler")
        for _ in range(2):  # what the first leaves beside the file does not stop the second
            assert read_status(path, key=key).pending == 300
            assert len(list(contents(path, key=key))) == 300
        outbox = Outbox(path=path, now=Clock(), owner=OWNER, key=key)
        if has_log:
            with outbox:
                assert outbox.purge().reads == 300
        else:
            with pytest.raises(OutboxError, match="the disk is full: make room on it first"):
                outbox.open()
            (disk / "filler").unlink()
            with outbox:
                assert outbox.purge().reads == 300


def test_on_a_full_disk_nothing_is_left_out_that_only_the_log_holds(tmp_path: Path) -> None:
    with disk_of(tmp_path / "small", 24) as disk:
        path = disk / "state" / "outbox.db"
        with Outbox(path=path, now=Clock(), owner=OWNER) as outbox:
            outbox.append([Note(900) for _ in range(300)])
            copies = {one: one.read_bytes() for one in path.parent.iterdir() if not one.name.endswith("-shm")}
        delete_log(path)
        for file, content in copies.items():  # as a power cut leaves them
            file.write_bytes(content)
        fill(disk / "filler")
        with pytest.raises(OutboxError, match="the disk is full: make room on it first"):
            read_status(path)
        (disk / "filler").unlink()
        assert read_status(path).pending == 300

"""`edge-agent outbox`, as a technician with a stick uses it."""

import os

import pytest

from edge_agent import host
from edge_agent.contract.receipt import Receipt
from edge_agent.domain import Jpeg
from edge_agent.outbox import Outbox
from edge_agent.wiring import OUTBOX_FILE
from tests.cli.car import OWNER, Car
from tests.cli.program import edge_agent


def test_the_status_counts_beside_a_running_agent(car: Car) -> None:
    car.see(3)
    with car.outbox() as outbox:
        outbox.mark_sent([1])
        outbox.quarantine(2, why="too large")
        found = car.status()
        assert (found["owner"], found["pending"], found["sent"], found["quarantined"]) == (OWNER, 1, 1, 1)
        assert (found["gaps"], found["last_seq"], found["left"]) == (1, 3, {})
        outbox.purge()
    done = car.run("status")
    lines = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert lines["pending"].startswith("pending      0")
    assert lines["left"] == "left         3   (purged: deleted without a receipt)"


def test_receipts_of_another_vehicle_are_refused(car: Car) -> None:
    car.see(1)
    with car.outbox() as outbox:
        (row,) = outbox.take(limit=9)
    for name, status in (
        ("receipts-hpd-car-1.jsonl", 78),
        ("receipts-hpd-car-13.jsonl", 78),
        ("receipts-hpd-car-12 (1).jsonl", 0),
    ):
        file = car.stick / name
        file.write_bytes(Receipt.of([row.key]).encode())
        done = car.run("receipts", file)
        assert done.returncode == status
        refused = (
            f"edge-agent: {file}: holds, by its name, receipts of {file.stem[9:]}, which are not for {OWNER}\n"
        )
        assert done.stderr == (refused if status else "")
    car.see(1)
    car.configure(vehicle="car-13")
    done = car.run("receipts", file)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1


def test_a_receipt_for_a_whole_count_deletes_what_was_sent(car: Car) -> None:
    car.see(3)
    with car.outbox() as outbox:
        outbox.mark_sent([1, 2])
    file = car.stick / "receipts.jsonl"
    file.write_text('{"through_seq": 9}\n')
    done = car.run("receipts", file)
    assert done.returncode == 1
    beyond = "through_seq 9 is beyond the last read of this outbox: it is of another vehicle"
    assert done.stderr == f"edge-agent: {file}:1: {beyond}\n"
    file.write_text('{"through_seq": 3}\n')
    done = car.run("receipts", file)
    assert done.stdout == "with the store, and no more in the outbox: 2 reads, 0 pictures, 0 gap records\n"
    done = car.run("receipts", file)
    assert (done.returncode, car.status()["pending"]) == (0, 1)
    assert "only those that the broker has acknowledged leave" in done.stderr


@pytest.mark.parametrize("before", [b"\n", b" \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_what_an_editor_adds_to_receipts_does_no_harm(car: Car, before: bytes) -> None:
    car.see(2)
    with car.outbox() as outbox:
        one, two = (Receipt.of([row.key]).encode() for row in outbox.take(limit=9))
    file = car.stick / "receipts.jsonl"
    file.write_bytes(before + one + b"\n\n" + two + b"\n")
    done = car.run("receipts", file)
    assert (done.returncode, done.stderr, car.status()["pending"]) == (0, "", 0)


def test_receipts_come_back_on_the_stick(car: Car) -> None:
    car.see(3)
    with car.outbox() as outbox:
        keys = [row.key for row in outbox.take(limit=9)]
        outbox.not_written(1)
        (gap,) = outbox.take_gaps(limit=9)
    file = car.stick / "receipts.jsonl"
    file.write_bytes(Receipt.of(keys[:2]).encode() + b"\n" + Receipt.of([], gaps=[gap.id]).encode() + b"\n{half")
    done = car.run("receipts", file)
    assert done.returncode == 1
    assert done.stdout == "with the store, and no more in the outbox: 2 reads, 0 pictures, 1 gap record\n"
    assert done.stderr == f"edge-agent: {file}:3: is damaged, or no receipt\n"
    assert (car.status()["pending"], car.status()["gaps"]) == (1, 0)
    file.write_bytes(Receipt.of(keys).encode())
    assert car.run("receipts", file).returncode == 0
    assert car.status()["pending"] == 0
    done = car.run("receipts", file)
    nothing = f"nothing in {file} is in this outbox: it is of another vehicle, or was taken before"
    assert (done.returncode, done.stderr) == (0, f"edge-agent: {nothing}\n")


def test_a_file_that_is_no_receipts_is_one_line(car: Car) -> None:
    car.see(30)
    car.run("export", car.stick)
    (export,) = car.stick.iterdir()
    (car.stick / "junk").write_bytes(b"\x00junk\n" * 20)
    (car.stick / "empty").touch()
    for file in (export, car.stick / "junk", car.stick / "empty"):
        done = car.run("receipts", file)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"edge-agent: {file}: holds no receipts: ")
        assert len(done.stderr.splitlines()) == 1
    (car.stick / "half").write_text("{}\n" * 20)
    done = car.run("receipts", car.stick / "half")
    assert len(done.stderr.splitlines()) == 6
    assert done.stderr.endswith("... and 15 more such lines\n")


def test_a_purge_must_be_meant_and_tells_the_store(car: Car) -> None:
    car.see(3, image=Jpeg(b"\xff\xd8\xff a plate", 120, 60))
    done = car.run("purge")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "edge-agent: nothing was deleted: --yes says that it is meant\n"
    assert car.run("purge", "--yes", "--older-than", "1 hour").stdout == "0 reads and 0 pictures deleted\n"
    assert car.run("purge", "--yes").stdout == "3 reads and 3 pictures deleted\n"
    assert (car.status()["pending"], car.status()["gaps"], car.status()["left"]) == (0, 1, {"purged": 3})


def test_a_purge_counts_nothing_that_a_damage_took(car: Car) -> None:
    car.see(3, image=Jpeg(b"\xff\xd8\xff" + bytes(9000), 120, 60))
    file = car.directory / "state" / OUTBOX_FILE
    with file.open("r+b") as damaged:
        damaged.seek(-2 * 4096, os.SEEK_END)  # a part of the last picture, which no count looks at
        damaged.write(os.urandom(4096))
    done = car.run("purge", "--yes", "--older-than", "1 hour")
    assert "3 reads and 2 pictures could be saved" in done.stderr
    assert done.stdout == "0 reads and 0 pictures deleted\n"
    (kept,) = file.parent.glob(f"{OUTBOX_FILE}.damaged-*")
    assert car.status()["damaged"] == {kept.name: kept.stat().st_size}
    assert f"put aside    {kept.name}   (" in car.run("status").stdout


@pytest.mark.parametrize("command", [("purge", "--yes"), ("receipts", "receipts.jsonl")])
def test_what_changes_the_outbox_waits_for_the_service_to_stop(car: Car, command: tuple[str, ...]) -> None:
    car.see(1)
    (car.directory / "receipts.jsonl").write_text("{}")
    with car.outbox():
        done = car.run(*(car.directory / one if one.endswith("jsonl") else one for one in command))
    assert done.returncode == 1
    assert "stop the service first (systemctl stop edge-agent)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert car.status()["pending"] == 1


def test_without_an_outbox_none_is_made(car: Car) -> None:
    for command in ("status", f"export {car.stick}", "purge --yes"):
        done = car.run(*command.split())
        assert done.returncode == 1
        assert "there is no such file" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (car.directory / "state").exists()
    assert list(car.stick.iterdir()) == []


@pytest.mark.parametrize("key", ["", "abc", "g" * 64, "00" * 31])
def test_a_key_that_is_none_is_one_line(car: Car, key: str) -> None:
    (car.config / "outbox.key").write_text(key)
    done = car.run("status")
    assert done.returncode == 78
    assert "outbox.key: its first line should be 64 hexadecimal digits" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_wrong_key_is_said(car: Car) -> None:
    car.see(1)
    (car.config / "outbox.key").write_text("00" * 32)
    for done in (car.run("purge", "--yes"), car.run("status"), edge_agent("check", car.config)):
        assert done.returncode == 78
        assert "is encrypted with another key than that of state.key_file" in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("age", ["soon", "", " "])
def test_a_wrong_age_is_a_usage_error(car: Car, age: str) -> None:
    car.see(1)
    done = car.run("purge", "--yes", "--older-than", age)
    assert done.returncode == 2
    assert 'should be a time such as "21 days"' in done.stderr
    assert car.status()["pending"] == 1


def test_an_outbox_that_is_not_encrypted_yet_can_be_looked_at(car: Car) -> None:
    with Outbox(path=car.directory / "state" / OUTBOX_FILE, now=host.now, owner=OWNER) as outbox:
        outbox.not_written(1)
    assert car.status()["gaps"] == 1
    assert edge_agent("check", car.config).returncode == 0

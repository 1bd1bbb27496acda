"""`edge-agent outbox`, as a technician with a stick uses it."""

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from edge_agent import host
from edge_agent.contract.gap import decode_gap
from edge_agent.contract.image import decode_image
from edge_agent.contract.line import record_of
from edge_agent.contract.receipt import Receipt
from edge_agent.contract.record import decode_read, draft
from edge_agent.domain import Jpeg
from edge_agent.outbox import Outbox
from edge_agent.wiring import OUTBOX_FILE
from tests.cli.program import edge_agent
from tests.contract.reads import CLOCK, SOURCE, make_read
from tests.faults.certificates import Authority

OWNER = "hpd/car-12"
KEY = b"k" * 32


class Car:
    """A configuration with an outbox."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config"
        self.stick = directory / "stick"
        (self.config / "cameras").mkdir(parents=True)
        self.stick.mkdir()
        (self.config / "cameras" / "sim.toml").write_text('kind = "sim"\n')
        (self.config / "outbox.key").write_text(f"{KEY.hex()}\n")
        (self.config / "outbox.key").chmod(0o600)
        self.configure()

    def configure(self, more: str = "", *, vehicle: str = "car-12") -> None:
        (self.config / "agent.toml").write_text(
            f'[vehicle]\nagency = "hpd"\nid = "{vehicle}"\n[state]\ndirectory = "{self.directory / "state"}"\n'
            f'key_file = "outbox.key"\n{more}'
        )

    def outbox(self) -> Outbox:
        return Outbox(path=self.directory / "state" / OUTBOX_FILE, now=host.now, owner=OWNER, key=KEY)

    def see(self, count: int, *, image: Jpeg | None = None) -> None:
        said = {"agency": "hpd", "vehicle": "car-12", "source": SOURCE, "clock": CLOCK, "position": None}
        reads = [draft(make_read(), **said, image=image) for _ in range(count)]  # type: ignore[arg-type]
        with self.outbox() as outbox:
            outbox.append(reads)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return edge_agent("outbox", *map(str, arguments), "--config", self.config)

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.run("status", "--jsonl").stdout)
        return found


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path)


def records(exported: bytes) -> list[bytes]:
    return [record_of(line) for line in exported.splitlines()]


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


def test_what_is_exported_is_what_would_be_sent_and_stays(car: Car) -> None:
    car.see(3)
    with car.outbox() as outbox:
        outbox.quarantine(2, why="too large")
        done = car.run("export", car.stick)
    assert done.returncode == 0
    assert done.stderr.startswith("edge-agent: warning: the file is not encrypted")
    (file,) = car.stick.iterdir()
    assert done.stdout == f"{file}: 3 reads, 0 pictures, 1 gap record\n"
    assert file.stat().st_mode & 0o077 == 0
    *reads, gap = records(file.read_bytes())
    assert [decode_read(line).seq for line in reads] == [1, 2, 3]
    assert decode_gap(gap).ranges == ((2, 2),)
    assert (car.status()["pending"], car.status()["quarantined"], car.status()["gaps"]) == (2, 1, 1)


def test_what_a_killed_export_left_is_written_over_and_a_running_one_left_alone(car: Car) -> None:
    car.see(1)
    half = car.stick / ".edge-agent-hpd-car-12.part"
    half.write_bytes(b"half of it" * 1000)
    with half.open("ab") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        done = car.run("export", car.stick)
        assert done.stderr.splitlines()[-1] == (
            f"edge-agent: {car.stick}: another export of this vehicle is writing there"
        )
        assert list(car.stick.iterdir()) == [half]
    assert car.run("export", car.stick).returncode == 0
    (file,) = car.stick.iterdir()
    assert decode_read(record_of(file.read_bytes())).seq == 1


def test_an_export_follows_no_link_on_the_stick(car: Car, tmp_path: Path) -> None:
    car.see(1)
    other = tmp_path / "other"
    other.write_text("somebody's")
    (car.stick / ".edge-agent-hpd-car-12.part").symlink_to(other)
    done = car.run("export", car.stick)
    assert done.returncode == 1
    assert "cannot be written: Too many levels of symbolic links" in done.stderr.splitlines()[-1]
    assert other.read_text() == "somebody's"


def test_an_export_waits_for_no_pipe_on_the_stick(car: Car) -> None:
    car.see(1)
    os.mkfifo(car.stick / ".edge-agent-hpd-car-12.part")
    done = car.run("export", car.stick)
    assert done.returncode == 1
    assert "cannot be written: No such device or address" in done.stderr.splitlines()[-1]


def test_pictures_are_exported_and_come_back_as_receipts(car: Car) -> None:
    car.see(2, image=Jpeg(b"\xff\xd8\xff a plate", 120, 60))
    done = car.run("export", car.stick)
    (file,) = car.stick.iterdir()
    assert done.stdout == f"{file}: 2 reads, 2 pictures, 0 gap records\n"
    *reads, one, other = records(file.read_bytes())
    images = [decode_image(one), decode_image(other)]
    for line, image in zip(reads, images, strict=True):
        record = decode_read(line)
        assert record.image is not None
        assert (record.id, record.image.sha256) == image.key
    receipts = car.stick / "receipts.jsonl"
    receipts.write_bytes(Receipt.of([decode_read(one).key for one in reads], images=[images[0].key]).encode())
    done = car.run("receipts", receipts)
    assert done.stdout == "with the store, and no more in the outbox: 2 reads, 1 picture, 0 gap records\n"
    assert (car.status()["pending"], car.status()["images"]) == (0, 1)
    assert car.run("purge", "--yes").stdout == "0 reads and 1 picture deleted\n"
    assert (car.status()["gaps"], car.status()["left"], car.status()["images_left"]) == (1, {}, {"purged": 1})
    assert "left         1   (purged: pictures alone, deleted without a receipt)" in car.run("status").stdout


def test_an_export_is_of_the_vehicle_that_made_the_reads(car: Car) -> None:
    car.see(2, image=Jpeg(b"\xff\xd8\xff a plate", 120, 60))
    with car.outbox() as outbox:
        outbox.not_written(1)
    car.configure(vehicle="car-13")
    done = car.run("export", car.stick)
    assert done.returncode == 0
    changed = "the outbox is of hpd/car-12, not of hpd/car-13: written under the name it is of"
    assert done.stderr.splitlines()[0] == f"edge-agent: warning: {changed}"
    (file,) = car.stick.iterdir()
    assert file.name.startswith("edge-agent-hpd-car-12-")
    one, two, *images, gap = records(file.read_bytes())
    reads, account = [decode_read(line) for line in (one, two)], decode_gap(gap)
    pictures = [decode_image(image) for image in images]
    assert {(read.agency, read.vehicle) for read in reads} == {("hpd", "car-12")}
    assert {(image.agency, image.vehicle) for image in pictures} == {("hpd", "car-12")}
    assert (account.agency, account.vehicle) == ("hpd", "car-12")


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


def test_an_export_is_encrypted_to_the_store(car: Car) -> None:
    certificate = Authority(car.directory).issue("store")
    key = certificate.with_suffix(".key")
    car.configure(f'[export]\ncertificate_file = "{certificate}"\n')
    car.see(50)
    done = car.run("export", car.stick)
    assert (done.returncode, done.stderr) == (0, "")
    (file,) = car.stick.iterdir()
    assert file.suffix == ".cms"
    assert b"AB12CD3" not in file.read_bytes()
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(file), "-inkey", str(key)]
    lines = records(subprocess.run(command, check=True, capture_output=True).stdout)
    assert [decode_read(line).seq for line in lines] == list(range(1, 51))


def test_a_certificate_that_nothing_can_be_encrypted_to_leaves_no_file(car: Car) -> None:
    (car.config / "store.pem").write_text("no certificate")
    car.configure('[export]\ncertificate_file = "store.pem"\n')
    car.see(200)
    checked = edge_agent("check", car.config)
    assert checked.returncode == 78
    assert "export.certificate_file: " in checked.stderr
    done = car.run("export", car.stick)
    assert done.returncode == 1
    assert "store.pem: openssl cannot encrypt to it" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(car.stick.iterdir()) == []


def test_a_stick_that_is_full_or_gone_takes_nothing_half(car: Car, tmp_path: Path) -> None:
    car.see(2)
    done = car.run("export", tmp_path / "no stick")
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    done = car.run("export", "/proc/self")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "nothing left the outbox" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_key_that_cannot_encrypt_is_said_in_words(car: Car) -> None:
    certificate = car.directory / "store.pem"
    files = ["-out", str(certificate), "-keyout", str(car.directory / "store.key")]
    command = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=store", *files]
    subprocess.run(command, check=True, capture_output=True)
    car.configure(f'[export]\ncertificate_file = "{certificate}"\n')
    car.see(1)
    done = car.run("export", car.stick)
    assert done.returncode == 1
    assert f"{certificate}: openssl cannot encrypt to it, as to an RSA or EC certificate: " in done.stderr
    assert "error:" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_full_stick_is_what_is_blamed(car: Car, *, encrypted: bool) -> None:
    if encrypted:
        car.configure(f'[export]\ncertificate_file = "{Authority(car.directory).issue("store")}"\n')
    car.see(300)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "stick", str(car.stick)], check=True)
    try:
        done = car.run("export", car.stick)
        left = list(car.stick.iterdir())
    finally:
        subprocess.run(["umount", str(car.stick)], check=True)
    assert (done.returncode, left) == (1, [])
    assert "cannot be written: No space left on device; nothing left the outbox" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that takes nothing")
def test_a_stick_that_takes_nothing_is_what_is_blamed(car: Car) -> None:
    car.see(3)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "stick", str(car.stick)], check=True)
    try:
        done = car.run("export", car.stick)
    finally:
        subprocess.run(["umount", str(car.stick)], check=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"edge-agent: {car.stick}/edge-agent-hpd-car-12-")
    assert done.stderr.endswith(": cannot be written: Read-only file system; nothing left the outbox\n")
    assert len(done.stderr.splitlines()) == 1


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


def test_an_outbox_that_is_not_encrypted_yet_can_be_looked_at(car: Car) -> None:
    with Outbox(path=car.directory / "state" / OUTBOX_FILE, now=host.now, owner=OWNER) as outbox:
        outbox.not_written(1)
    assert car.status()["gaps"] == 1
    assert edge_agent("check", car.config).returncode == 0


@pytest.mark.parametrize("age", ["soon", "", " "])
def test_a_wrong_age_is_a_usage_error(car: Car, age: str) -> None:
    car.see(1)
    done = car.run("purge", "--yes", "--older-than", age)
    assert done.returncode == 2
    assert 'should be a time such as "21 days"' in done.stderr
    assert car.status()["pending"] == 1

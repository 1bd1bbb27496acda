"""`edge-agent outbox export`: what goes onto a stick."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from edge_agent.contract.gap import decode_gap
from edge_agent.contract.image import decode_image
from edge_agent.contract.line import record_of
from edge_agent.contract.receipt import Receipt
from edge_agent.contract.record import decode_read
from edge_agent.domain import Jpeg
from tests.cli.car import Car, records
from tests.cli.program import edge_agent
from tests.faults.certificates import Authority


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

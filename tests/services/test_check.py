from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from edge_agent import host
from edge_agent.config.loader import inspect
from edge_agent.contract.record import draft
from edge_agent.outbox import Outbox
from edge_agent.services.check import cautions, faults
from tests.config.certificates import Authority
from tests.contract.reads import CLOCK, SOURCE, make_read
from tests.outbox.formats import earlier


class Car:
    """A configuration directory that grows by tables and cameras."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self._agent = ['[vehicle]\nagency = "test"\nid = "car-1"', f'[state]\ndirectory = "{self.state}"']
        (directory / "cameras").mkdir()

    def table(self, *lines: str) -> None:
        self._agent.append("\n".join(lines))

    def camera(self, name: str, *lines: str) -> None:
        (self.directory / f"cameras/{name}.toml").write_text("\n".join(lines))

    def secret(self, name: str, content: str) -> Path:
        path = self.directory / name
        path.write_text(content)
        path.chmod(0o600)
        return path

    def identity(self, certificate_file: Path, key_file: Path) -> None:
        self.table("[mqtt]", f'certificate_file = "{certificate_file}"', f'key_file = "{key_file}"')

    def faults(self) -> list[str]:
        (self.directory / "agent.toml").write_text("\n".join(self._agent))
        return faults(inspect(self.directory))

    def cautions(self, now: datetime | None = None) -> list[str]:
        self.faults()
        return cautions(inspect(self.directory), now or datetime.now(UTC))


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path)


def test_what_a_camera_names_is_told_with_file_line_and_key(car: Car) -> None:
    login = car.secret("login", "no colon")
    car.camera("a", 'kind = "files"', "", 'path = "/nope"')
    car.camera("b", 'kind = "rtsp"', 'url = "rtsp://10.0.0.9/front"', 'credentials_file = "login"')
    car.camera("c", 'kind = "v4l2"', 'device = "/dev/video99"')
    car.camera("d", 'kind = "v4l2"', 'device = "/dev/null"')
    car.camera("e", 'kind = "sim"')
    form = "should hold one line, user:password, without spaces around either"
    there = "`ls /dev/v4l/by-id` names those there are"
    assert car.faults() == [
        "cameras/a.toml:3: path: /nope: there is no such file or directory",
        f"cameras/b.toml:3: credentials_file: {login}: {form}",
        f"cameras/c.toml:2: device: /dev/video99: there is no such device: plugged in? {there}",
        f"cameras/d.toml:2: device: /dev/null: is not a video device: {there}",
    ]


def test_a_wrong_setting_does_not_hide_what_other_tables_and_files_name(car: Car) -> None:
    (car.state / "outbox.db").mkdir(parents=True)
    car.table("[mqtt]", "port = 0")
    car.camera("a", 'kind = "sim"', "seeed = 1")
    car.camera("b", 'kind = "files"', 'path = "/nope"')
    assert car.faults() == [
        f"agent.toml:5: state.directory: outbox {car.state}/outbox.db: is a directory",
        "cameras/b.toml:2: path: /nope: there is no such file or directory",
    ]


def test_a_wrong_setting_of_a_camera_does_not_hide_its_missing_file(car: Car) -> None:
    car.camera("a", 'kind = "files"', 'path = "/nope"', 'pase = "fast"')
    car.camera("b", 'kind = "v4l2"', 'device = "/dev/video99"', 'gain = "x"')
    first, second = car.faults()
    assert first == "cameras/a.toml:2: path: /nope: there is no such file or directory"
    assert second.startswith("cameras/b.toml:2: device: /dev/video99: there is no such device")


def test_reads_that_wait_for_another_vehicle_are_told(car: Car) -> None:
    car.camera("a", 'kind = "sim"')
    with Outbox(path=car.state / "outbox.db", now=host.now, owner="test/car-9") as outbox:
        outbox.append(
            [draft(make_read(), agency="test", vehicle="car-9", source=SOURCE, clock=CLOCK, position=None)]
        )
    (fault,) = car.faults()
    assert "agent.toml:3: vehicle.id: " in fault
    assert "holds 1 read, 0 pictures and 0 gap records of test/car-9" in fault


@pytest.mark.parametrize(
    ("total_mb", "free_mb", "told"),
    [
        (10_000, 9_000, None),
        (1_500, 1_400, "1000 MB are more than 50% of the disk of {state} (1500 MB): at most 750"),
        (
            10_000, 500,
            ("1000 MB are more than 90% of what is free for them on the disk of {state} (500 MB): at most 450,"
            " or make room there"),
        ),
        (
            10_000, 1,
            ("1000 MB are more than 90% of what is free for them on the disk of {state} (1 MB): make room there"),
        ),
    ],
)  # fmt: skip
def test_a_quota_that_the_disk_cannot_hold_is_told(
    car: Car, monkeypatch: pytest.MonkeyPatch, total_mb: int, free_mb: int, told: str | None
) -> None:
    car.table("quota_mb = 1000")
    usage = SimpleNamespace(total=total_mb * 10**6, free=free_mb * 10**6)
    monkeypatch.setattr("edge_agent.services.check.shutil.disk_usage", lambda _: usage)
    expected = [] if told is None else [f"agent.toml:6: state.quota_mb: {told.format(state=car.state)}"]
    assert car.faults() == expected


def test_an_outbox_that_the_service_mends_at_its_start_is_a_caution_and_no_fault(car: Car) -> None:
    outbox = car.state / "outbox.db"
    with Outbox(path=outbox, now=host.now, owner="test/car-1"):
        pass
    assert car.cautions() == []
    outbox.unlink()
    earlier(outbox, 6, count=1, appended_ms=1_780_000_000_000)
    assert car.faults() == []
    assert car.cautions() == [
        f"outbox {outbox}: its format is 6, an earlier one: the service takes it over when it starts"
    ]
    outbox.write_bytes(b"")
    assert car.cautions() == [f"outbox {outbox}: is a file of 0 bytes: the service begins a new one in it"]
    outbox.write_text("no outbox at all")
    assert car.faults() == []
    assert car.cautions() == [
        f"outbox {outbox}: is damaged: what can be read of it is saved when the service starts"
    ]


@pytest.mark.parametrize("key", [None, b"k" * 32])
def test_damage_in_the_middle_of_an_outbox_is_a_caution(car: Car, key: bytes | None) -> None:
    if key is not None:
        car.table(f'key_file = "{car.secret("outbox.key", key.hex())}"')
    outbox = car.state / "outbox.db"
    said = {"agency": "test", "vehicle": "car-1", "source": SOURCE, "clock": CLOCK, "position": None}
    with Outbox(path=outbox, now=host.now, owner="test/car-1", key=key) as opened:
        opened.append([draft(make_read(), **said) for _ in range(100)])  # type: ignore[arg-type]
    assert car.cautions() == []
    with outbox.open("r+b") as file:
        file.seek(outbox.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    assert car.faults() == []
    assert car.cautions() == [
        f"outbox {outbox}: is damaged: what can be read of it is saved when the service starts"
    ]


def test_a_key_that_everybody_can_read_is_looked_into_as_well(car: Car) -> None:
    key = car.secret("outbox.key", "no key")
    key.chmod(0o644)
    car.table(f'key_file = "{key}"')
    (fault,) = car.faults()
    assert fault.endswith(f"{key}: its first line should be 64 hexadecimal digits")
    (problem,) = (line for line in inspect(car.directory).problems if "state.key_file" in line)
    assert problem.endswith("every user here can open the file: chmod o-rwx mends it")


def test_a_state_directory_that_only_the_service_may_look_into_is_one_fault(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    car.state.mkdir()
    exists = Path.exists

    def for_others(path: Path) -> bool:
        if path.parent == car.state:
            raise PermissionError(13, "Permission denied")
        return exists(path)

    monkeypatch.setattr(Path, "exists", for_others)
    monkeypatch.setattr("edge_agent.services.check.os.access", lambda path, _: path != car.state)
    (fault,) = car.faults()
    assert fault.startswith("agent.toml:5: state.directory: ")
    assert fault.endswith(f"this user cannot write to {car.state}; the service's user must")
    assert car.cautions() == []


def test_a_certificate_that_expires_soon_is_a_caution(car: Car) -> None:
    car.identity(*Authority(car.directory).issue("car-1", days=300))
    assert car.faults() == car.cautions() == []
    (line,) = car.cautions(datetime.now(UTC) + timedelta(days=289))
    assert line.startswith("the client certificate expires in 10 days, on ")


def test_an_unreadable_file_names_nothing(car: Car) -> None:
    car.table("[mqtt")
    assert car.faults() == []


def test_the_files_of_the_connection_are_told_each_on_its_line(car: Car) -> None:
    files = {key: car.secret(key, "no certificate") for key in ("ca_file", "certificate_file", "key_file")}
    car.table("[mqtt]", *(f'{key} = "{file}"' for key, file in files.items()))
    ca, certificate = car.faults()
    assert ca.startswith(f"agent.toml:7: mqtt.ca_file: {files['ca_file']}: cannot be used as ca_file (")
    assert certificate.startswith(
        f"agent.toml:8: mqtt.certificate_file: {files['certificate_file']}: cannot be used"
    )


def test_a_certificate_must_name_the_vehicle(car: Car) -> None:
    certificate_file, key_file = Authority(car.directory).issue("car-2")
    car.identity(certificate_file, key_file)
    wrong = "its common name is 'car-2', but vehicle.id is 'car-1'"
    assert car.faults() == [f"agent.toml:7: mqtt.certificate_file: {certificate_file}: {wrong}"]
    Authority(car.directory).issue("car-1")[0].replace(certificate_file)
    (car.directory / "car-1.key").replace(key_file)
    assert car.faults() == []


def test_a_certificate_that_a_broker_would_refuse_is_told(car: Car) -> None:
    certificate_file, key_file = Authority(car.directory).issue("car-1", days=-0.5)
    car.identity(certificate_file, key_file)
    wrong = "a broker would refuse it (certificate has expired)"
    assert car.faults() == [f"agent.toml:7: mqtt.certificate_file: {certificate_file}: {wrong}"]


def test_a_key_with_a_passphrase_is_told(car: Car) -> None:
    certificate_file, key_file = Authority(car.directory).issue("car-1")
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    key_file.write_bytes(locked)
    car.identity(certificate_file, key_file)
    (fault,) = car.faults()
    assert fault.endswith(f"cannot be used as certificate_file with key_file {key_file} (the key has a passphrase)")


def test_an_outbox_that_is_a_link_is_told(car: Car) -> None:
    car.state.mkdir()
    outbox = car.state / "outbox.db"
    outbox.symlink_to(car.directory / "elsewhere.db")
    (fault,) = car.faults()
    assert fault.startswith(f"agent.toml:5: state.directory: outbox {outbox}: is a link, ")


def test_networks_and_state_are_told_by_their_setting(car: Car) -> None:
    car.state.mkdir()
    outbox = car.state / "outbox.db"
    outbox.touch()
    assert car.faults() == []
    outbox.unlink()
    outbox.mkdir()
    (car.directory / "models").mkdir()
    car.table("[models]", 'directory = "models"')
    assert car.faults() == [
        f"agent.toml:5: state.directory: outbox {outbox}: is a directory",
        f"agent.toml:7: models.directory: {car.directory}/models/models.toml: No such file or directory",
    ]

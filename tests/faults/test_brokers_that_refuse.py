"""Real brokers with real locks: each time one clear line, and every read stays on disk until the door opens."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.mqtt import Broker, Tls
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.car import Car
from tests.e2e.central import CentralStore
from tests.faults.certificates import Authority


@contextmanager
def running(directory: Path, *settings: str) -> Iterator[Mosquitto]:
    directory.mkdir(exist_ok=True)
    mosquitto = Mosquitto(directory, settings=settings)
    mosquitto.start()
    try:
        yield mosquitto
    finally:
        mosquitto.kill()


def problem_of(tmp_path: Path, broker: Broker, is_it: Callable[[str], bool] = bool) -> str:
    """Let a car with two reads meet a broker, and give its problem, after a look that the reads stayed."""
    with Car(tmp_path / "outbox.db", broker=broker) as car:
        car.see(2)
        wait_until(lambda: is_it(car.publisher.counters.problem or ""), "a problem")
        problem = car.publisher.counters.problem or ""
        assert car.outbox.status().pending == 2
    assert "\n" not in problem
    return problem


def password_file(tmp_path: Path) -> Path:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed: apt-get install mosquitto")
    file = tmp_path / "passwords"
    subprocess.run([program, "-b", "-c", file, "car-12", "right"], check=True, capture_output=True)
    file.chmod(0o600)
    return file


def test_a_wrong_password_and_then_the_right_one(tmp_path: Path) -> None:
    file = password_file(tmp_path)
    with running(tmp_path / "broker", "allow_anonymous false", f"password_file {file}") as mosquitto:
        broker = Broker("127.0.0.1", mosquitto.port, username="car-12", password="wrong")  # noqa: S106
        problem = problem_of(tmp_path, broker)
        assert problem.startswith(f"broker {mosquitto.address}: ")
        assert "check the user name" in problem
        assert "wrong" not in problem
        with Car(tmp_path / "outbox.db", broker=replace(broker, password="right")) as car:  # noqa: S106
            wait_until(lambda: car.publisher.counters.connected, "a connection with the right password")
            assert car.outbox.status().pending == 2


def test_access_rules_that_refuse_the_reads(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic read lpr/v1/hartford-pd/car-12/receipts\ntopic write lpr/v1/hartford-pd/car-12/state\n")
    rules.chmod(0o600)
    with running(tmp_path / "broker", "allow_anonymous true", f"acl_file {rules}") as mosquitto:
        problem = problem_of(tmp_path, Broker("127.0.0.1", mosquitto.port))
        assert problem == "the broker's access rules refuse the topic: check that this vehicle may write to it"


def test_the_example_rules_of_a_vehicle_let_its_reads_through(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text(
        "topic readwrite lpr/v1/+/+/reads\n"
        "topic readwrite lpr/v1/+/+/receipts\n"
        "topic write lpr/v1/hartford-pd/car-12/state\n"
    )
    rules.chmod(0o600)
    with running(tmp_path / "broker", "allow_anonymous true", f"acl_file {rules}") as mosquitto:
        store = CentralStore(tmp_path, mosquitto)
        store.start()
        with Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", mosquitto.port)) as car:
            car.see(3)
            wait_until(car.empty, "an empty outbox")
        store.kill()


def tls_settings(authority: Authority, certificate: Path, *more: str) -> tuple[str, ...]:
    return (
        "allow_anonymous true",
        f"cafile {authority.ca_file}",
        f"certfile {certificate}",
        f"keyfile {certificate.with_suffix('.key')}",
        *more,
    )


def test_an_encrypted_connection_with_certificates_on_both_sides(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.issue("server", address="127.0.0.1"), authority.issue("car-12")
    settings = tls_settings(authority, server, "require_certificate true", "use_identity_as_username true")
    with running(tmp_path / "broker", *settings) as mosquitto:
        tls = Tls(authority.ca_file, client, client.with_suffix(".key"))
        with Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", mosquitto.port, tls)) as car:
            car.see(1)
            wait_until(lambda: car.publisher.counters.refused >= 1, "the broker to say that nobody is there")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"host": "other.example"}, "IP address mismatch"),
        ({"address": "127.0.0.2"}, "IP address mismatch"),
        ({"address": "127.0.0.1", "days": 0}, "certificate has expired"),
    ],
    ids=["other name", "other address", "expired"],
)
def test_a_broker_with_a_wrong_certificate(tmp_path: Path, options: dict[str, str], why: str) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server", **options)  # type: ignore[arg-type]
    with running(tmp_path / "broker", *tls_settings(authority, server)) as mosquitto:
        problem = problem_of(tmp_path, Broker("127.0.0.1", mosquitto.port, Tls(authority.ca_file)))
    assert problem.startswith(f"broker {mosquitto.address}: its certificate is refused ({why}")
    assert "check ca_file, and that host is its name" in problem


def test_a_broker_of_another_authority(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    server = authority.issue("server", address="127.0.0.1")
    with running(tmp_path / "broker", *tls_settings(authority, server)) as mosquitto:
        problem = problem_of(tmp_path, Broker("127.0.0.1", mosquitto.port, Tls(other.ca_file)))
    assert "its certificate is refused" in problem


def test_a_broker_that_wants_our_certificate_and_gets_none(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server", address="127.0.0.1")
    settings = tls_settings(authority, server, "require_certificate true")
    with running(tmp_path / "broker", *settings) as mosquitto:
        problem = problem_of(tmp_path, Broker("127.0.0.1", mosquitto.port, Tls(authority.ca_file)))
    assert "certificate" in problem


def test_our_certificate_that_has_expired_and_is_renewed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.issue("server", address="127.0.0.1"), authority.issue("car-12", days=0)
    with running(tmp_path / "broker", *tls_settings(authority, server, "require_certificate true")) as mosquitto:
        tls = Tls(authority.ca_file, client, client.with_suffix(".key"))
        with Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", mosquitto.port, tls)) as car:
            refused = f"{client}: a broker would refuse it (certificate has expired)"
            wait_until(lambda: refused in (car.publisher.counters.problem or ""), "the reason")
            authority.issue("car-12")
            wait_until(lambda: car.publisher.counters.connected, "a connection")


def test_a_plain_connection_to_an_encrypted_port(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server", address="127.0.0.1")
    with running(tmp_path / "broker", *tls_settings(authority, server)) as mosquitto:
        problem = problem_of(tmp_path, Broker("127.0.0.1", mosquitto.port))
    assert "without TLS" in problem


def test_no_broker_and_then_one(tmp_path: Path) -> None:
    directory = tmp_path / "broker"
    directory.mkdir()
    mosquitto = Mosquitto(directory)
    store = CentralStore(tmp_path, mosquitto)
    with Car(tmp_path / "outbox.db", broker=Broker("127.0.0.1", mosquitto.port)) as car:
        car.see(2)
        wait_until(lambda: "refuses connections" in (car.publisher.counters.problem or ""), "a problem")
        assert car.outbox.status().pending == 2
        mosquitto.start()
        store.start()
        wait_until(car.empty, "an empty outbox")
    store.kill()
    mosquitto.kill()
    assert store.seqs() == [1, 2]

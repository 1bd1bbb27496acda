import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.contract.ids import new_id
from edge_agent.contract.record import decode_read, draft
from edge_agent.contract.topics import Topics
from edge_agent.errors import ContractError
from edge_agent.mqtt import Acknowledged, Connected, Disconnected, Event, Message, Received, Subscribed
from examples.central_store.store import Database, Gap, Store, StoreError, main
from tests.contract.reads import CLOCK, NOON, POSITION, SOURCE, make_read

CAR = Topics("lpr", "hpd", "car-1")
OTHER = Topics("lpr", "hpd", "car-2")


def payload(
    seq: int, topics: Topics = CAR, text: str = "AB12CD3", id_text: str | None = None, revision: int = 0
) -> bytes:
    entry = draft(
        replace(make_read(text), revision=revision),
        agency=topics.agency,
        vehicle=topics.vehicle,
        source=SOURCE,
        clock=CLOCK,
        position=POSITION,
    )
    message = json.loads(entry.encode(seq))
    return json.dumps(message | ({"id": id_text} if id_text else {})).encode()


class FakeLink:
    """Hands over the events it was given, and keeps what is published."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.published: list[Message] = []
        self.on_publish: list[int] = []

    def connect(self) -> None:
        pass

    def next_event(self, timeout_s: float) -> Event | None:
        return self.events.pop(0) if self.events else None

    def publish(self, message: Message) -> int | None:
        self.published.append(message)
        return len(self.published)

    def subscribe(self, topic: str) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "store.db")) as opened:
        yield opened


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def store(database: Database, link: FakeLink) -> Store:
    link.events = [Connected(receive_maximum=2, maximum_packet_size=None)]
    return Store(database=database, link=link, prefix="lpr")


def rows(tmp_path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{tmp_path}/store.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def receipts(link: FakeLink) -> list[tuple[str, list[str]]]:
    return [(message.topic, json.loads(message.payload)["ids"]) for message in link.published]


def test_a_repeat_is_counted_not_stored_and_receipted_again(store: Store, link: FakeLink, tmp_path: Path) -> None:
    read = payload(1)
    link.events += [Received(CAR.reads, read), Received(CAR.reads, read)]
    store.step()
    link.events.append(Received(CAR.reads, read))
    store.step()
    id_ = str(decode_read(read).id)
    assert rows(tmp_path, "SELECT id, vehicle, seq, plate, captured_at, deliveries FROM reads") == [
        (id_, "car-1", 1, "AB12CD3", "2026-07-04T12:00:00.123Z", 3)
    ]
    assert receipts(link) == [(CAR.receipts, [id_, id_]), (CAR.receipts, [id_])]


def test_a_correction_is_kept_beside_what_it_corrects(store: Store, link: FakeLink, tmp_path: Path) -> None:
    first = payload(1, text="A812CD3")
    id_ = str(decode_read(first).id)
    link.events += [Received(CAR.reads, first), Received(CAR.reads, payload(2, id_text=id_, revision=1))]
    store.step()
    assert rows(tmp_path, "SELECT plate, revision FROM reads ORDER BY revision") == [("A812CD3", 0), ("AB12CD3", 1)]
    assert rows(tmp_path, "SELECT plate FROM latest_reads") == [("AB12CD3",)]
    assert [json.loads(one.payload) for one in link.published] == [{"ids": [id_], "corrections": [[id_, 1]]}]


def test_a_database_from_before_corrections_is_taken_over(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as old:
        old.executescript(
            """
            CREATE TABLE reads (id TEXT PRIMARY KEY, agency TEXT NOT NULL, vehicle TEXT NOT NULL,
                seq INTEGER NOT NULL,
                camera TEXT NOT NULL, captured_at TEXT NOT NULL, plate TEXT NOT NULL, confidence REAL NOT NULL,
                record TEXT NOT NULL, stored_at TEXT NOT NULL, deliveries INTEGER NOT NULL DEFAULT 1);
            CREATE INDEX reads_by_place ON reads (agency, vehicle, seq);
            INSERT INTO reads VALUES ('x', 'hpd', 'car-1', 2, 'front', 't', 'AB12CD3', 0.9, '{}', 's', 3);
            """
        )
    for _ in range(2):
        with closing(Database(tmp_path / "store.db")) as database:
            assert database.gaps() == [Gap("hpd", "car-1", 1, 1)]
    assert rows(tmp_path, "SELECT id, revision, plate, deliveries FROM latest_reads") == [("x", 0, "AB12CD3", 3)]


def test_a_receipt_goes_out_after_the_commit_alone(
    store: Store, link: FakeLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def publish(message: Message) -> int:
        seen.append(len(rows(tmp_path, "SELECT id FROM reads")))
        return 1

    monkeypatch.setattr(link, "publish", publish)
    link.events += [Received(CAR.reads, payload(1)), Received(CAR.reads, payload(2))]
    store.step()
    assert seen == [2]


def test_a_broker_that_stays_away_is_one_line(
    store: Store, link: FakeLink, caplog: pytest.LogCaptureFixture
) -> None:
    away = Disconnected("the broker is away")
    link.events += [away, away, away, Subscribed(), away]
    with caplog.at_level("WARNING"):
        store.step()
    assert [record.message for record in caplog.records] == ["the broker is away"] * 2


def test_a_disk_that_fails_gives_no_receipt(store: Store, link: FakeLink, database: Database) -> None:
    database._connection.execute("PRAGMA query_only = ON")
    link.events.append(Received(CAR.reads, payload(1)))
    with pytest.raises(StoreError, match="readonly"):
        store.step()
    assert link.published == []


def test_a_vehicle_speaks_for_itself_alone(store: Store, link: FakeLink, tmp_path: Path) -> None:
    link.events += [Received(CAR.reads, payload(1, OTHER)), Received(OTHER.reads, payload(1, OTHER))]
    store.step()
    assert rows(tmp_path, "SELECT vehicle FROM reads") == [("car-2",)]
    ((reason, topic),) = rows(tmp_path, "SELECT reason, topic FROM rejected")
    assert str(reason).endswith("names another vehicle than its topic")
    assert topic == CAR.reads
    assert [topic for topic, _ in receipts(link)] == [OTHER.receipts]


def test_another_read_under_a_known_id_is_rejected(store: Store, link: FakeLink, tmp_path: Path) -> None:
    id_ = str(new_id(NOON))
    link.events += [
        Received(CAR.reads, payload(1, id_text=id_)),
        Received(OTHER.reads, payload(1, OTHER, text="ZZ99", id_text=id_)),
    ]
    store.step()
    assert rows(tmp_path, "SELECT vehicle, plate FROM reads") == [("car-1", "AB12CD3")]
    assert rows(tmp_path, "SELECT reason FROM rejected") == [(f"read {id_}: is here already with other contents",)]
    assert receipts(link) == [(CAR.receipts, [id_])]


def test_the_same_bad_message_is_kept_once(store: Store, link: FakeLink, tmp_path: Path) -> None:
    link.events += [Received(CAR.reads, b"\xff\x00")] * 3 + [Received(OTHER.reads, b"\xff\x00")]
    store.step()
    assert rows(tmp_path, "SELECT topic, payload, deliveries FROM rejected ORDER BY topic") == [
        (CAR.reads, b"\xff\x00", 3),
        (OTHER.reads, b"\xff\x00", 1),
    ]


def test_receipts_keep_to_the_brokers_window(store: Store, link: FakeLink) -> None:
    link.events += [Received(CAR.reads, payload(seq)) for seq in range(1, 451)]
    for _ in range(5):
        store.step()
    assert len(link.published) == 2
    link.events += [Acknowledged(1, 0, "Success"), Acknowledged(2, 0x10, "No matching subscribers")]
    store.step()
    assert len(link.published) == 4
    link.events += [Disconnected("gone")]
    store.step()
    link.events += [Connected(receive_maximum=100, maximum_packet_size=None)]
    store.step()
    assert sum(len(ids) for _, ids in receipts(link)) == 450
    assert all(len(ids) <= 100 for _, ids in receipts(link))


def test_gaps_are_found_for_each_vehicle(database: Database) -> None:
    with database.transaction():
        for topics, seqs in ((CAR, (1, 2, 5, 9)), (OTHER, (3,))):
            for seq in seqs:
                read = payload(seq, topics)
                database.store(decode_read(read), read)
    assert database.gaps() == [
        Gap("hpd", "car-1", 3, 4),
        Gap("hpd", "car-1", 6, 8),
        Gap("hpd", "car-2", 1, 2),
    ]


def test_gaps_are_listed_with_exit_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "store.db"
    with closing(Database(path)) as database, database.transaction():
        database.store(decode_read(payload(3)), payload(3))
    assert main(["gaps", "--database", str(path)]) == 1
    assert capsys.readouterr().out == "hpd/car-1: 1 to 2 missing (2 reads)\n"


def test_only_the_owner_may_open_the_database(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "store.db")) as database, database.transaction():
        database.store(decode_read(payload(1)), payload(1))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def store_and_fail() -> None:
        with database.transaction():
            database.store(decode_read(payload(2)), payload(2))
            raise ContractError("no")

    with pytest.raises(ContractError):
        store_and_fail()
    assert database.gaps() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gaps", "--database", "missing.db"], "database missing.db: there is no such file"),
        (["--database", "x.db", "--broker", "nowhere"], "--broker nowhere: should be HOST:PORT"),
        (
            ["--database", "x.db", "--username", "u", "--password-file", "missing"],
            "No such file or directory: 'missing'",
        ),
        (["--database", "x.db", "--ca-file", "nope"], "ca_file (No such file or directory)"),
        (["--database", "/proc/store.db"], "database /proc/store.db: No such file or directory"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tmp_path: Path, arguments: list[str], expected: str) -> None:
    program = Path(__file__).parents[2] / "examples/central_store/store.py"
    done = subprocess.run(
        [sys.executable, program, *arguments], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.startswith("central store: ")
    assert done.stderr.endswith(expected + "\n")
    assert done.stderr.count("\n") == 1

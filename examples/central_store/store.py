"""The reference central store: takes reads from the broker, keeps each once, and says so with a receipt.

python store.py --broker HOST:PORT --database FILE     stores until it is told to stop
python store.py gaps --database FILE                   lists what is missing
"""

import argparse
import hashlib
import logging
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from edge_agent.contract.receipt import Receipt
from edge_agent.contract.record import ReadRecord, decode_read, time_text
from edge_agent.contract.topics import READS, Topics, every_vehicle, sender
from edge_agent.domain import ReadKey
from edge_agent.errors import BrokerError, ContractError, EdgeAgentError
from edge_agent.mqtt import (
    Acknowledged,
    Broker,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Message,
    MqttLink,
    Received,
    Subscribed,
    SubscriptionRefused,
    Tls,
    tls_context,
)
from edge_agent.publisher.schedule import Backoff

_log = logging.getLogger("central_store")

_READS = """
CREATE TABLE IF NOT EXISTS reads (
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    agency TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    seq INTEGER NOT NULL,
    camera TEXT NOT NULL,
    captured_at TEXT NOT NULL,
    plate TEXT NOT NULL,
    confidence REAL NOT NULL,
    record TEXT NOT NULL,
    stored_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deliveries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (id, revision)
);
"""
_OTHERS = """
CREATE INDEX IF NOT EXISTS reads_by_place ON reads (agency, vehicle, seq);
CREATE VIEW IF NOT EXISTS latest_reads AS
    SELECT * FROM reads WHERE (id, revision) IN (SELECT id, MAX(revision) FROM reads GROUP BY id);
CREATE TABLE IF NOT EXISTS rejected (
    sha256 TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    reason TEXT NOT NULL,
    rejected_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deliveries INTEGER NOT NULL DEFAULT 1
);
"""
_AS_IT_WAS = "DROP INDEX IF EXISTS reads_by_place; ALTER TABLE reads RENAME TO old_reads;"
_TAKE_OVER = """
INSERT INTO reads SELECT id, 0, agency, vehicle, seq, camera, captured_at, plate, confidence, record, stored_at,
    deliveries FROM old_reads;
DROP TABLE old_reads;
"""
_INSERT = """
INSERT INTO reads (id, revision, agency, vehicle, seq, camera, captured_at, plate, confidence, record)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, revision) DO UPDATE SET deliveries = deliveries + 1 WHERE record = excluded.record
"""
_REJECT = """
INSERT INTO rejected (sha256, topic, payload, reason) VALUES (?, ?, ?, ?)
ON CONFLICT (sha256) DO UPDATE SET deliveries = deliveries + 1
"""
_GAPS = """
SELECT agency, vehicle, before + 1, seq - 1 FROM (
    SELECT agency, vehicle, seq, LAG(seq, 1, 0) OVER (PARTITION BY agency, vehicle ORDER BY seq) AS before
    FROM reads
) WHERE seq > before + 1 ORDER BY agency, vehicle, seq
"""

_BATCH = 200  # reads that share a commit
_IDS_A_RECEIPT = 100
_OWED_AT_MOST = 10_000
_SESSION_S = 7 * 24 * 3600  # how long the broker keeps reads for a store that is away


class StoreError(EdgeAgentError):
    """The store's database cannot be used."""


class Gap(NamedTuple):
    """Places of one vehicle's count from which no read has come; both ends are missing."""

    agency: str
    vehicle: str
    first: int
    last: int


class Database:
    """The reads, each once, and what was rejected; synced at each commit. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            path.touch(mode=0o600)  # before SQLite makes it readable by all; its other files take the mode from it
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")  # so that others can read meanwhile
            self._connection.execute("PRAGMA synchronous = FULL")
            columns = [name for _, name, *_ in self._connection.execute("PRAGMA table_info(reads)")]
            if columns and "revision" not in columns:
                self._connection.executescript(f"BEGIN; {_AS_IT_WAS} {_READS} {_TAKE_OVER} COMMIT;")
            self._connection.executescript(_READS + _OTHERS)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def store(self, record: ReadRecord, payload: bytes) -> None:
        """Keep a read; a repeat is counted. Raises ContractError when another read has its id."""
        values = (
            str(record.id),
            record.revision,
            record.agency,
            record.vehicle,
            record.seq,
            record.camera,
            time_text(record.captured_at),
            record.plate.text,
            record.plate.confidence,
            payload.decode(),
        )
        if self._connection.execute(_INSERT, values).rowcount == 0:
            raise ContractError(f"read {record.id}: is here already with other contents")

    def reject(self, topic: str, payload: bytes, reason: str) -> None:
        """Keep a message that is not a read of its sender, once, with the reason."""
        digest = hashlib.sha256(topic.encode() + b"\0" + payload).hexdigest()
        self._connection.execute(_REJECT, (digest, topic, payload, reason))

    def gaps(self) -> list[Gap]:
        with self._explained():
            return [Gap(*row) for row in self._connection.execute(_GAPS)]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"database {self._path}: {error}") from None
        except OSError as error:
            raise StoreError(f"database {self._path}: {error.strerror}") from None


def _read_of(message: Received, prefix: str) -> tuple[Topics, ReadRecord]:
    """Read a message and who sent it: a vehicle can speak for itself alone. Raises ContractError."""
    vehicle, _ = sender(prefix, message.topic)
    record = decode_read(message.payload)
    if (record.agency, record.vehicle) != (vehicle.agency, vehicle.vehicle):
        raise ContractError(f"read {record.id}: names another vehicle than its topic")
    return vehicle, record


class Link(Protocol):
    """What the store needs from the connection."""

    def connect(self) -> None: ...
    def next_event(self, timeout_s: float) -> Event | None: ...
    def publish(self, message: Message) -> int | None: ...
    def subscribe(self, topic: str) -> None: ...
    def close(self) -> None: ...


class Store:
    """Broker in, database, receipts out: a receipt is sent after the commit, never before."""

    def __init__(self, *, database: Database, link: Link, prefix: str) -> None:
        self._database = database
        self._link = link
        self._prefix = prefix
        self._backoff = Backoff(uniform=random.uniform, longest_s=5.0)
        self._connect_at_s = 0.0
        self._trouble = ""
        self._window = 0  # receipts that may be on their way
        self._in_flight: set[int] = set()
        self._owed: deque[tuple[str, ReadKey]] = deque()

    def run(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self.step()
        finally:
            self._link.close()

    def step(self) -> None:
        """Take what has come, commit it, and send the receipts."""
        if time.monotonic() >= self._connect_at_s:
            self._connect_at_s = float("inf")
            self._link.connect()
        reads = []
        event = self._link.next_event(0.2)
        while event is not None:
            if isinstance(event, Received):
                reads.append(event)
            else:
                self._take(event)
            event = self._link.next_event(0) if len(reads) < _BATCH else None
        if reads:
            self._keep(reads)
        self._send_receipts()

    def _take(self, event: Event) -> None:
        match event:
            case Connected(receive_maximum):
                self._window = receive_maximum
                self._link.subscribe(every_vehicle(self._prefix, READS))
            case Subscribed():
                self._trouble = ""
                self._backoff.reset()
                _log.info("listening to %s", every_vehicle(self._prefix, READS))
            case SubscriptionRefused(reason):
                raise BrokerError(f"the broker refuses the subscription ({reason}): check its access rules")
            case ConnectFailed(reason) | Disconnected(reason):
                if reason != self._trouble:  # a broker that is away for hours is one line
                    _log.warning("%s", reason)
                self._trouble = reason
                self._window = 0
                self._in_flight.clear()
                self._connect_at_s = time.monotonic() + self._backoff.next_s()
            case Acknowledged(mid):
                self._in_flight.discard(mid)

    def _keep(self, messages: Sequence[Received]) -> None:
        stored = []
        with self._database.transaction():
            for message in messages:
                try:
                    vehicle, record = _read_of(message, self._prefix)
                    self._database.store(record, message.payload)
                except ContractError as error:
                    _log.warning("rejected on %s: %s", message.topic, error)
                    self._database.reject(message.topic, message.payload, str(error))
                else:
                    stored.append((vehicle.receipts, record.key))
        self._owed.extend(sorted(stored))  # a vehicle's together: fewer receipts
        while len(self._owed) > _OWED_AT_MOST:  # those cars will send again, and get another
            self._owed.popleft()

    def _send_receipts(self) -> None:
        while self._owed and len(self._in_flight) < self._window:
            topic = self._owed[0][0]
            keys: list[ReadKey] = []
            while self._owed and self._owed[0][0] == topic and len(keys) < _IDS_A_RECEIPT:
                keys.append(self._owed.popleft()[1])
            mid = self._link.publish(Message(topic, Receipt.of(keys).encode()))
            if mid is not None:
                self._in_flight.add(mid)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["run", "gaps"], default="run")
    parser.add_argument(
        "--database", type=Path, required=True, metavar="FILE", help="SQLite file, made when missing"
    )
    parser.add_argument("--broker", default="localhost:1883", metavar="HOST:PORT", help="must speak MQTT 5")
    parser.add_argument("--prefix", default="lpr", help="first part of every topic")
    parser.add_argument("--client-id", default="central-store", help="one name for each store")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path, metavar="FILE")
    parser.add_argument("--tls", action="store_true", help="encrypt, and trust the system's authorities")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="encrypt, and trust this authority alone")
    parser.add_argument("--certificate-file", type=Path, metavar="FILE", help="the store's own certificate (PEM)")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="its private key (PEM)")
    return parser.parse_args(arguments)


def _broker(options: argparse.Namespace) -> Broker:
    host, _, port = options.broker.rpartition(":")
    if not host or not port.isdecimal():
        raise BrokerError(f"--broker {options.broker}: should be HOST:PORT")
    tls = Tls(options.ca_file, options.certificate_file, options.key_file)
    password = options.password_file and options.password_file.read_text(encoding="utf-8").partition("\n")[0]
    wants_tls = options.tls or tls != Tls()
    if wants_tls:
        tls_context(tls)  # a file that cannot be used would be tried for ever, as a broker that is away is
    return Broker(host, int(port), tls if wants_tls else None, options.username, password)


def _run(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    link = MqttLink(broker=_broker(options), client_id=options.client_id, session_expiry_s=_SESSION_S)
    with closing(Database(options.database)) as database:
        Store(database=database, link=link, prefix=options.prefix).run(stop)
    return 0


def _show_gaps(options: argparse.Namespace) -> int:
    if not options.database.is_file():
        raise StoreError(f"database {options.database}: there is no such file")
    with closing(Database(options.database)) as database:
        gaps = database.gaps()
    for gap in gaps:
        print(f"{gap.agency}/{gap.vehicle}: {gap.first} to {gap.last} missing ({gap.last - gap.first + 1} reads)")
    if not gaps:
        print("no gaps")
    return 1 if gaps else 0


def main(arguments: Sequence[str]) -> int:
    """Run the command line and give its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    options = _arguments(arguments)
    try:
        return _run(options) if options.command == "run" else _show_gaps(options)
    except (EdgeAgentError, OSError) as error:
        print(f"central store: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The database of a site: PostgreSQL, several workers at once. Imported only where one is named."""

import logging
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import conninfo

from edge_agent import host
from edge_agent.contract.gap import GapRecord, decode_gap
from edge_agent.domain import ImageKey

from .database import COVERED, Access, Answer, Batch, DatabaseAway, Purge, Question, Span, StoreError
from .postgres_keep import Connection, keep

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATING, _WRITING = 0x6C7072_01, 0x6C7072_02  # advisory locks: "lpr" and a number
_DEFAULTS = {
    "application_name": "central-store",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "tcp_user_timeout": "30000",  # ms: a server behind a dead link is noticed, not waited for
}
_PREPARE = """
SELECT set_config('timezone', 'UTC', false),
    set_config('lock_timeout', '30s', false),
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', false) END,
    current_setting('server_encoding')
"""
_RIGHTS = """
SELECT has_function_privilege('lpr.make_month(date)', 'EXECUTE') AND has_table_privilege('lpr.reads', 'INSERT')
"""
_MONTHS = """
SELECT substring(relname FROM '^reads_(\\d{4}_\\d{2})$') FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'lpr.reads'::regclass
"""
_logger = logging.getLogger("central_store")
_NO_CONNECTION_EVER = re.compile(
    "does not exist|authentication failed|no password supplied|no pg_hba.conf entry|permission denied for database"
    "|not permitted to log in|^connection is bad: invalid"
)
"""A failed connection has no SQLSTATE here. What is not known, as in another language, is waited for."""

_PASSES = ("08", "25006", "40", "53", "55", "57", "58")
"""SQLSTATEs that time may mend: connection, standby, serialization, resources, locks, shutdown, disk."""

_NOT_LONG = "SET LOCAL lock_timeout = '2s'"
"""Who has read a table, or taken a lock, and left the transaction open must not stop all others without a word."""

_PUT_OFF_S = 60.0
_MONTHS_BACK = 60  # further back, or ahead by more than one, is a clock out of order: the default partition
_HELD = COVERED.format(
    places="SELECT agency, vehicle, seq AS first, seq AS last FROM lpr.reads"
    " UNION ALL SELECT agency, vehicle, first, last FROM lpr.purged"
)
_TO_PURGE = COVERED.format(
    places="SELECT agency, vehicle, seq AS first, seq AS last FROM lpr.reads WHERE aged_from < %s"
    " UNION ALL SELECT agency, vehicle, first, last FROM lpr.purged"
)
_DELETE_IMAGES = """
DELETE FROM lpr.images AS image WHERE NOT EXISTS (SELECT FROM lpr.read_keys AS key WHERE key.id = image.id)
"""
_ASK = """
SELECT captured_at, plate, confidence, agency, vehicle, camera, record
FROM lpr.ask(%s, %s, %s, %s, %s, %s, %s, %s)
"""
_ASK_IMAGES = "SELECT id, sha256, jpeg FROM lpr.ask_images(%s, %s, %s::uuid[], %s::text[])"
_ACCESSES = "SELECT asked_at, who, login, purpose, question, rows FROM lpr.access_log ORDER BY id DESC LIMIT %s"


class PostgresDatabase:
    """One connection, made again after it was lost; every call is a transaction of its own."""

    def __init__(self, url: str) -> None:
        try:
            given = {name: str(value) for name, value in conninfo.conninfo_to_dict(url).items()}
        except psycopg.Error as error:
            reason = str(error).replace(url, "the URL").strip()  # it may hold a password
            raise StoreError(f"database postgresql://...: {reason}") from None
        self._name = f"database postgresql://{_servers(given)}/{given.get('dbname') or ''}"
        self._terms = conninfo.make_conninfo("", **(_DEFAULTS | given))
        self._months: set[str] = set()
        self._put_off: set[str] = set()
        """Months whose table could not be made: each try keeps all workers waiting."""
        self._make_from_s = 0.0
        self._open: Connection | None = None
        with self._connected() as connection:
            try:
                _migrate(connection, self._name)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        if self._open is not None:
            self._open.close()

    def keep(self, batch: Batch) -> Batch:
        with self._connected() as connection:
            self._make_months(connection, batch)
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_WRITING,))
                return keep(connection, batch)

    def check_rights(self) -> None:
        if self._rows(_RIGHTS) != [(True,)]:
            raise StoreError(f"{self._name}: its role may not write reads: name the one that made the tables")

    def held(self) -> list[Span]:
        return [Span(*row) for row in self._rows(_HELD)]

    def gap_records(self) -> list[GapRecord]:
        return [decode_gap(record.encode()) for (record,) in self._rows("SELECT record FROM lpr.gaps ORDER BY at")]

    def purge(self, *, before: datetime) -> Purge:
        with self._connected() as connection, self._saying_who_waits(), connection.transaction():
            connection.execute(_NOT_LONG)
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITING,))
            spans = connection.execute(_TO_PURGE, (before,)).fetchall()
            connection.execute("DELETE FROM lpr.purged")
            connection.cursor().executemany("INSERT INTO lpr.purged VALUES (%s, %s, %s, %s)", spans)
            ((reads,),) = connection.execute("SELECT lpr.purge_reads(%s)", (before,))
            images = connection.execute(_DELETE_IMAGES).rowcount
            rejected = connection.execute("DELETE FROM lpr.rejected WHERE rejected_at < %s", (before,)).rowcount
            connection.execute(
                "INSERT INTO lpr.purges (before, reads, rejected) VALUES (%s, %s, %s)", (before, reads, rejected)
            )
        return Purge(reads, images, rejected)

    def ask(self, question: Question) -> list[Answer]:
        agency, vehicle = question.vehicle or (None, None)
        values = (question.who, question.purpose, question.plate, agency, vehicle)
        times = (question.since, question.until, question.limit)
        return [Answer(*row) for row in self._rows(_ASK, (*values, *times))]

    def ask_images(self, question: Question, keys: Collection[ImageKey]) -> dict[ImageKey, bytes]:
        asked = ([key.read for key in keys], [key.sha256 for key in keys])
        rows = self._rows(_ASK_IMAGES, (question.who, question.purpose, *asked))
        return {ImageKey(id_, sha256): jpeg for id_, sha256, jpeg in rows}

    def accesses(self, limit: int) -> list[Access]:
        return [Access(*row) for row in self._rows(_ACCESSES, (limit,))]

    def _rows(self, query: LiteralString, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _saying_who_waits(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.LockNotAvailable:
            raise DatabaseAway(
                f"{self._name}: nothing is deleted: another program has a transaction open (lock timeout): try"
                " again when it has ended"
            ) from None

    def _make_months(self, connection: Connection, batch: Batch) -> None:
        now = host.now().utc
        sound = range(_month(now) - _MONTHS_BACK, _month(now) + 2)
        months = {record.captured_at for record, _ in batch.reads if _month(record.captured_at) in sound}
        if time.monotonic() >= self._make_from_s:
            self._put_off.clear()
        for month in sorted({f"{one:%Y-%m-01}" for one in months} - self._months - self._put_off):
            try:
                with connection.transaction():  # of its own: to make a table, all others must be out of theirs
                    connection.execute(_NOT_LONG)
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITING,))
                    connection.execute("SELECT lpr.make_month(%s)", (month,))
            except psycopg.errors.LockNotAvailable:  # the default partition takes its reads until then
                _logger.warning("no table for the month of %s yet: another program has a transaction open", month)
                self._put_off.add(month)
                self._make_from_s = time.monotonic() + _PUT_OFF_S
                continue
            self._months.add(month)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            if self._open is None or self._open.closed:
                self._open = _connect(self._terms, self._name)
                self._months.clear()
            yield self._open
        except psycopg.Error as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            kind = DatabaseAway if _may_pass(error, reason) else StoreError
            raise kind(f"{self._name}: {reason}") from None


def _servers(given: Mapping[str, str]) -> str:
    """Name hosts and ports, one or several, as a URL does."""
    hosts = [f"[{host}]" if ":" in host else host for host in given.get("host", "").split(",")]
    ports = given.get("port", "").split(",")
    ports *= len(hosts) if len(ports) == 1 else 1
    return ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=False))


def _may_pass(error: psycopg.Error, reason: str) -> bool:
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_PASSES)
    return isinstance(error, psycopg.OperationalError) and _NO_CONNECTION_EVER.search(reason) is None


def _month(time: datetime) -> int:
    return time.year * 12 + time.month


def _connect(terms: str, name: str) -> Connection:
    connection = psycopg.connect(terms, autocommit=True)
    ((*_, encoding),) = connection.execute(_PREPARE)
    if encoding != "UTF8":
        connection.close()
        raise StoreError(f"{name}: has the encoding {encoding}: make one with ENCODING 'UTF8'")
    return connection


def _migrate(connection: Connection, name: str) -> None:
    """Bring the schema up to date; one of several workers does, the others wait."""
    files = {int(path.name[:4]): path for path in sorted(_MIGRATIONS.glob("*.sql"))}
    done = _migrations_done(connection)
    if max(done, default=0) > max(files):
        raise StoreError(f"{name}: was made by a newer store, whose migration {max(done)} is unknown here")
    if done == files.keys():  # nothing to do, and nobody needs rights that are not theirs
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATING,))
        connection.execute(
            "CREATE SCHEMA IF NOT EXISTS lpr; CREATE TABLE IF NOT EXISTS lpr.migrations"
            " (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for number in sorted(files.keys() - _migrations_done(connection)):
            connection.execute(files[number].read_bytes())
            connection.execute(
                "INSERT INTO lpr.migrations (number, name) VALUES (%s, %s)", (number, files[number].stem)
            )


def _migrations_done(connection: Connection) -> set[int]:
    ((there,),) = connection.execute("SELECT to_regclass('lpr.migrations') IS NOT NULL")
    return {number for (number,) in connection.execute("SELECT number FROM lpr.migrations")} if there else set()

"""The embedded database: one SQLite file, made when it is missing."""

import logging
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from edge_agent.contract.gap import GapRecord, decode_gap
from edge_agent.contract.record import decode_read, time_text
from edge_agent.domain import ImageKey
from edge_agent.errors import ContractError

from .database import (
    COVERED,
    REJECTED_AT_MOST,
    Access,
    Answer,
    Batch,
    DatabaseAway,
    Identity,
    Purge,
    Question,
    Rejected,
    Span,
    StoreError,
    digest,
)
from .images import image_named

_logger = logging.getLogger("central_store")
_SCHEMA = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_AS_IT_WAS = """
DROP VIEW IF EXISTS latest_reads;
DROP INDEX IF EXISTS reads_by_place;
ALTER TABLE reads RENAME TO old_reads;
"""
_TAKE_OVER = """
INSERT INTO reads SELECT id, {revision}, agency, vehicle, seq, camera, captured_at, plate, confidence, record,
    digest(record), aged_from(record, captured_at, stored_at), stored_at, deliveries FROM old_reads;
DROP TABLE old_reads;
"""
_INSERT = """
INSERT INTO reads (id, revision, agency, vehicle, seq, camera, captured_at, plate, confidence, record, sha256,
    deliveries, aged_from)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, min(coalesce(?, '9999'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
ON CONFLICT (id, revision) DO UPDATE SET deliveries = deliveries + excluded.deliveries
    WHERE sha256 = excluded.sha256
"""
_INSERT_GAP = """
INSERT INTO gaps (id, agency, vehicle, reason, reads, at, record, sha256, deliveries)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET deliveries = deliveries + excluded.deliveries WHERE sha256 = excluded.sha256
"""
_NAMING = "SELECT agency, vehicle, record FROM reads WHERE id = ?"
_INSERT_IMAGE = """
INSERT INTO images (id, sha256, agency, vehicle, jpeg, deliveries) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id, sha256) DO UPDATE SET deliveries = deliveries + excluded.deliveries
"""
_REJECT = """
INSERT INTO rejected (sha256, topic, payload, reason) VALUES (?, ?, ?, ?)
ON CONFLICT (sha256) DO UPDATE SET deliveries = deliveries + 1
"""
_FORGET_REJECTED = """
DELETE FROM rejected
WHERE rejected_at < (SELECT rejected_at FROM rejected ORDER BY rejected_at DESC LIMIT 1 OFFSET ?)
"""
_HELD = COVERED.format(
    places="SELECT agency, vehicle, seq AS first, seq AS last FROM reads"
    " UNION ALL SELECT agency, vehicle, first, last FROM purged"
)
_TO_PURGE = COVERED.format(
    places="SELECT agency, vehicle, seq AS first, seq AS last FROM reads WHERE aged_from < ?"
    " UNION ALL SELECT agency, vehicle, first, last FROM purged"
)
_DELETE_IMAGES = """
DELETE FROM images WHERE id IN (SELECT id FROM reads WHERE aged_from < :before)
    AND NOT EXISTS (SELECT 1 FROM reads WHERE reads.id = images.id AND aged_from >= :before)
"""
_ASK_PLATE = """
SELECT captured_at, plate, confidence, agency, vehicle, camera, record
FROM ( -- apart, so that each has its index
    SELECT id, revision FROM reads
    WHERE plate BETWEEN :beginning AND :highest AND captured_at >= :since AND captured_at < :until
    UNION SELECT id, revision FROM reads
    WHERE instr(plate, '?') AND plate GLOB :doubtful AND captured_at >= :since AND captured_at < :until
) CROSS JOIN latest_reads USING (id, revision)
ORDER BY captured_at DESC, seq DESC LIMIT :limit
"""
_ASK_VEHICLE = """
SELECT captured_at, plate, confidence, agency, vehicle, camera, record FROM latest_reads
WHERE agency = :agency AND vehicle = :vehicle AND captured_at >= :since AND captured_at < :until
ORDER BY captured_at DESC, seq DESC LIMIT :limit
"""
_LOG = "INSERT INTO access_log (who, login, purpose, question, rows) VALUES (?, ?, ?, ?, ?)"
_FULL_BELOW_BYTES = 64 * 1024  # SQLite calls some of what a full disk refuses an I/O error
_PATIENCE_S = 10.0  # for another program's transaction on the same file


class SqliteDatabase:
    """One file, readable by its owner alone; synced at each commit, and overwritten where rows were deleted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            path.touch(mode=0o600)  # before SQLite makes it readable by all; its other files take the mode from it
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE_S)
            try:
                self._check_ours()
                self._connection.execute("PRAGMA journal_mode = WAL")  # so that others can read meanwhile
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA secure_delete = ON")
                self._migrate()
                self._file = path.stat()  # that it writes into
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        self._connection.close()

    def keep(self, batch: Batch) -> Batch:
        with self._transaction():
            # Pictures last: the reads that name them may be in the batch.
            refused = self._keep_reads(batch) | self._keep_gaps(batch) | self._keep_images(batch)
            kept = batch.without(refused)
            self._reject(kept.rejected)
        return kept

    def check_rights(self) -> None:
        with self._transaction():
            pass

    def held(self) -> list[Span]:
        with self._explained():
            return [Span(*row) for row in self._connection.execute(_HELD)]

    def gap_records(self) -> list[GapRecord]:
        with self._explained():
            rows = self._connection.execute("SELECT record FROM gaps ORDER BY at").fetchall()
        return [decode_gap(record.encode()) for (record,) in rows]

    def purge(self, *, before: datetime) -> Purge:
        limit = time_text(before)
        with self._transaction():
            spans = self._connection.execute(_TO_PURGE, (limit,)).fetchall()
            self._connection.execute("DELETE FROM purged")
            self._connection.executemany("INSERT INTO purged VALUES (?, ?, ?, ?)", spans)
            images = self._connection.execute(_DELETE_IMAGES, {"before": limit}).rowcount
            reads = self._connection.execute("DELETE FROM reads WHERE aged_from < ?", (limit,)).rowcount
            rejected = self._connection.execute("DELETE FROM rejected WHERE rejected_at < ?", (limit,)).rowcount
            self._connection.execute(
                "INSERT INTO purges (before, reads, rejected) VALUES (?, ?, ?)", (limit, reads, rejected)
            )
        with self._explained():
            # The log, too, has seen what is gone.
            is_busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            _logger.warning(
                "database %s: another program is reading it: what was deleted stands there until the next retain",
                self._path,
            )
        return Purge(reads, images, rejected)

    def ask(self, question: Question) -> list[Answer]:
        query, values = _query(question)
        with self._transaction():
            rows = self._connection.execute(query, values).fetchall()
            self._log(question, str(question), len(rows))
        return [Answer(datetime.fromisoformat(captured_at), *others) for captured_at, *others in rows]

    def ask_images(self, question: Question, keys: Collection[ImageKey]) -> dict[ImageKey, bytes]:
        query = "SELECT jpeg FROM images WHERE id = ? AND sha256 = ?"
        with self._transaction():
            rows = {key: self._connection.execute(query, (str(key.read), key.sha256)).fetchone() for key in keys}
            images = {key: row[0] for key, row in rows.items() if row}
            self._log(question, f"images of {len(keys)} reads", len(images))
        return images

    def accesses(self, limit: int) -> list[Access]:
        query = "SELECT asked_at, who, login, purpose, question, rows FROM access_log ORDER BY id DESC LIMIT ?"
        with self._explained():
            rows = self._connection.execute(query, (limit,)).fetchall()
        return [Access(datetime.fromisoformat(asked_at), *others) for asked_at, *others in rows]

    def _check_ours(self) -> None:
        tables = self._connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
        if tables and "deliveries" not in self._columns():
            raise StoreError(f"database {self._path}: is of another program: name the store's file")

    def _columns(self) -> list[str]:
        return [name for _, name, *_ in self._connection.execute("PRAGMA table_info(reads)")]

    def _migrate(self) -> None:
        columns = self._columns()
        if columns and "aged_from" not in columns:
            self._connection.create_function("digest", 1, _digest, deterministic=True)
            self._connection.create_function("aged_from", 3, _aged_from, deterministic=True)
            take_over = _TAKE_OVER.format(revision="revision" if "revision" in columns else "0")
            self._connection.executescript(f"BEGIN; {_AS_IT_WAS} {_SCHEMA} {take_over} COMMIT;")
        self._connection.executescript(_SCHEMA)

    def _keep_reads(self, batch: Batch) -> set[Identity]:
        refused: set[Identity] = set()
        for record, arrived in batch.reads:
            captured_at = time_text(record.captured_at)
            values = (
                str(record.id),
                record.revision,
                record.agency,
                record.vehicle,
                record.seq,
                record.camera,
                captured_at,
                record.plate.text,
                record.plate.confidence,
                arrived.text,
                arrived.sha256,
                arrived.times,
                captured_at if record.clock.synchronized else None,
            )
            if self._connection.execute(_INSERT, values).rowcount == 0:
                refused.add(arrived.identity)
        return refused

    def _keep_gaps(self, batch: Batch) -> set[Identity]:
        refused: set[Identity] = set()
        for record, arrived in batch.gaps:
            values = (
                str(record.id),
                record.agency,
                record.vehicle,
                record.reason,
                record.reads,
                time_text(record.at),
                arrived.text,
                arrived.sha256,
                arrived.times,
            )
            if self._connection.execute(_INSERT_GAP, values).rowcount == 0:
                refused.add(arrived.identity)
        return refused

    def _keep_images(self, batch: Batch) -> set[Identity]:
        refused: set[Identity] = set()
        for record, arrived in batch.images:
            reads = self._connection.execute(_NAMING, (str(record.id),))
            if arrived.identity not in {(agency, vehicle, image_named(read)) for agency, vehicle, read in reads}:
                refused.add(arrived.identity)
                continue
            values = (
                str(record.id),
                record.key.sha256,
                record.agency,
                record.vehicle,
                record.jpeg,
                arrived.times,
            )
            self._connection.execute(_INSERT_IMAGE, values)
        return refused

    def _log(self, question: Question, asked: str, rows: int) -> None:
        self._connection.execute(_LOG, (question.who, question.login, question.purpose, asked, rows))

    def _reject(self, rejected: Collection[Rejected]) -> None:
        rows = [(one.sha256.hex(), one.source, one.beginning, one.reason) for one in rejected]
        self._connection.executemany(_REJECT, rows)
        if rows:
            self._connection.execute(_FORGET_REJECTED, (REJECTED_AT_MOST,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        with self._explained():
            if not os.path.samestat(self._file, self._path.stat()):
                raise StoreError(f"database {self._path}: was replaced while in use: start the store again")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            is_full = shutil.disk_usage(self._path.parent).free < _FULL_BELOW_BYTES
            reason = "its disk is full: make room on it first" if is_full else error
            raise (DatabaseAway if busy else StoreError)(f"database {self._path}: {reason}") from None
        except OSError as error:
            raise StoreError(f"database {self._path}: {error.strerror}") from None


def _query(question: Question) -> tuple[str, dict[str, object]]:
    values: dict[str, object] = {
        "since": time_text(question.since) if question.since else "",
        "until": time_text(question.until) if question.until else "~",  # comes after every time
        "limit": question.limit,
    }
    if question.plate is None:
        agency, vehicle = question.vehicle or ("", "")
        return _ASK_VEHICLE, values | {"agency": agency, "vehicle": vehicle}
    beginning = question.plate.removesuffix("*")
    end = question.plate[len(beginning) :]
    # What could not be read may be the character asked for.
    doubtful = "".join(f"[{character}?]" for character in beginning) + end
    return _ASK_PLATE, values | {
        "beginning": beginning,
        "highest": beginning + end.replace("*", "~"),
        "doubtful": doubtful,
    }


def _digest(record: str) -> bytes:
    """Tell repeats of a read that an earlier version stored."""
    try:
        return digest(decode_read(record.encode()))
    except ContractError:
        return b""


def _aged_from(record: str, captured_at: str, stored_at: str) -> str:
    try:
        return captured_at if decode_read(record.encode()).clock.synchronized else stored_at
    except ContractError:
        return captured_at

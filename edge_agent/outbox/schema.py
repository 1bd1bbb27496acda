"""The tables of the outbox's file, and how a file of each earlier version becomes one of this.

A row in `reads` is pending; one that is also in `sent` was acknowledged by the broker and waits for its receipt;
one in `quarantined` is not sent again. The marks have tables of their own so that marking does not write the
kilobyte of the read again. A picture has its read's place in the count; it is in `images_due` once its read is with
the store, and only then it is sent. `kept` holds since which age of the outbox damaged files lie beside it.
"""

import functools
from contextlib import closing
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxDamaged, OutboxOutdated, OutboxUnusable
from edge_agent.outbox.file import PLAIN, Connection, code_of, connect, in_memory
from edge_agent.outbox.rows import SUMMED

SCHEMA_VERSION = 9
_VERSIONS, _KNOWN_VERSIONS = slice(18, 20), {1, 2}
"""Of the file's format, in its header, that a program needs to write and to read it."""

_READS_3 = """
CREATE TABLE reads (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    payload BLOB NOT NULL,
    appended_ms INTEGER NOT NULL,
    UNIQUE (id, revision)
) STRICT;
"""
_READS = """
CREATE TABLE reads (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    appended_ms INTEGER NOT NULL,
    appended_age_s REAL NOT NULL,
    {record} BLOB NOT NULL,
    UNIQUE (id, revision)
) STRICT;
"""
_PURGES = """
CREATE TABLE purges (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    {what}
    reason TEXT NOT NULL,
    reads INTEGER NOT NULL,
    oldest_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL
) STRICT;
"""
_BOUNDS = """
CREATE TABLE quarantined (seq INTEGER PRIMARY KEY, why TEXT NOT NULL) STRICT;
CREATE TABLE gaps (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    ranges TEXT NOT NULL,
    reads INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    sent_at_s REAL
) STRICT;
{purges}
CREATE TABLE age (aged_s REAL NOT NULL, utc_s REAL NOT NULL) STRICT;
"""
_IMAGES = """
CREATE TABLE images (
    seq INTEGER PRIMARY KEY,
    read_id BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    appended_ms INTEGER NOT NULL,
    appended_age_s REAL NOT NULL,
    {picture} BLOB NOT NULL
) STRICT;
CREATE INDEX images_by_key ON images (read_id, sha256);
CREATE TABLE images_due (seq INTEGER PRIMARY KEY, sent_at_s REAL, held INTEGER NOT NULL DEFAULT 0) STRICT;
"""
_KEPT = "CREATE TABLE kept (name TEXT PRIMARY KEY, since_age_s REAL NOT NULL) STRICT, WITHOUT ROWID;"
_SUMMED = {
    "gaps": """
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        what TEXT NOT NULL,
        reason TEXT NOT NULL,
        ranges TEXT NOT NULL,
        reads INTEGER NOT NULL,
        acknowledged INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        sent_at_s REAL
    """,
    "age": "aged_s REAL NOT NULL, utc_s REAL NOT NULL, behind_from INTEGER",
    "counter": "last_seq INTEGER NOT NULL, owner TEXT NOT NULL",
}
"""Tables whose rows carry a checksum, which SQLite itself writes."""


def _summed(table: str) -> str:
    crc32 = f"crc32 INTEGER NOT NULL AS (checksum({SUMMED[table]})) STORED"
    return f"CREATE TABLE {table} ({_SUMMED[table]}, {crc32}) STRICT;"


# Tables are added at the end: of a file whose first page is lost it is known on which pages the others begin.
_SCHEMA = f"""
{_READS.format(record="sealed")}
CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
CREATE TABLE quarantined (seq INTEGER PRIMARY KEY, why TEXT NOT NULL) STRICT;
{_IMAGES.format(picture="sealed")}
{_PURGES.format(what="what TEXT NOT NULL,")}
{_KEPT}
{_summed("gaps")} {_summed("age")} {_summed("counter")}
INSERT INTO counter VALUES (0, '');
INSERT INTO age (aged_s, utc_s) VALUES (0.0, 0.0);
"""
_SET_ASIDE = "ALTER TABLE reads RENAME TO old_reads;"
_STEPS = {
    1: "ALTER TABLE counter ADD COLUMN owner TEXT NOT NULL DEFAULT '';",
    2: f"""{_SET_ASIDE} {_READS_3}
        INSERT INTO reads SELECT seq, id, 0, payload, appended_ms FROM old_reads; DROP TABLE old_reads;""",
    # The outbox's age begins at its oldest read: what is here already grows old from when it came.
    3: f"""{_SET_ASIDE} {_READS.format(record="payload")} {_BOUNDS.format(purges=_PURGES.format(what=""))}
        INSERT INTO age SELECT 0.0, COALESCE(MIN(appended_ms), 0) / 1000.0 FROM old_reads;
        INSERT INTO reads SELECT seq, id, revision, 0, appended_ms, appended_ms / 1000.0 - (SELECT utc_s FROM age),
            payload FROM old_reads;
        DROP TABLE old_reads;""",
    4: f"""{_IMAGES.format(picture="jpeg")}
        ALTER TABLE gaps ADD COLUMN what TEXT NOT NULL DEFAULT 'reads';
        ALTER TABLE purges ADD COLUMN what TEXT NOT NULL DEFAULT 'reads';""",
    5: "ALTER TABLE age ADD COLUMN behind_from INTEGER;",
    6: _KEPT,
    7: "ALTER TABLE reads RENAME COLUMN payload TO sealed; UPDATE reads SET sealed = seal(sealed, id, revision);",
    8: """ALTER TABLE images RENAME COLUMN jpeg TO sealed;
        UPDATE images SET sealed = seal(sealed, read_id, seq);"""
    + "".join(
        f"""ALTER TABLE {table} RENAME TO old_{table}; {_summed(table)}
        INSERT INTO {table} ({columns}) SELECT {columns} FROM old_{table} ORDER BY rowid;
        DROP TABLE old_{table};"""
        for table, columns in SUMMED.items()
    ),
}
"""How a file of each earlier version becomes one of the next."""


def prepare(connection: Connection) -> None:
    """Make the tables, or bring those of an earlier version up to this one."""
    if is_new(connection):
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    while (step := _STEPS.get(version := _version(connection))) is not None:
        connection.executescript(f"BEGIN; {step} PRAGMA user_version = {version + 1}; COMMIT;")


def is_new(connection: Connection) -> bool:
    """Tell whether nothing was ever written: an empty file is an outbox too."""
    return _version(connection) == 0 and connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)


def is_ours(connection: Connection) -> bool:
    """Tell whether the tables are those of an outbox of this format; of an earlier one, whether it says so."""
    return _shape(connection) == _new_shape() or _version(connection) in _STEPS


def look(path: Path, key: bytes | None) -> None:
    """Raise as check_ours does; a connection that may write would change another program's file by closing it."""
    try:
        with closing(connect(path, key, read_only=True)) as connection:
            check_ours(connection, path)
    except sqlite.Error as error:
        if code_of(error) != sqlite.SQLITE_READONLY:
            raise  # else a power cut left it so that only who may write can read: who opens it looks again


def check_header(path: Path) -> None:
    """Raise OutboxDamaged for a plain file whose header says that it must not be written: none of ours says so."""
    with path.open("rb") as file:
        header = file.read(_VERSIONS.stop)
    if header.startswith(PLAIN) and not set(header[_VERSIONS]) <= _KNOWN_VERSIONS:
        raise OutboxDamaged(f"outbox {path}: is damaged")


def check_integrity(connection: Connection, path: Path) -> None:
    """Look at every page, and at whether the indexes name what is there. Raises OutboxDamaged."""
    if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        raise OutboxDamaged(f"outbox {path}: is damaged")


def check_ours(connection: Connection, path: Path) -> None:
    """Raise OutboxUnusable for a file of another program or of a later version, before anything is changed.

    Raises OutboxDamaged for one whose number of its format and whose tables do not go together: another format has
    others.
    """
    if is_new(connection):
        return
    version, shape, new = _version(connection), _shape(connection), _new_shape()
    if shape == new:
        is_damaged = version < SCHEMA_VERSION or (version ^ SCHEMA_VERSION).bit_count() == 1
    else:
        is_damaged = version == SCHEMA_VERSION and 2 * len(shape & new) > len(new)
    if is_damaged:
        raise OutboxDamaged(f"outbox {path}: is damaged")
    tables = {table for _, table, *_ in shape}
    if version == 0 or not tables >= {"reads", "counter"}:
        raise OutboxUnusable(f"outbox {path}: is a database of another program; the file was left as it is")
    if version > SCHEMA_VERSION:
        raise OutboxUnusable(
            f"outbox {path}: its format is {version}, this program knows {SCHEMA_VERSION}: use its own"
        )


def check_current(connection: Connection, path: Path) -> None:
    """Raise OutboxOutdated for a file of an earlier version, which can be taken over but not read."""
    if (version := _version(connection)) < SCHEMA_VERSION:
        raise OutboxOutdated(
            f"outbox {path}: its format is {version}, an earlier one: the service takes it over when it starts"
        )


def _shape(connection: Connection) -> frozenset[tuple[object, ...]]:
    """Tables and indexes by name, each with a table's columns."""
    return frozenset(
        connection.execute(
            "SELECT of.type, of.tbl_name, of.name, c.name, c.type, c.pk FROM sqlite_master AS of"
            " LEFT JOIN pragma_table_xinfo(of.name) AS c"
        ).fetchall()
    )


@functools.cache
def _new_shape() -> frozenset[tuple[object, ...]]:
    with closing(in_memory()) as connection:
        prepare(connection)
        return _shape(connection)


def _version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)

"""The tables of the outbox's file, and how a file of each earlier version becomes one of this.

A row in `reads` is pending; one that is also in `sent` was acknowledged by the broker and waits for its receipt;
one in `quarantined` is not sent again. The marks have tables of their own so that marking does not write the
kilobyte of the read again. A picture has its read's place in the count; it is in `images_due` once its read is with
the store, and only then it is sent. `kept` holds since which age of the outbox damaged files lie beside it,
`synchronized` what a time service has told of its beginning, `away` for how long it was closed since the reads that
had come until then, and how much of that UTC alone has told.
"""

import functools
from contextlib import closing
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxDamaged, OutboxOutdated, OutboxUnusable
from edge_agent.outbox.file import PLAIN, Connection, code_of, connect, in_memory, in_order
from edge_agent.outbox.rows import SUMMED

SCHEMA_VERSION = 14
_SEALED_FROM, _SAME_FROM, _TOLD_FROM, _AWAY_FROM = 8, 9, 13, 14
"""From where on reads have checksums; and the schema is the same, but for one table more each time."""

_VERSIONS, _KNOWN_VERSIONS = slice(18, 20), {1, 2}
"""Of the file's format, in its header, that a program needs to write and to read it."""

_READS = """
CREATE TABLE reads (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    appended_ms INTEGER NOT NULL,
    appended_age_s REAL NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (id, revision)
) STRICT;
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
CREATE TABLE images_due (seq INTEGER PRIMARY KEY, sent_at_s REAL, held INTEGER NOT NULL DEFAULT 0) STRICT;
"""
_INDEX = "CREATE INDEX images_by_key ON images (read_id, sha256);"
_KEPT = "CREATE TABLE kept (name TEXT PRIMARY KEY, since_age_s REAL NOT NULL) STRICT, WITHOUT ROWID;"


def _crc32(table: str) -> str:
    return f"crc32 INTEGER NOT NULL AS (checksum({SUMMED[table]})) STORED"


_SYNCHRONIZED = f"""
CREATE TABLE synchronized (
    began_s REAL NOT NULL,
    until_seq INTEGER,
    until_age_s REAL NOT NULL DEFAULT 0,
    added_s REAL NOT NULL DEFAULT 0,
    {_crc32("synchronized")}
) STRICT;
"""
_AWAY = f"""
CREATE TABLE away (
    until_seq INTEGER PRIMARY KEY,
    until_age_s REAL NOT NULL,
    by_s REAL NOT NULL,
    unsure_s REAL NOT NULL,
    {_crc32("away")}
) STRICT;
"""
# Tables are added at the end, and the index is last, as VACUUM makes them: of a file whose first page is lost it is
# known on which pages the others begin.
_TABLES = f"""
{_READS}
CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
CREATE TABLE quarantined (seq INTEGER PRIMARY KEY, why TEXT NOT NULL) STRICT;
CREATE TABLE gaps (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    what TEXT NOT NULL,
    reason TEXT NOT NULL,
    ranges TEXT NOT NULL,
    reads INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    sent_at_s REAL,
    {_crc32("gaps")}
) STRICT;
CREATE TABLE purges (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    what TEXT NOT NULL,
    reason TEXT NOT NULL,
    reads INTEGER NOT NULL,
    oldest_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE age (aged_s REAL NOT NULL, utc_s REAL NOT NULL, behind_from INTEGER, {_crc32("age")}) STRICT;
CREATE TABLE counter (last_seq INTEGER NOT NULL, owner TEXT NOT NULL, {_crc32("counter")}) STRICT;
{_IMAGES.format(picture="sealed")}
{_KEPT}
"""
_FIRST = "INSERT INTO counter VALUES (0, ''); INSERT INTO age (aged_s, utc_s) VALUES (0.0, 0.0);"
_SCHEMA = f"{_TABLES} {_SYNCHRONIZED} {_AWAY} {_INDEX} {_FIRST}"

_OF_ITS_READ = "COALESCE((SELECT id FROM reads WHERE reads.seq = old_images.seq), read_id)"
_UNSEALED = "SUBSTR(sealed, 1, LENGTH(sealed) - 4)"
_COPIED = {
    "reads": (
        "seq, id, revision, priority, appended_ms, appended_age_s, sealed",
        {
            "sealed": f"CASE WHEN sealed IN (seal({_UNSEALED}, id, revision), seal({_UNSEALED}, x'', ''))"
            f" THEN seal({_UNSEALED}, id, revision || ' ' || seq) ELSE sealed END"
        },
    ),
    "sent": ("seq, at_s", {}),
    "quarantined": ("seq, why", {}),
    "gaps": ("number, id, what, reason, ranges, reads, acknowledged, at_ms, sent_at_s", {}),
    "purges": ("number, at_ms, what, reason, reads, oldest_ms, newest_ms", {}),
    "age": ("aged_s, utc_s, behind_from", {}),
    "counter": ("last_seq, owner", {}),
    "images": (
        "seq, read_id, sha256, appended_ms, appended_age_s, sealed",
        {"read_id": _OF_ITS_READ, "sealed": f"seal(jpeg, {_OF_ITS_READ}, seq)"},
    ),
    "images_due": ("seq, sent_at_s, held", {}),
    "kept": ("name, since_age_s", {}),
}
"""Columns of every table, and what becomes one of them that has another name or content in format 8."""


def _copied(table: str) -> str:
    columns, made = _COPIED[table]
    old = ", ".join(made.get(one, one) for one in columns.split(", "))
    return f"INSERT INTO {table} ({columns}) SELECT {old} FROM old_{table}; DROP TABLE old_{table};"


TOLD_IN_12 = (
    (
        "INSERT INTO synchronized (began_s, until_seq, until_age_s)"
        " SELECT utc_s - aged_s, (-1 - behind_from) / 2, aged_s FROM age WHERE behind_from < 0"
    ),
    (
        "UPDATE age SET behind_from = CASE WHEN (-1 - behind_from) % 2 THEN (-1 - behind_from) / 2 END"
        " WHERE behind_from < 0"
    ),
)
"""Until format 12 `behind_from` was below 0 for the last read before a time service told UTC, doubled, and whether
UTC was behind since."""

_STEPS = {
    4: f"""{_IMAGES.format(picture="jpeg")} {_INDEX}
        ALTER TABLE gaps ADD COLUMN what TEXT NOT NULL DEFAULT 'reads';
        ALTER TABLE purges ADD COLUMN what TEXT NOT NULL DEFAULT 'reads';""",
    5: "ALTER TABLE age ADD COLUMN behind_from INTEGER;",
    6: _KEPT,
    7: "ALTER TABLE reads RENAME COLUMN payload TO sealed; UPDATE reads SET sealed = seal(sealed, id, revision);",
    # All tables anew: whatever format a file began with, its schema is the same to the letter from here on.
    8: "DROP INDEX images_by_key;"
    + "".join(f"ALTER TABLE {table} RENAME TO old_{table};" for table in _COPIED)
    + _TABLES
    + _INDEX
    + "".join(_copied(table) for table in _COPIED),
    9: "",
    10: "",  # of 11 there was none: one wrong bit must not make the number of a format another one's
    11: "PRAGMA application_id = 0;",  # until then it told nothing of the file's logs
    12: f"{_SYNCHRONIZED} {'; '.join(TOLD_IN_12)};",
    13: f"{_AWAY} UPDATE synchronized SET added_s = 0.0;",  # until then it was in each read's age
}
"""How a file of each earlier version becomes one of the next."""


def prepare(connection: Connection) -> None:
    """Make the tables, or bring those of an earlier version up to this one."""
    if is_new(connection):
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    while (step := _STEPS.get(version := _version(connection))) is not None:
        connection.executescript(f"BEGIN; {step} PRAGMA user_version = {version + 1}; COMMIT;")


def put_in_order(connection: Connection) -> None:
    """Let each table begin on the page where a new file has it: it is found there when the first page is lost."""
    if _beginnings(connection) != _new_beginnings():
        in_order(connection)


def is_new(connection: Connection) -> bool:
    """Tell whether nothing was ever written: an empty file is an outbox too."""
    return _version(connection) == 0 and connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)


def is_ours(connection: Connection) -> bool:
    """Tell whether the tables are those of an outbox; of an earlier format, whether its reads can be asked for."""
    if _schema(connection) == _new_schema():
        return True
    if (version := _version(connection)) not in _STEPS:
        return False
    record = "payload" if version < _SEALED_FROM else "sealed"
    try:
        for query in (
            f"SELECT seq, id, revision, priority, appended_ms, appended_age_s, {record} FROM reads LIMIT 0",
            "SELECT last_seq, owner FROM counter LIMIT 0",
        ):
            connection.execute(query)
    except sqlite.Error as error:
        if code_of(error) != sqlite.SQLITE_ERROR:
            raise
        return False
    return True


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
    """Raise OutboxUnusable for a file of another program or version, before anything is changed.

    Raises OutboxDamaged for one whose number of its format and whose schema do not go together: another format has
    another.
    """
    if is_new(connection):
        return
    version, found = _version(connection), _schema(connection)
    if _is_of_another_format(version, found):
        raise OutboxDamaged(f"outbox {path}: is damaged")
    tables = {name for _, name, _ in found}
    if version == 0 or not tables >= {"reads", "counter"}:
        raise OutboxUnusable(f"outbox {path}: is a database of another program; the file was left as it is")
    if version > SCHEMA_VERSION:
        raise OutboxUnusable(
            f"outbox {path}: its format is {version}, this program knows {SCHEMA_VERSION}: use its own"
        )
    if version < min(_STEPS):
        raise OutboxUnusable(
            f"outbox {path}: its format is {version}, older than any that this program takes over: let the program"
            f" that wrote it deliver what is in it, or move {path.name}* away"
        )


def _is_of_another_format(version: int, found: frozenset[tuple[object, ...]]) -> bool:
    new = _new_schema()
    schemas = {
        new: range(_AWAY_FROM, SCHEMA_VERSION + 1),
        (told := _without(new, "away")): range(_TOLD_FROM, _AWAY_FROM),
        _without(told, "synchronized"): range(_SAME_FROM, _TOLD_FROM),
    }
    if (versions := schemas.get(found)) is None:
        return any(version in versions and 2 * len(found & one) > len(one) for one, versions in schemas.items())
    is_later = version > SCHEMA_VERSION and all((version ^ one).bit_count() > 1 for one in versions)
    return version not in versions and not is_later


def _without(schema: frozenset[tuple[object, ...]], table: str) -> frozenset[tuple[object, ...]]:
    return frozenset(one for one in schema if one[1] != table)


def is_earlier(connection: Connection) -> bool:
    """Tell whether it is of an earlier format."""
    return _version(connection) in _STEPS


def is_made_anew(connection: Connection) -> bool:
    """Tell whether it is of an earlier format all of whose tables are copied when it is taken over."""
    return is_earlier(connection) and _version(connection) < _SAME_FROM


def check_current(connection: Connection, path: Path) -> None:
    """Raise OutboxOutdated for a file of an earlier version, which can be taken over but not read."""
    if (version := _version(connection)) < SCHEMA_VERSION:
        raise OutboxOutdated(
            f"outbox {path}: its format is {version}, an earlier one: the service takes it over when it starts"
        )


def _schema(connection: Connection) -> frozenset[tuple[object, ...]]:
    """Tables and indexes, with the text that makes each."""
    return frozenset(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall())


@functools.cache
def _new_schema() -> frozenset[tuple[object, ...]]:
    with closing(in_memory()) as connection:
        prepare(connection)
        return _schema(connection)


def _beginnings(connection: Connection) -> frozenset[tuple[object, ...]]:
    return frozenset(connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall())


@functools.cache
def _new_beginnings() -> frozenset[tuple[object, ...]]:
    with closing(in_memory()) as connection:
        prepare(connection)
        return _beginnings(connection)


def _version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)

"""Which log is an outbox's own: SQLite lays any sound one over any file that it lies beside.

Each log has a number (its first salt), random at first and one more each time it begins anew. The file's name, on
its first page, is the number that the first log of its last opening had: no log of another outbox has one near it,
and none of an earlier opening has one as high.
"""

import time
from contextlib import closing
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxError
from edge_agent.outbox.file import (
    BUSY_S,
    FULL,
    Connection,
    checkpoint,
    connect,
    hint,
    is_damage,
    is_empty,
    is_full,
    is_open_elsewhere,
    log_of,
)
from edge_agent.outbox.log import begin_log, is_unused, number_of
from edge_agent.outbox.rows import SUMMED

_NAMED_FROM = 10
_NUMBERS = 1 << 32
_MOST, _MANY = 1 << 14, 1 << 13
"""Times that a log may begin anew under one name, and after which the file is named anew."""

_AGAIN_S = 0.1


def belongs(log: Path, path: Path, key: bytes | None) -> bool:
    """Whether a log may be an outbox's: it has such a number, and with it every count goes on.

    Where the name and that in the lock's file differ in one bit, one of them has a wrong bit, which must not cost
    the log: either is good then. Nobody may be writing, and this process have no connection.
    """
    if is_unused(log):
        return True
    number, noted = number_of(log), _noted(path)
    try:
        with closing(connect(path, key, read_only=True, unshared=True)) as connection:
            name = name_of(connection)
            names = (name, noted) if (name ^ noted).bit_count() == 1 else (name,)
            if name and number is not None and all((number - one) % _NUMBERS >= _MOST for one in names):
                return False
            before = _counts(connection)
    except (sqlite.Error, UnicodeDecodeError):  # damaged, half written from the log, or of an earlier format
        return True
    try:
        with closing(connect(path, key, read_only=True)) as connection:
            after = dict(connection.execute("SELECT owner, last_seq FROM counter"))
    except (sqlite.Error, UnicodeDecodeError) as error:
        return key is None or not is_damage(error)  # of a file with another salt no page can be read
    return all(after.get(owner, -1) >= last for owner, last in before.items())


def begin(log: Path, path: Path, key: bytes | None) -> None:
    """Let a log in which nothing is go on with the file's numbers, beyond its last: SQLite would take any.

    This process must have no connection. Raises OutboxError where another one keeps one: SQLite goes by its index.
    """
    if is_empty(path):
        log.unlink(missing_ok=True)
    if number_of(log) is not None and not is_unused(log):
        return
    try:
        with closing(connect(path, key, read_only=True, unshared=True)) as connection:
            name = name_of(connection)
    except (sqlite.Error, UnicodeDecodeError):
        return
    if name:
        check_alone(path)
        try:
            begin_log(log, (name + _MANY) % _NUMBERS)
        except OSError as error:
            what = FULL if is_full(path.parent) else f"its log cannot be written: {error.strerror}"
            raise OutboxError(f"outbox {path}: {what}") from None


def check_alone(path: Path) -> None:
    """Wait until no other process has a connection. Raises OutboxError where one keeps it."""
    until = time.monotonic() + BUSY_S
    while is_open_elsewhere(path):
        if time.monotonic() > until:
            raise OutboxError(f"outbox {path}: another program has it open: end that program (sqlite3?)")
        time.sleep(_AGAIN_S)


def name_anew(connection: Connection, path: Path) -> None:
    """Let the log begin anew, and name the file by its number; where another program reads, it is without a name.

    So it is in between: any log is its own then. Raises sqlite.Error.
    """
    log = log_of(path)
    _let_name(connection, 0)
    went, _ = checkpoint(connection, "RESTART")
    if not went:
        return
    name = ((number_of(log) or 0) + 1) % _NUMBERS
    _let_name(connection, name)
    if number_of(log) == name:
        checkpoint(connection, "PASSIVE")  # it must stand in the file: a log may lie beside it that does not say it
    else:  # another program began to read, so that the log went on
        _let_name(connection, 0)


def keep_near(connection: Connection, path: Path) -> None:
    """Name a file that has no name yet, or whose log began anew so often that it may soon not be told any more.

    Raises sqlite.Error.
    """
    name, number = name_of(connection), number_of(log_of(path))
    if number is not None and (name == 0 or (number - name) % _NUMBERS > _MANY):
        name_anew(connection, path)


def _noted(path: Path) -> int:
    try:
        with path.with_suffix(".lock").open("rb") as lock_file:
            return hint(lock_file.fileno()).name
    except OSError:
        return 0


def name_of(connection: Connection) -> int:
    """The file's name; 0 where it has none, or one of an earlier format, which tells no log."""
    version, name = connection.execute(
        "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    return int(name) % _NUMBERS if version >= _NAMED_FROM else 0


def _let_name(connection: Connection, name: int) -> None:
    connection.execute(f"PRAGMA application_id = {name - _NUMBERS if name >= _NUMBERS // 2 else name}")


def _counts(connection: Connection) -> dict[str, int]:
    """Those that fit their checksum, each owner's."""
    rows = connection.execute(
        f"SELECT owner, last_seq FROM counter WHERE owner != '' AND crc32 = checksum({SUMMED['counter']})"
    )
    return dict(rows)

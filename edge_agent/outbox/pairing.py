"""Which log is an outbox's own: SQLite lays any sound one over any file that it lies beside.

Each log has a number (its first salt), random at first and one more each time it begins anew. The file's name, on
its first page, is the number that the first log of its last opening had: no log of another outbox has one near it,
and none of an earlier opening has one as high.
"""

from contextlib import closing, suppress
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxBusy
from edge_agent.outbox.file import Connection, checkpoint, connect, is_damage, log_of
from edge_agent.outbox.log import begin_log, is_unused, number_of

_NAMED_FROM = 10
_NUMBERS = 1 << 32
_MOST, _MANY = 1 << 16, 1 << 15
"""Times that a log may begin anew under one name, and after which the file is named anew."""


def belongs(log: Path, path: Path, key: bytes | None) -> bool:
    """Whether a log may be an outbox's: it has such a number, and with it every count goes on.

    Nobody may be writing, and this process have no connection.
    """
    if is_unused(log):
        return True
    try:
        with closing(connect(path, key, read_only=True, unshared=True)) as connection:
            name, before = _name(connection), _counts(connection)
    except (sqlite.Error, UnicodeDecodeError):  # it is damaged, or nothing was written into it yet
        return True
    number = number_of(log)
    if number is not None and not _is_of(name, number):
        return False
    try:
        with closing(connect(path, key, read_only=True)) as connection:
            after = _counts(connection)
    except (sqlite.Error, UnicodeDecodeError) as error:
        return key is None or not is_damage(error)  # of a file with another salt no page can be read
    return all(after.get(owner, -1) >= last for owner, last in before.items())


def begin(log: Path, path: Path, key: bytes | None) -> int:
    """Let a log in which nothing is go on with the file's numbers, beyond its last: SQLite would take any.

    Returns the file's name, 0 where it has none. This process must have no connection.
    """
    try:
        with closing(connect(path, key, read_only=True, unshared=True)) as connection:
            name = _name(connection)
    except (sqlite.Error, UnicodeDecodeError):
        return 0
    if name and number_of(log) is None:
        with suppress(OSError):  # no room: what writes next says so
            begin_log(log, (name + _MANY) % _NUMBERS)
    return name


def name_anew(connection: Connection, path: Path) -> bool:
    """Let the log begin anew, and name the file by its number; False where another program reads: the name stays.

    In between the file has no name, and any log is its own. Raises sqlite.Error.
    """
    log = log_of(path)
    _let_name(connection, 0)
    went, _ = checkpoint(connection, "RESTART")
    if not went:
        return False
    name = ((number_of(log) or 0) + 1) % _NUMBERS
    _let_name(connection, name)
    if number_of(log) == name:
        checkpoint(connection, "PASSIVE")  # it must stand in the file: a log may lie beside it that does not say it
    else:  # another program began to read, so that the log went on
        _let_name(connection, 0)
    return True


def keep_near(connection: Connection, path: Path) -> None:
    """Name a file anew whose log began anew so often that it may soon not be told any more. Raises sqlite.Error."""
    name, number = _name(connection), number_of(log_of(path))
    if name and number is not None and (number - name) % _NUMBERS > _MANY:
        name_anew(connection, path)


def check_near(path: Path, name: int) -> None:
    """Raise OutboxBusy where what is written would be taken for another outbox's at the next start.

    This process has a connection now, and to open the file beside it would end SQLite's locks: the name is given.
    """
    number = number_of(log_of(path))
    if number is None or not _is_of(name, number):
        raise OutboxBusy(
            f"outbox {path}: another program is reading it, or its disk is full: end that program"
            " (edge-agent outbox export?), or make room"
        )


def _is_of(name: int, number: int) -> bool:
    return name == 0 or (number - name) % _NUMBERS < _MOST


def _name(connection: Connection) -> int:
    """Of earlier formats none tells a log."""
    version, name = connection.execute(
        "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    return int(name) % _NUMBERS if version >= _NAMED_FROM else 0


def _let_name(connection: Connection, name: int) -> None:
    connection.execute(f"PRAGMA application_id = {name - _NUMBERS if name >= _NUMBERS // 2 else name}")


def _counts(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT owner, last_seq FROM counter WHERE owner != ''"))

"""Which log is an outbox's own: SQLite lays any sound one over any file that it lies beside.

The file has a name on its first page, random at first and one more at each opening, and every commit writes it
into the log again. It grows only once all that the log holds stands in the file. So with its own log a file says
the same name as alone, or the next one; with the log of another outbox, or of an earlier opening, it does not.
"""

import secrets
import time
from contextlib import closing
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxError
from edge_agent.outbox.file import BUSY_S, Connection, checkpoint, connect, is_damage, is_open_elsewhere
from edge_agent.outbox.log import is_unused
from edge_agent.outbox.rows import SUMMED

_NAMED_FROM = 12
"""Format; what earlier ones have in the name's place tells no log."""

_NAMES = 1 << 24
_AGAIN_S = 0.1


def belongs(log: Path, path: Path, key: bytes | None) -> bool:
    """Whether a log may be an outbox's: the file's name goes on with it, and so does every count.

    Nobody may be writing, and this process have no connection.
    """
    if is_unused(log):
        return True
    try:
        with closing(connect(path, key, read_only=True, unshared=True)) as connection:
            name, counts = name_of(connection), _counts(connection)
    except (sqlite.Error, UnicodeDecodeError):  # damaged, half written from the log, or of an earlier format
        return True
    try:
        with closing(connect(path, key, read_only=True)) as connection:
            goes_on = follows(name_of(connection), name)
            after = dict(connection.execute("SELECT owner, last_seq FROM counter"))
    except (sqlite.Error, UnicodeDecodeError) as error:
        return key is None or not is_damage(error)  # of a file with another salt no page can be read
    return goes_on and all(after.get(owner, -1) >= last for owner, last in counts.items())


def follows(name: int | None, before: int | None) -> bool:
    """Whether a file that had one name may have the other with its log; any, where it had none that can be read."""
    return before is None or (name is not None and (name - before) % _NAMES <= 1)


def check_alone(path: Path) -> None:
    """Wait until no other process has a connection. Raises OutboxError where one keeps it."""
    until = time.monotonic() + BUSY_S
    while is_open_elsewhere(path):
        if time.monotonic() > until:
            raise OutboxError(f"outbox {path}: another program has it open: end that program (sqlite3?)")
        time.sleep(_AGAIN_S)


def name_anew(connection: Connection) -> None:
    """Write the log into the file and give that its next name; where another program reads, it keeps what it has.

    Raises sqlite.Error.
    """
    is_written, _ = checkpoint(connection, "RESTART")
    name = name_of(connection)
    if name is None:
        _let_name(connection, secrets.randbelow(_NAMES))
    elif is_written:
        _let_name(connection, (name + 1) % _NAMES)


def repeat_name(connection: Connection) -> None:
    """Write the first page, and with it the name, into the log once more. Raises sqlite.Error."""
    (said,) = connection.execute("PRAGMA application_id").fetchone()
    connection.execute(f"PRAGMA application_id = {said}")


def name_of(connection: Connection) -> int | None:
    """The file's name; None where it has none, or not what was written."""
    version, said = connection.execute(
        "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    name = said % (1 << 32) >> 8
    return name if version >= _NAMED_FROM and said == _checked(name) else None


def _let_name(connection: Connection, name: int) -> None:
    connection.execute(f"PRAGMA application_id = {_checked(name)}")


def _checked(name: int) -> int:
    """A name, and a byte in which a wrong byte of it shows, as SQLite keeps 32 bits."""
    first, second, third = name.to_bytes(3)
    return int.from_bytes(bytes((first, second, third, 0xFF ^ first ^ second ^ third)), signed=True)


def _counts(connection: Connection) -> dict[str, int]:
    """Those that fit their checksum, each owner's."""
    rows = connection.execute(
        f"SELECT owner, last_seq FROM counter WHERE owner != '' AND crc32 = checksum({SUMMED['counter']})"
    )
    return dict(rows)

"""How the outbox's file is opened: a damaged one is salvaged, a plain one encrypted once there is a key."""

import logging
from contextlib import suppress
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.domain import Now, counted
from edge_agent.errors import OutboxDamaged, OutboxError
from edge_agent.outbox import encryption, salvage
from edge_agent.outbox.file import (
    NEARLY_FULL_BELOW_BYTES,
    Connection,
    close,
    code_of,
    connect,
    explained,
    free_bytes,
    log_of,
)
from edge_agent.outbox.log import read_log
from edge_agent.outbox.pairing import belongs, check_alone, name_anew
from edge_agent.outbox.schema import (
    check_header,
    check_integrity,
    check_ours,
    is_earlier,
    is_made_anew,
    look,
    prepare,
    put_in_order,
)
from edge_agent.outbox.status import check_sense

_log = logging.getLogger(__name__)


_NOT_AS_IT_WAS = {sqlite.SQLITE_ERROR, sqlite.SQLITE_CONSTRAINT, sqlite.SQLITE_MISMATCH}
"""That a file has not what an earlier format had, or something else there."""


_COPIES = 3
"""Of its size that a file takes while it is taken over, at most: the new tables, and both in the log."""

_NEW_TABLES_BYTES = 1_000_000
"""More than new tables alone take, in the file and in the log."""


def opened(path: Path, *, key: bytes | None, owner: str, now: Now) -> Connection:
    """A connection to a sound file of this format, encrypted where there is a key. Raises OutboxError."""
    salvage.finish(path)
    if encryption.key_of(path, key) is None and key is not None:
        close(_sound(path, None, owner=owner, now=now), path, None)  # its log stays, should the disk have no room
        encryption.encrypt(path, key)
    connection = _sound(path, key, owner=owner, now=now)
    if key is not None and (in_clear := [one for one in salvage.kept_beside(path) if _is_in_clear(one)]):
        salvage.erase_kept(in_clear)
        _log.warning("outbox %s: damaged files beside it were in clear: erased", path)
    return connection


def _is_in_clear(kept: Path) -> bool:
    """Whether a damaged file is plain, or a log holds plain pages or belongs to a plain file."""
    try:
        if kept.name.endswith("-wal") and encryption.is_log_in_clear(kept):
            return True
        return encryption.is_in_clear(kept.with_name(kept.name.removesuffix("-wal")))
    except OSError:
        return False


def _sound(path: Path, key: bytes | None, *, owner: str, now: Now) -> Connection:
    """A connection; a damaged file is salvaged first, and a log of another file is put aside."""
    log = log_of(path)
    if not belongs(log, path, key):
        check_alone(path)  # whoever has it open would write it into the file in the end, over what is new
        if not belongs(log, path, key):  # or did so
            kept = salvage.put_aside(log, path, now=now())
            _log.error(
                "outbox %s: the log beside it is older than the file, or another outbox's: what it holds is not"
                " sent; kept as %s", path, kept,
            )  # fmt: skip
    try:
        if not read_log(log).is_damaged:
            return _connected(path, key)
    except OutboxDamaged:
        pass
    found = salvage.salvage(path, key, salt=encryption.salt_of(path), owner=owner, now=now())
    left = f", {counted(found.images_left, 'picture')} of lost reads left" if found.images_left else ""
    _log.error(
        "outbox %s: was damaged: %s and %s could be saved%s, the store is told that some may be missing; the"
        " damaged file is kept as %s", path,
        counted(found.reads, "read"), counted(found.images, "picture"), left, found.kept,
    )  # fmt: skip
    return _connected(path, key)


def _connected(path: Path, key: bytes | None) -> Connection:
    with explained(path, key):
        check_header(path)
        look(path, key)
        connection = connect(path, key)
        try:
            check_ours(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            _prepare(connection, path)
            check_integrity(connection, path)
            check_sense(connection, path)
            with suppress(sqlite.Error):  # no room: at the next start
                name_anew(connection)
        except BaseException:
            close(connection, path, key)
            raise
        return connection


def _prepare(connection: Connection, path: Path) -> None:
    try:
        free, copies_bytes = free_bytes(path.parent), _COPIES * path.stat().st_size
        needed = copies_bytes if is_made_anew(connection) else _NEW_TABLES_BYTES if is_earlier(connection) else 0
        if free < needed:
            raise OutboxError(
                f"outbox {path}: to take it over from an earlier format needs {-(-needed // 1_000_000)} MB free on"
                " its disk for a while: make room"
            )
        prepare(connection)
        if free > copies_bytes + NEARLY_FULL_BELOW_BYTES:  # else at the next start
            with suppress(sqlite.Error):  # another program reads
                put_in_order(connection)
    except sqlite.Error as error:
        if code_of(error) in _NOT_AS_IT_WAS:
            raise OutboxDamaged(f"outbox {path}: is damaged") from None
        raise

"""The outbox's file and its lock: who may open it, with which key, and what SQLite's errors mean for a person."""

import errno
import fcntl
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.errors import OutboxBusy, OutboxDamaged, OutboxError, StateDirectoryError
from edge_agent.outbox.rows import checksum, seal

Connection = Any
"""A connection of sqlcipher3, which publishes no types."""

PAGE_BYTES, SALT_BYTES = 4096, 16
BUSY_S = 5
"""How long another connection is waited for."""

_LOOK_S = 0.5
"""Longer than anyone who only looks whether the outbox is in use has its lock."""

PLAIN = b"SQLite format 3\0"
"""What a file that is not encrypted begins with."""

FULL = "the disk is full: make room on it first"
QUOTA_FULL = "has no room for what must be written: let state.quota_mb be more"
_IRREGULAR = "is no regular file: move it away"
_LINK = "is a link, and its log would lie elsewhere: let state.directory name the directory of the file itself"
HALF_MADE = (".salvaging", ".mending", ".encrypting")
"""What is added to the name of a file that is being made, to take the outbox's place."""
NEARLY_FULL_BELOW_BYTES = 8 * 1024 * 1024
_FULL_BELOW_BYTES = 64 * 1024  # SQLite cannot work with less: the index of its log alone takes half of that
_OPEN_BYTE = 128  # of the log's index, on which each connection has a shared lock
_VACUUM_BYTES = 50_000_000
_ZEROS = bytes(1 << 20)
_DAMAGED = {sqlite.SQLITE_CORRUPT, sqlite.SQLITE_NOTADB}
_DAMAGED_SAYS = ("unsupported file format", "Could not decode to UTF-8")


def connect(path: Path, key: bytes | None, *, read_only: bool = False, unshared: bool = False) -> Connection:
    """Open the file, encrypted by a key of 32 bytes if there is one.

    Also who only reads writes an index beside the file, but where it is unshared: then nobody may be writing, and
    what only the log holds is not seen.
    """
    mode = "?immutable=1" if unshared else "?mode=ro" if read_only else ""
    uri = path.resolve().as_uri() + mode
    connection = sqlite.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    _teach(connection)
    if key is not None:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it would write past us, on stderr
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    return connection


def close(connection: Connection, path: Path, key: bytes | None) -> None:
    """Close a connection that may write; the log stays, and the room on the disk that it has for the next one.

    SQLite deletes the log with the last connection that can lock the file for itself: one that only reads cannot.
    """
    with ExitStack() as last:
        with suppress(sqlite.Error):  # a file that cannot be read
            reading = last.enter_context(closing(connect(path, key, read_only=True)))
            reading.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        connection.close()


def checkpoint(connection: Connection, mode: str) -> tuple[bool, int]:
    """Write the log into the file, and tell whether that went, and how many frames the log had.

    Where another program reads it does not, and is not waited for.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        is_busy, frames, _ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return not is_busy, int(frames)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")


def frames_in_log(connection: Connection) -> int:
    """How many frames the log has; nobody is waited for."""
    _, frames, _ = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
    return int(frames)


def in_memory() -> Connection:
    """A database of its own that no file holds."""
    connection = sqlite.connect(":memory:")
    _teach(connection)
    return connection


def _teach(connection: Connection) -> None:
    """Give a connection the functions that the tables call."""
    connection.create_function("checksum", -1, checksum, deterministic=True)
    connection.create_function("seal", 3, seal)


def in_order(connection: Connection) -> None:
    """Write a file anew that holds no more than _VACUUM_BYTES, its tables in their order and without unused pages.

    SQLCipher keeps what it writes meanwhile in memory: no plain copy may lie on the disk.
    """
    if used_bytes(connection) <= _VACUUM_BYTES:
        connection.execute("VACUUM")


def used_bytes(connection: Connection) -> int:
    """What is used of the file: pages that a delete gave back are free for the next ones."""
    (used,) = connection.execute(
        "SELECT (page_count - freelist_count) * page_size"
        " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(used)


def in_place(path: Path) -> tuple[tuple[int, int], ...]:
    """Which files stand where the outbox's and its log's should: device and inode of each that is there."""
    found = []
    for one in (path, log_of(path)):
        with suppress(OSError):
            what = one.stat()
            found.append((what.st_dev, what.st_ino))
    return tuple(found)


def log_of(path: Path) -> Path:
    """Where SQLite writes what is new before the file."""
    return path.with_name(f"{path.name}-wal")


def index_of(path: Path) -> Path:
    """Where SQLite says what is in the log."""
    return path.with_name(f"{path.name}-shm")


def check_regular(path: Path) -> None:
    """Raise StateDirectoryError where a link, a pipe or a device stands in the place of an outbox's file."""
    if path.is_symlink():
        raise StateDirectoryError(f"outbox {path}: {_LINK}")
    beside = [path.with_suffix(one) for one in (".lock", ".keymark")]
    made = [path.with_name(path.name + one) for one in ("-journal", *HALF_MADE)]
    for one in (path, log_of(path), index_of(path), salvaged(path), *beside, *made):
        with suppress(PermissionError):  # whoever needs it says so
            is_other = one.exists() and not (one.is_file() or (one == path and one.is_dir()))
            if one.is_symlink() or is_other:
                raise StateDirectoryError(f"outbox {one}: {_IRREGULAR}")


def salvaged(path: Path) -> Path:
    """Where a complete new file waits to take the place of a damaged one."""
    return path.with_name(f"{path.name}.salvaged")


def is_empty(path: Path) -> bool:
    """Tell whether there is a file of 0 bytes, as a disk that was full or faulty leaves it."""
    try:
        return path.stat().st_size == 0
    except OSError:  # whoever opens it says why
        return False


def lock(path: Path) -> int:
    """Make the outbox's directory and lock it for this process; the lock goes with the process, however it ends."""
    directory = path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # SQLite will make files beside the outbox's: better to know here that it cannot.
        tempfile.TemporaryFile(dir=directory).close()
        lock_file = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if not stat.S_ISREG(os.fstat(lock_file).st_mode):
            os.close(lock_file)
            raise StateDirectoryError(f"outbox {path.with_suffix('.lock')}: {_IRREGULAR}")
        # Made here and not by SQLite: nobody else may open it, and its directory entry must survive a power cut.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync(directory)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OutboxError(f"outbox {path}: {FULL}") from None
        if error.errno == errno.EIO:  # a moment later the disk may go again
            raise OutboxError(f"outbox {path}: its directory cannot be written: {error.strerror}") from None
        there = Path(error.filename or directory)
        it = there if there.exists() or there.is_symlink() else directory  # no trial's name
        raise StateDirectoryError(
            f"state directory: {it} cannot be written ({error.strerror}): check what it is and whose"
        ) from None
    until = time.monotonic() + _LOOK_S
    while not _is_taken(lock_file):
        if time.monotonic() > until:
            owner = (os.pread(lock_file, 20, 0).decode("ascii", "replace").split() or ["unknown"])[0]
            os.close(lock_file)
            raise OutboxBusy(f"outbox {path}: another agent is using it (pid {owner})") from None
        time.sleep(_LOOK_S / 10)
    note_count(lock_file, *noted_count(lock_file))
    return lock_file


def _is_taken(lock_file: int) -> bool:
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_in_use(path: Path) -> bool:
    """Tell whether a process has the outbox's lock."""
    try:
        # Of a pipe nobody waits for the other end.
        lock_file = os.open(path.with_suffix(".lock"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock_file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock_file)
    return False


def is_open_elsewhere(path: Path) -> bool:
    """Tell whether another process has a connection, by SQLite's lock for that; this one must have none."""
    try:
        index = index_of(path).open("rb+")
    except OSError:  # there is none, or none that SQLite could use
        return False
    with index:
        try:
            fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _OPEN_BYTE)
        except OSError:
            return True
    return False


def note_count(lock_file: int, seq: int, owner: str) -> None:
    """Write beside our process number how far an owner's count is: a hint, should the outbox's file be lost."""
    with suppress(OSError):  # a full disk keeps out the hint, not the agent
        line = f"{os.getpid()} {seq} {owner}\n".encode()
        os.pwrite(lock_file, line, 0)
        os.ftruncate(lock_file, len(line))


def noted_count(lock_file: int) -> tuple[int, str]:
    """How far the count was at least, and whose; 0 where nobody knows."""
    words = os.pread(lock_file, 200, 0).decode("utf-8", "replace").split()
    return (int(words[1]), words[2]) if len(words) > 2 and words[1].isdecimal() else (0, "")


def sync(directory: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hand_over(path: Path) -> None:
    """Give what root has made of the outbox to whom its directory belongs: else the service could not open it."""
    if os.geteuid():
        return
    owner = path.parent.stat()
    for one in path.parent.glob(f"{path.stem}.*"):
        ours = one.lstat()
        if stat.S_ISREG(ours.st_mode) and ours.st_uid == 0 and ours.st_nlink == 1:
            os.chown(one, owner.st_uid, owner.st_gid, follow_symlinks=False)


def erase(path: Path) -> None:
    """Overwrite a file and delete it; of one that has another name the name alone goes: it may be in use by that.

    Raises OSError, also for a link, which may lead to any file that root can write.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb+") as file:
        if os.fstat(file.fileno()).st_nlink == 1:
            overwrite(file)
    path.unlink()


def overwrite(file: IO[bytes]) -> None:
    """Fill a file with zeros, down to the disk; it may have another name by now. Raises OSError."""
    size = os.fstat(file.fileno()).st_size
    for start in range(0, size, len(_ZEROS)):
        file.seek(start)
        file.write(_ZEROS[: size - start])  # no more: there may be no room
    file.flush()
    os.fsync(file.fileno())


def why_unreadable(path: Path) -> str | None:
    """Say why there is no file that this user can read."""
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            return "is a directory"
        readable = os.access(path, os.R_OK)
    except FileNotFoundError:
        return "there is no such file"
    except PermissionError:  # its directory is the agent's alone
        readable = False
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if readable else "only the user that the agent runs as may read it: use sudo"


@contextmanager
def explained(path: Path, key: bytes | None = None) -> Iterator[None]:
    """Turn what SQLite reports of a file, opened with a key or none, into one line; the file stays as it is."""
    try:
        yield
    except (sqlite.Error, UnicodeDecodeError) as error:  # of a table's name that is no text, sqlcipher3 raises that
        if is_damage(error):
            what = "is not an outbox, " + ("or is damaged" if key is None else "is damaged, or its key is wrong")
            raise OutboxDamaged(
                f"outbox {path}: {what}; the file was left as it is, and the service saves what it can when it"
                " starts"
            ) from None
        what = FULL if is_full(path.parent) else str(error)
        if code_of(error) == sqlite.SQLITE_FULL:  # of its pages, which the room on the disk bounds as well
            what = FULL if free_bytes(path.parent) < NEARLY_FULL_BELOW_BYTES else QUOTA_FULL
        raise OutboxError(f"outbox {path}: {what}") from None


def code_of(error: Exception) -> int:
    """SQLite's own number of an error; 0 where only sqlcipher3 found fault."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault."""
    return (
        code_of(error) in _DAMAGED or isinstance(error, UnicodeDecodeError) or str(error).startswith(_DAMAGED_SAYS)
    )


def is_full(directory: Path) -> bool:
    """Ask the disk itself: SQLite calls some of what a full disk refuses an I/O error."""
    return free_bytes(directory) < _FULL_BELOW_BYTES


def free_bytes(directory: Path) -> float:
    """On its disk; infinite where the disk does not say."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return math.inf

"""Room on the disk: on one that others have filled, receipts must still be able to let reads go.

Whatever is written, deletes too, takes room in the log first, and what the log holds leaves it for the file alone.
So the log keeps some room while it is empty, and the file has its own before a commit makes it grow: on a disk that
is nearly full it grows no further than that. Then the log can always be written into it, and begin anew.

What a failing disk refused, of a commit or of the log on its way into the file, is made good before the next one.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.outbox.bounds import PORTION_BYTES, Bounds
from edge_agent.outbox.file import (
    NEARLY_FULL_BELOW_BYTES,
    Connection,
    checkpoint,
    code_of,
    frames_in_log,
    free_bytes,
    in_order,
    index_of,
    log_of,
)
from edge_agent.outbox.log import log_bytes
from edge_agent.outbox.pairing import repeat_name

_LOG_PAGES, _LOG_BYTES = 1000, 8 * 1024 * 1024
"""That the log may have, or a part of the quota: it takes its room on the disk too."""

_LOG_PART = 8
_KEPT_BYTES = (2 * PORTION_BYTES, 4 * PORTION_BYTES)
"""That an empty log keeps at least and at most: what leaves at once must fit twice."""

_WRITTEN = slice(96, 100)
"""Where the log's index has how many of its frames are in the file (https://www.sqlite.org/walformat.html)."""

_SPARE_BYTES, _FILLED = 64 * 1024, 1.25
"""For marks and gap records, and what content takes in pages that are not quite full."""


class Room:
    """Bounds an outbox's file and its log. Every method can raise sqlite.Error; to make one, OSError too."""

    def __init__(self, connection: Connection, path: Path, bounds: Bounds) -> None:
        self._connection = connection
        self._directory = path.parent
        self._log = log_of(path)
        with ExitStack() as opened:
            self._file, self._index = _open(path, opened), _mapped(index_of(path), opened)
            self._bound(bounds)
            self._opened = opened.pop_all()

    def _bound(self, bounds: Bounds) -> None:
        connection = self._connection
        self._page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
        part_bytes = bounds.quota_bytes // _LOG_PART
        least_bytes, most_bytes = _KEPT_BYTES
        self._kept_bytes = max(least_bytes, min(most_bytes, part_bytes))
        connection.execute(f"PRAGMA journal_size_limit = {max(least_bytes, min(_LOG_BYTES, part_bytes))}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # it would not say what the disk refuses
        self._log_frames = self._written_from = max(1, min(_LOG_PAGES, part_bytes // self._page_bytes))
        self._forget_what_is_written()  # whoever wrote before may have been refused
        self._most_pages = bounds.most_pages(self._page_bytes)
        connection.execute(f"PRAGMA max_page_count = {self._most_pages}")
        self._is_low, self._is_torn, self._is_written = False, False, True
        self._written_bytes = 0
        """Of the log, since it was overwritten in place: it may have begun anew many times."""
        self._keep()

    def close(self) -> None:
        """After the connection."""
        self._opened.close()

    def begin(self) -> None:
        """Begin a transaction, once the file has its room, and what a refused commit left in the log is gone."""
        self._is_written = True
        was_low, self._is_low = self._is_low, free_bytes(self._directory) < NEARLY_FULL_BELOW_BYTES
        if self._is_low:
            with suppress(OSError):  # it was taken away: the write will say so
                self._written_bytes = self._written_bytes if was_low else self._log.stat().st_size
        if self._is_low or self._is_torn:
            with suppress(sqlite.Error):  # another program may be reading
                began_anew, frames = self._begin_log_anew()
                # A log without a commit stays as it is: what was refused has the numbers of what follows.
                self._is_torn = self._is_torn and not (began_anew and frames)
        self.grow(0)
        if self._is_torn:
            self._begin_behind_zeros()
        else:
            self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End a transaction, and let a long log go into the file; where the disk refuses it, it is still one."""
        with self._noting_refusals():
            self._connection.execute("COMMIT")
        with suppress(sqlite.Error):  # the log has it
            frames = frames_in_log(self._connection)
            self._written_from = min(self._written_from, frames + self._log_frames)
            if frames >= self._written_from:
                self._written_from += self._log_frames  # where another program reads, or the disk refuses it
                self._checkpoint("PASSIVE")

    def grow(self, needed_bytes: int) -> None:
        """Give the file room for so much more; on a disk that is nearly full it grows by what it got alone."""
        used = int(self._connection.execute("PRAGMA page_count").fetchone()[0]) * self._page_bytes
        needed = used + int(_FILLED * needed_bytes)
        if os.fstat(self._file).st_size < needed + _SPARE_BYTES:
            for spare_bytes in (self._kept_bytes, _SPARE_BYTES, 0):  # many commits' at once, where it can be
                _extend(self._file, max(needed, min(needed + spare_bytes, self._most_pages * self._page_bytes)))
        pages = os.fstat(self._file).st_size // self._page_bytes
        self._connection.execute(
            f"PRAGMA max_page_count = {min(self._most_pages, pages) if self._is_low else self._most_pages}"
        )

    def shrink(self) -> None:
        """Give back what a lower quota than before leaves unused of the file; it needs room for a while."""
        if int(self._connection.execute("PRAGMA page_count").fetchone()[0]) > self._most_pages:
            # Without room, or where another program reads, it may stay as large as it is.
            with suppress(sqlite.Error), self._noting_refusals():
                in_order(self._connection)
            self._is_written = True
            self.overwrite()
            self.grow(0)

    def overwrite(self) -> bool:
        """Let the log of what was written go; False where another program reads, which is not waited for."""
        if not self._is_written:
            return True
        if free_bytes(self._directory) < NEARLY_FULL_BELOW_BYTES:
            return self._overwrite_in_place()
        is_empty, _ = self._checkpoint("TRUNCATE")
        if is_empty:
            self._keep()
            self._is_written = False
        return is_empty

    def _overwrite_in_place(self) -> bool:
        """Fill a log that begins anew with zeros behind its first pages: others would take what it lets go."""
        began_anew, _ = self._begin_log_anew()
        if not began_anew:
            return False
        with self._noting_refusals():
            repeat_name(self._connection)
        self._checkpoint("PASSIVE")
        end = self._begin_and_find_end()
        try:
            if end is None:
                return False
            self._fill(end, min(self._written_bytes, self._log.stat().st_size))  # SQLite may have cut it
        except OSError:  # the next time
            return False
        finally:
            self._connection.execute("ROLLBACK")
        self._written_bytes = end
        self._is_written = False
        return True

    def _begin_behind_zeros(self) -> None:
        end = self._begin_and_find_end()
        if end is not None:
            with suppress(OSError):  # the next time
                self._fill(end, self._log.stat().st_size)
                self._is_torn = False

    def _begin_and_find_end(self) -> int | None:
        """Begin a transaction, in which nobody else can write, and tell where the log ends.

        None where another program has just written into it.
        """
        version, frames = self._version(), frames_in_log(self._connection)
        self._connection.execute("BEGIN IMMEDIATE")
        return log_bytes(frames, self._page_bytes) if self._version() == version else None

    def _checkpoint(self, mode: str) -> tuple[bool, int]:
        """As checkpoint; where the disk refuses it, all of the log goes into the file the next time.

        What is written beside a reader is not synced, and of what a refused sync left out nobody writes it again.
        """
        try:
            return checkpoint(self._connection, mode)
        except sqlite.Error as error:
            if code_of(error) == sqlite.SQLITE_IOERR:
                self._forget_what_is_written()
            raise

    def _forget_what_is_written(self) -> None:
        self._index[_WRITTEN] = bytes(4)

    @contextmanager
    def _noting_refusals(self) -> Iterator[None]:
        """What the log has of a commit that the disk refused would look like one behind a shorter one."""
        try:
            yield
        except sqlite.Error as error:
            self._is_torn = self._is_torn or code_of(error) == sqlite.SQLITE_IOERR
            raise

    def _version(self) -> int:
        """Another one once somebody else has written."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _fill(self, begin: int, end: int) -> None:
        """Write zeros into the log. Raises OSError."""
        with self._log.open("rb+") as file:
            file.seek(begin)
            file.write(bytes(max(0, end - begin)))
            file.flush()
            os.fsync(file.fileno())

    def _begin_log_anew(self) -> tuple[bool, int]:
        """Write the log into the file, so that the next commit begins it; False where another program reads.

        Tells also how many frames it had.
        """
        went, frames = self._checkpoint("RESTART")
        self._written_bytes = max(self._written_bytes, log_bytes(frames, self._page_bytes))
        return went, frames

    def _keep(self) -> None:
        """Give the log its room before it is needed: SQLite takes zeros for the end of a log."""
        with suppress(OSError):  # it is not there yet
            file = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
            _extend(file, self._kept_bytes)
            os.close(file)


def _open(path: Path, opened: ExitStack) -> int:
    """Open a file as long as the connection is: to close any descriptor of it ends SQLite's locks on it."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    opened.callback(os.close, file)
    return file


def _mapped(path: Path, opened: ExitStack) -> mmap.mmap:
    return opened.enter_context(mmap.mmap(_open(path, opened), 0))


def _extend(file: int, size: int) -> None:
    """Let a file have so many bytes on the disk, where it has room: until then, the next time."""
    if (there := os.fstat(file).st_size) < size:
        with suppress(OSError):
            os.posix_fallocate(file, there, size - there)

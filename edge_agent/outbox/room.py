"""Room on the disk: on one that others have filled, receipts must still be able to let reads go.

Whatever is written, deletes too, takes room in the log first. So the log keeps some while it is empty; and on a
disk that is nearly full the file grows by no more than fits, for a log that cannot be written into it stays full.
"""

import os
from contextlib import suppress
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlite

from edge_agent.outbox.bounds import Bounds
from edge_agent.outbox.file import BUSY_S, FULL_BELOW_BYTES, Connection, free_bytes
from edge_agent.outbox.log import is_unused

_LOG_PAGES, _LOG_BYTES = 1000, 8 * 1024 * 1024
"""That the log may have, or a part of the quota: it takes its room on the disk too."""

_LOG_PART = 8
_KEPT_BYTES = 2 * 1024 * 1024
"""That an empty log keeps, or what it may have: the deletes of some hundred reads."""


class Room:
    """Bounds an outbox's file and its log. Every method can raise sqlite.Error."""

    def __init__(self, connection: Connection, path: Path, bounds: Bounds) -> None:
        self._connection = connection
        self._directory = path.parent
        self._log = path.with_name(f"{path.name}-wal")
        self._page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
        part_bytes = bounds.quota_bytes // _LOG_PART
        self._kept_bytes = min(_KEPT_BYTES, part_bytes)
        connection.execute(f"PRAGMA journal_size_limit = {min(_LOG_BYTES, part_bytes)}")
        pages = max(1, min(_LOG_PAGES, part_bytes // self._page_bytes))
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        self._most_pages = bounds.most_pages(self._page_bytes)
        self._grow_to(self._most_pages)
        self._is_low = False
        self._keep()

    def before_writing(self) -> None:
        """On a disk that is nearly full, begin the log anew, and let the file grow by no more than fits."""
        if free_bytes(self._directory) < _LOG_BYTES:
            self._is_low = True
            with suppress(sqlite.Error):  # the file itself may have to grow for that
                _checkpoint(self._connection, "RESTART")
            pages = int(self._connection.execute("PRAGMA page_count").fetchone()[0])
            more = max(0, int(free_bytes(self._directory)) - FULL_BELOW_BYTES) // self._page_bytes
            self._grow_to(min(self._most_pages, pages + more))
        elif self._is_low:
            self._is_low = False
            self._grow_to(self._most_pages)

    def overwrite(self) -> bool:
        """Let the log of what was written go; False where another program reads, which is not waited for."""
        if is_unused(self._log):
            return True
        if not _checkpoint(self._connection, "TRUNCATE"):
            return False
        self._keep()
        return True

    def _grow_to(self, pages: int) -> None:
        self._connection.execute(f"PRAGMA max_page_count = {pages}")

    def _keep(self) -> None:
        """Give the log its room before it is needed: SQLite takes zeros for the end of a log, or for none."""
        with suppress(OSError):  # the next time
            file = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
            try:
                if os.fstat(file).st_size < self._kept_bytes:
                    os.posix_fallocate(file, 0, self._kept_bytes)
            finally:
                os.close(file)


def _checkpoint(connection: Connection, mode: str) -> bool:
    """Write the log into the file; False where another program reads, which is not waited for."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        is_busy, *_ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return not is_busy
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")

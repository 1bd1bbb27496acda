"""The durable queue between the cameras and the network.

From the top down: outbox (what is done with reads) over bounds, images, rows and status; session (the file from
open to close, a transaction at a time) over opening, room, count and ages; opening over schema, pairing, salvage
and encryption; salvage over mended and log. What all of them need of SQLite and the disk is in file.
"""

from edge_agent.outbox.bounds import IMAGES_AT_ONCE, MOST_OF_DISK, RECEIPTS_AT_ONCE, Bounds, Gone
from edge_agent.outbox.file import check_regular, is_empty, sync
from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.rows import Entry, Gap, ImageRow, Purge, Row
from edge_agent.outbox.salvage import kept_beside
from edge_agent.outbox.status import OutboxStatus, check_pages, contents, read_purges, read_status, why_not_ours

__all__ = [
    "IMAGES_AT_ONCE",
    "MOST_OF_DISK",
    "RECEIPTS_AT_ONCE",
    "Bounds",
    "Entry",
    "Gap",
    "Gone",
    "ImageRow",
    "Outbox",
    "OutboxStatus",
    "Purge",
    "Row",
    "check_pages",
    "check_regular",
    "contents",
    "is_empty",
    "kept_beside",
    "read_purges",
    "read_status",
    "sync",
    "why_not_ours",
]

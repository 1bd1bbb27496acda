"""The durable queue between the cameras and the network."""

from edge_agent.outbox.bounds import IMAGES_AT_ONCE, MOST_OF_DISK, RECEIPTS_AT_ONCE, Bounds, Gone
from edge_agent.outbox.file import is_empty, sync
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
    "contents",
    "is_empty",
    "kept_beside",
    "read_purges",
    "read_status",
    "sync",
    "why_not_ours",
]

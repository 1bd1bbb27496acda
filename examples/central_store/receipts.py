"""Says what is committed: receipts, for the broker or for a file."""

from collections.abc import Sequence
from uuid import UUID

from edge_agent.contract.receipt import Receipt
from edge_agent.domain import ImageKey, ReadKey

from .database import Key

NAMES_A_RECEIPT = 100


def receipt_of(keys: Sequence[Key]) -> Receipt:
    """Name what is committed, no more than NAMES_A_RECEIPT at once, so that it fits every packet."""
    reads = [key for key in keys if isinstance(key, ReadKey)]
    images = [key for key in keys if isinstance(key, ImageKey)]
    return Receipt.of(reads, gaps=[key for key in keys if isinstance(key, UUID)], images=images)

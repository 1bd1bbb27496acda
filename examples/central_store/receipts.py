"""Says what is committed: receipts, for the broker or for a file."""

from collections.abc import Sequence
from uuid import UUID

from edge_agent.contract.receipt import Receipt
from edge_agent.domain import ImageKey, ReadKey

from .database import Key

NAMES_A_RECEIPT = 100
_NAME_BYTES, _OTHER_BYTES = 112, 300  # at most: a picture's, by read and hash; topic, keys and header


def names_that_fit(packet_bytes: int | None) -> int:
    """How many names one receipt may have, by the largest packet that a broker takes; None for any."""
    if packet_bytes is None:
        return NAMES_A_RECEIPT
    return max(1, min(NAMES_A_RECEIPT, (packet_bytes - _OTHER_BYTES) // _NAME_BYTES))


def receipt_of(keys: Sequence[Key]) -> Receipt:
    """Name what is committed."""
    reads = [key for key in keys if isinstance(key, ReadKey)]
    images = [key for key in keys if isinstance(key, ImageKey)]
    return Receipt.of(reads, gaps=[key for key in keys if isinstance(key, UUID)], images=images)

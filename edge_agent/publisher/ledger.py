"""Writes into the outbox what the broker's acknowledgements and the store's receipts mean for it."""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol
from uuid import UUID

from edge_agent.contract.receipt import decode_receipt
from edge_agent.domain import ImageKey, ReadKey, counted
from edge_agent.errors import ContractError
from edge_agent.outbox import IMAGES_AT_ONCE, RECEIPTS_AT_ONCE, Gap, ImageRow, Row

_log = logging.getLogger(__name__)

_SAID_ALWAYS = 10

Confirm = Literal["store", "broker"]
"""Whose word deletes a read: the central store's receipt, or just the broker's acknowledgement."""


class Settles(Protocol):
    """What the ledger needs from the outbox."""

    def together(self) -> AbstractContextManager[None]: ...
    def mark_sent(self, seqs: Sequence[int]) -> None: ...
    def receipted(self, keys: Sequence[ReadKey]) -> int: ...
    def receipted_through(self, seq: int) -> int | None: ...
    def mark_gaps_sent(self, ids: Sequence[UUID]) -> None: ...
    def gaps_receipted(self, ids: Sequence[UUID]) -> int: ...
    def mark_images_sent(self, seqs: Sequence[int]) -> None: ...
    def images_receipted(self, keys: Sequence[ImageKey]) -> int: ...


class Ledger:
    """Collects news, and writes it down in one commit, or in some where much leaves."""

    def __init__(self, *, outbox: Settles, receipts_topic: str, confirm: Confirm, tally: Counter[str]) -> None:
        self._outbox = outbox
        self._receipts_topic = receipts_topic
        self._confirm = confirm
        self._tally = tally
        self._sent: list[Row] = []
        self._keys: list[ReadKey] = []
        self._through_seq = 0
        self._gaps_sent: list[UUID] = []
        self._gaps: list[UUID] = []
        self._images_sent: list[int] = []
        self._images: list[ImageKey] = []

    def sent(self, what: Row | Gap | ImageRow) -> None:
        """Take note that the broker acknowledged a read, a gap record or a picture."""
        if isinstance(what, Gap):
            (self._gaps if self._confirm == "broker" else self._gaps_sent).append(what.id)
            return
        if isinstance(what, ImageRow):
            if self._confirm == "broker":
                self._images.append(what.key)
            else:
                self._images_sent.append(what.seq)
            return
        self._tally["sent"] += 1
        if self._confirm == "broker":
            self._keys.append(what.key)
        else:
            self._sent.append(what)

    def received(self, topic: str, payload: bytes) -> float:
        """Take note of a receipt, and tell how many reads it confirms: all for a place in the count.

        One that makes no sense is counted, logged and ignored.
        """
        if topic != self._receipts_topic:
            self._bad(f"receipt: came on {topic!r}, which is not this vehicle's topic")
            return 0
        try:
            receipt = decode_receipt(payload)
        except ContractError as error:
            self._bad(str(error))
            return 0
        self._keys.extend(receipt.keys)
        self._gaps.extend(receipt.gaps)
        self._images.extend(receipt.image_keys)
        self._through_seq = max(self._through_seq, receipt.through_seq or 0)
        return math.inf if receipt.through_seq else len(receipt.keys)

    @property
    def has_news(self) -> bool:
        news = (self._sent, self._keys, self._gaps_sent, self._gaps, self._images_sent, self._images)
        return any(news) or self._through_seq > 0

    def settle(self) -> int:
        """Write the news down and return how many reads and pictures left the outbox. Raises OutboxError.

        What could not be written is dropped: those stay, are sent again and receipted again.
        """
        sent, keys, through_seq = self._sent, self._keys, self._through_seq
        self._sent, self._keys, self._through_seq = [], [], 0
        gaps_sent, gaps = self._gaps_sent, self._gaps
        self._gaps_sent, self._gaps = [], []
        images_sent, images = self._images_sent, self._images
        self._images_sent, self._images = [], []
        receipted = set(keys)
        with self._outbox.together():
            self._outbox.mark_sent([row.seq for row in sent if row.key not in receipted])
            self._outbox.mark_gaps_sent(gaps_sent)
            self._outbox.gaps_receipted(gaps)
            self._outbox.mark_images_sent(images_sent)
            images_gone = self._outbox.images_receipted(images[:IMAGES_AT_ONCE])
            gone = self._outbox.receipted(keys[:RECEIPTS_AT_ONCE])
        for start in range(IMAGES_AT_ONCE, len(images), IMAGES_AT_ONCE):
            images_gone += self._outbox.images_receipted(images[start : start + IMAGES_AT_ONCE])
        for start in range(RECEIPTS_AT_ONCE, len(keys), RECEIPTS_AT_ONCE):
            gone += self._outbox.receipted(keys[start : start + RECEIPTS_AT_ONCE])
        through = self._outbox.receipted_through(through_seq) if through_seq else 0
        self._unknown(len(receipted) - gone)
        if through is None:
            self._bad(f"receipt: through_seq {through_seq} is beyond the last read of this outbox")
        gone += through or 0
        self._tally["receipted"] += gone
        return gone + images_gone

    def _bad(self, line: str) -> None:
        """Say so ten times, then ever more rarely: a store that has gone mad must not fill the car's log."""
        self._tally["bad_receipts"] += 1
        count = self._tally["bad_receipts"]
        if count <= _SAID_ALWAYS:
            _log.warning("%s; ignored", line)
        elif count & (count - 1) == 0:
            _log.warning("%s; ignored, as %d receipts before", line, count - 1)

    def _unknown(self, count: int) -> None:
        if count > 0:
            self._tally["unknown_receipts"] += count
            what = counted(count, "read")
            _log.info("receipts for %s not in the outbox: repeated, or another vehicle's", what)

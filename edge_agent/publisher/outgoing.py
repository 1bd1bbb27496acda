"""What goes to the broker next: gap records, then reads, then pictures, in passes over the outbox."""

from collections import Counter
from collections.abc import Callable
from uuid import UUID

from edge_agent import mqtt
from edge_agent.contract.topics import Topics
from edge_agent.outbox import Row
from edge_agent.publisher.ahead import PATIENCE_S, Ahead
from edge_agent.publisher.flight import Flight
from edge_agent.publisher.ports import Keeps
from edge_agent.publisher.schedule import Schedule
from edge_agent.publisher.suspect import Suspect
from edge_agent.publisher.words import gap_record

_GAPS_AT_ONCE = 10
_IMAGES_AT_ONCE = 8  # 24 KB at most: on a slow link the next read must not wait long behind them


class Outgoing:
    """Takes from the outbox what there is room for, and stops where the connection does.

    keep_large: told of each message that is too large for the broker.
    """

    def __init__(
        self,
        *,
        outbox: Keeps,
        flight: Flight,
        topics: Topics,
        schedule: Schedule,
        has_store: bool,
        tally: Counter[str],
        keep_large: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._flight = flight
        self._topics = topics
        self._schedule = schedule
        self._tally = tally
        self._keep_large = keep_large
        self._cursor = self._image_cursor = 0  # the last places taken in this pass over the outbox
        self.ahead = Ahead(has_limit=has_store)
        self.suspect = Suspect()
        self.reads_refused = self.images_refused = False  # all alike, by their topic
        self._large_gaps: set[UUID] = set()  # in this pass

    def start_over(self) -> None:
        """Begin a pass: all goes again that is not under way."""
        self._cursor = self._image_cursor = 0
        self._large_gaps.clear()
        self.images_refused = False

    def images_again(self) -> None:
        """Receipts came, in any order: the pictures of those reads may go now."""
        self._image_cursor = 0

    def send(self) -> None:
        self.send_gaps()
        under_way = self._flight.seqs
        while (room := self._room_for_reads()) > 0:
            # One read asks for all: thousands would be refused alike, or take the blame for one.
            if self.reads_refused or self.suspect.is_there:
                if under_way:
                    return
                room = 1
            rows = self._outbox.take(limit=room, after_seq=self._cursor)
            for row in rows:
                if row.seq not in under_way and not self._send_read(row):
                    return
                under_way.add(row.seq)
                self._cursor = row.seq
            if not rows:
                self._send_images()
                return

    def send_gaps(self) -> None:
        """Gap records go before the reads: few and small, and what they tell is missed already."""
        if self.send_gaps in self._schedule or (room := min(self._flight.room, _GAPS_AT_ONCE)) <= 0:
            return
        passed_over = self._flight.gaps | self._large_gaps
        for gap in self._outbox.take_gaps(limit=room + len(passed_over)):
            if gap.id in passed_over:
                continue
            message = mqtt.Message(self._topics.gaps, gap_record(gap, self._topics).encode())
            if not self._flight.fits(message):
                self._large_gaps.add(gap.id)
                self._keep_large()
                continue
            if self._flight.room <= 0 or self._flight.depart(message, gap) is None:
                return

    def _room_for_reads(self) -> int:
        ahead = self.ahead.room
        if ahead <= 0:
            self._schedule.after(PATIENCE_S, self.ahead.forget)
        return int(min(self._flight.room, ahead - len(self._flight.seqs)))

    def _send_read(self, row: Row) -> bool:
        """Send a read; False when there is no connection any more."""
        message = mqtt.Message(self._topics.reads, row.payload)
        if not self._flight.fits(message):  # sent all the same, it would cost the connection
            self._keep_large()
            return True
        if self._flight.depart(message, row) is None:
            return False
        self._tally["published"] += 1
        return True

    def _send_images(self) -> None:
        """Pictures go while no read waits."""
        under_way = self._flight.image_seqs
        room = min(self._flight.room, _IMAGES_AT_ONCE - len(under_way))
        if self.suspect.is_there:
            room = min(room, 1 - len(under_way))
        if self.images_refused or room <= 0:
            return
        for row in self._outbox.take_images(limit=room, after_seq=self._image_cursor):
            self._image_cursor = row.seq
            message = mqtt.Message(self._topics.image(row.key.read), row.jpeg)
            if not self._flight.fits(message):
                self._keep_large()
            elif row.seq not in under_way and self._flight.depart(message, row) is None:
                return

"""Broker in, database, receipts out."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from edge_agent.contract.topics import GAPS, IMAGES, READS, Topics, every_vehicle
from edge_agent.errors import BrokerError
from edge_agent.mqtt import (
    Acknowledged,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    Message,
    Received,
    Subscribed,
    SubscriptionRefused,
)
from edge_agent.publisher.schedule import Backoff

from .database import Batch, Keeps, Key, StoreError
from .intake import from_broker
from .receipts import NAMES_A_RECEIPT, names_that_fit, receipt_of

BATCH = 200
"""Messages that share a commit."""

LONGEST_PAUSE_S = 2.0
"""Between attempts, at the broker or the database."""

_OWED_AT_MOST = 100_000  # names, 20 MB of them: as many as the broker keeps for a store that is away
_REFUSED_FROM = 0x80
_MOST_LINES = 10  # of what one commit rejects
_STEP_S = 0.2
_SHORT_S = 10.0
_TAKEN_OVER = "Session taken over"  # MQTT 5's reason; mosquitto 2.0.11 gives none
_SAME_NAME = (
    "another program connects with the same name: give each worker a certificate with a name of its own,"
    " or its own --client-id where the broker takes that"
)
_log = logging.getLogger("central_store")


class Link(Protocol):
    """What the store needs from the connection."""

    def connect(self) -> None: ...
    def next_event(self, timeout_s: float) -> Event | None: ...
    def publish(self, message: Message) -> int | None: ...
    def subscribe(self, topic: str) -> None: ...
    def close(self) -> None: ...


class Store:
    """Sends a receipt after the commit, never before. Workers of one group share what comes."""

    def __init__(self, *, database: Keeps, link: Link, prefix: str, group: str | None = None) -> None:
        self._database = database
        self._link = link
        self._prefix = prefix
        shared = f"$share/{group}/" if group else ""
        topics = [every_vehicle(prefix, kind) for kind in (READS, GAPS, IMAGES)]
        self._filters = [shared + one for one in topics]
        # The group's name is a secret, and logs travel.
        self._listening = "listening to " + " and ".join(topics) + (", as one of a group" if group else "")
        self._subscribed = 0
        self._listening_since_s: float | None = None
        self._lost_soon = 0  # connections, one after the other
        self._connect_at_s = 0.0
        self._trouble = ""
        self._backoff = Backoff(uniform=random.uniform, longest_s=LONGEST_PAUSE_S)
        self._arrived: list[Received] = []  # not yet committed; a database that is away finds them here
        self._keep_at_s = 0.0
        self._database_trouble = ""
        self._database_backoff = Backoff(uniform=random.uniform, longest_s=LONGEST_PAUSE_S)
        self._window = 0  # receipts that may be on their way
        self._names = NAMES_A_RECEIPT  # in one of them
        self._refused: set[str] = set()
        """Topics of receipts that the broker refuses."""

        self._in_flight: dict[int, tuple[str, list[Key]]] = {}
        """Topic and names of the receipts that the broker has not acknowledged yet."""

        self._owed: dict[str, deque[Key]] = {}
        """Names for receipts, by topic; the vehicle that has waited longest comes first."""

    def run(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self.step()
        finally:
            self._link.close()

    def step(self) -> None:
        """Take what has come, commit it, and send the receipts."""
        if time.monotonic() >= self._connect_at_s:
            self._connect_at_s = float("inf")
            self._link.connect()
        if self._lost_soon and self._lasts():
            if self._lost_soon > 1:
                self._listens()
            self._lost_soon = 0
        if len(self._arrived) >= BATCH:  # the database is away; the link holds the rest back
            time.sleep(_STEP_S)
        else:
            self._take_all()
        if self._arrived and time.monotonic() >= self._keep_at_s:
            self._keep()
        self._send_receipts()

    def _take_all(self) -> None:
        event = self._link.next_event(_STEP_S)
        while event is not None:
            if isinstance(event, Received):
                self._arrived.append(event)
            else:
                self._take(event)
            event = self._link.next_event(0) if len(self._arrived) < BATCH else None

    def _take(self, event: Event) -> None:
        match event:
            case Connected(receive_maximum, maximum_packet_size):
                self._window = receive_maximum
                self._names = names_that_fit(maximum_packet_size)
                self._subscribed = 0
                for one in self._filters:
                    self._link.subscribe(one)
            case Subscribed():
                self._subscribed += 1
                if self._subscribed == len(self._filters):
                    self._listening_since_s = time.monotonic()
                    if self._lost_soon < 2:  # else it is said when it lasts
                        self._listens()
            case SubscriptionRefused(reason):
                raise BrokerError(f"the broker refuses the subscription ({reason}): check its access rules")
            case ConnectFailed(reason) | Disconnected(reason):
                self._lose(self._explained(reason))
            case Acknowledged(mid, code, reason):
                self._acknowledged(mid, reason if code >= _REFUSED_FROM else None)

    def _acknowledged(self, mid: int, refusal: str | None) -> None:
        """A refused receipt is not sent again: the car sends its reads again, and each gets another."""
        topic, _ = self._in_flight.pop(mid, ("", ()))
        if refusal is None:
            self._refused.discard(topic)
        elif topic and topic not in self._refused:
            self._refused.add(topic)
            _log.warning("the broker refuses receipts on %s (%s): check its access rules", topic, refusal)

    def _lose(self, reason: str) -> None:
        """Wait to connect anew; the receipts that were under way may be lost, so they are owed again."""
        if reason != self._trouble:  # a broker that is away for hours is one line
            _log.warning("%s", reason)
        self._trouble = reason
        self._window = 0
        for topic, names in self._in_flight.values():
            self._owe_again(topic, names)
        self._in_flight.clear()
        self._connect_at_s = time.monotonic() + self._backoff.next_s()

    def _listens(self) -> None:
        self._trouble = ""
        self._backoff.reset()
        _log.info("%s", self._listening)

    def _lasts(self) -> bool:
        return self._listening_since_s is not None and time.monotonic() - self._listening_since_s >= _SHORT_S

    def _explained(self, reason: str) -> str:
        """Two with one name throw each other out as soon as they are in; one loss alone has many causes."""
        if _TAKEN_OVER in reason:
            reason = f"{reason}: {_SAME_NAME}"
        if self._listening_since_s is None:
            return reason
        self._lost_soon = 0 if self._lasts() else self._lost_soon + 1
        self._listening_since_s = None
        if self._lost_soon < 2 or _SAME_NAME in reason:
            return reason
        return f"{reason}, again as soon as it listened: perhaps {_SAME_NAME}"

    def _keep(self) -> None:
        batch = Batch.of(from_broker(one.topic, one.payload, self._prefix) for one in self._arrived)
        try:
            kept = self._database.keep(batch)
        except StoreError as error:
            if str(error) != self._database_trouble:
                _log.warning("%s; trying again", error)
            self._database_trouble = str(error)
            self._keep_at_s = time.monotonic() + self._database_backoff.next_s()
            return
        if self._database_trouble:
            _log.info("the database takes reads again")
            self._database_trouble = ""
            self._database_backoff.reset()
        self._arrived.clear()
        for one in kept.rejected[:_MOST_LINES]:
            _log.warning("rejected on %s: %s", one.source, one.reason)
        if (more := len(kept.rejected) - _MOST_LINES) > 0:
            _log.warning("rejected %d more", more)
        self._owe(kept)

    def _owe(self, kept: Batch) -> None:
        for one in kept.records.values():
            topic = Topics(self._prefix, one.record.agency, one.record.vehicle).receipts
            self._owed.setdefault(topic, deque()).append(one.key)
        while sum(map(len, self._owed.values())) > _OWED_AT_MOST:  # those cars will send again, and get another
            self._owed.pop(next(iter(self._owed)))

    def _owe_again(self, topic: str, names: Sequence[Key]) -> None:
        self._owed.setdefault(topic, deque()).extendleft(reversed(names))

    def _send_receipts(self) -> None:
        """One receipt a vehicle names all it can: with many cars the broker's window would not do for more."""
        while self._owed and len(self._in_flight) < self._window:
            topic = next(iter(self._owed))
            keys = self._owed.pop(topic)
            named = [keys.popleft() for _ in range(min(len(keys), self._names))]
            if keys:
                self._owed[topic] = keys  # behind the others
            mid = self._link.publish(Message(topic, receipt_of(named).encode()))
            if mid is None:  # the connection is lost, and nobody has said so yet
                self._owe_again(topic, named)
                return
            self._in_flight[mid] = (topic, named)

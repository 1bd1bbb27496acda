"""The thread between the outbox and the broker: whatever happens, a read stays until its receipt."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from math import inf

from edge_agent import mqtt
from edge_agent.contract.state import State
from edge_agent.contract.topics import Topics
from edge_agent.domain import counted
from edge_agent.errors import OutboxDamaged, OutboxError
from edge_agent.outbox import Gap, ImageRow, Row
from edge_agent.publisher.flight import Flight, Sent
from edge_agent.publisher.ledger import Confirm, Ledger
from edge_agent.publisher.outgoing import Outgoing
from edge_agent.publisher.ports import COUNTED, Counters, Keeps, Link
from edge_agent.publisher.reasons import NOBODY, READ_REFUSED, REFUSED, TOO_LARGE, TOPIC_REFUSED, WAIT
from edge_agent.publisher.schedule import Backoff, Schedule
from edge_agent.publisher.suspect import LOSSES

_log = logging.getLogger(__name__)

_TICK_S = 1.0
_EVENTS_A_STEP = 500
_SETTLE_S = 0.05  # news of so long share their commits: while a backlog drains, new reads want the disk too
_STEADY_AFTER_S = 60.0
_RESEND_AT_MOST_S = 900.0
_FAREWELL_S = 2.0
_HEALTH_S = 60.0
_SOON_S = 5.0  # at most between two tries, as a broker or a store that restarts is back in seconds
_LONG_OUTAGE_S = 300.0  # of pauses; a whole fleet has much to send then, and comes back over longer ones

_GAPS, _OUTBOX, _OTHERS = "gap records", "the outbox", "the others"
"""What a complaint is about."""


class Publisher:
    """Runs on one thread; notify(), progress_s and counters are for the others.

    window: reads on their way without acknowledgement, at most. resend_after_s: a sent read without a receipt goes
    again, later and later while the store says nothing. retry_refused_s: pause before what was refused is tried
    again. acknowledge_within_s: silence after which the connection is given up.
    """

    def __init__(
        self,
        *,
        outbox: Keeps,
        link: Link,
        topics: Topics,
        window: int = 100,
        confirm: Confirm = "store",
        resend_after_s: float = 60.0,
        retry_refused_s: float = 180.0,
        acknowledge_within_s: float = 30.0,
        uniform: Callable[[float, float], float] = random.uniform,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._link = link
        self._topics = topics
        self._confirm = confirm
        self._tally: Counter[str] = Counter()
        self._ledger = Ledger(outbox=outbox, receipts_topic=topics.receipts, confirm=confirm, tally=self._tally)
        self._resend_after_s = resend_after_s
        self._retry_refused_s = retry_refused_s
        self._acknowledge_within_s = acknowledge_within_s
        self._monotonic = monotonic
        self._schedule = Schedule(monotonic=monotonic)
        self._reconnect = Backoff(uniform=uniform)
        self._pause = Backoff(uniform=uniform)
        self._unwanted = Backoff(uniform=uniform)
        self._connected_s = 0.0
        self._flight = Flight(link=link, window=window, monotonic=monotonic)
        self._health: Callable[[], bytes] | None = None
        self._ready = False
        self._announced = False  # the state is on its way or there
        self._outgoing = Outgoing(
            outbox=outbox,
            flight=self._flight,
            topics=topics,
            schedule=self._schedule,
            has_store=confirm == "store",
            tally=self._tally,
            keep_large=lambda: self._keep_back(REFUSED[TOO_LARGE]),
        )
        self._patience_s = resend_after_s
        self._confirmed = 0
        """Reads, when some were late last."""
        self._problem: str | None = None
        self._told: dict[str, str] = {}  # of what the log has which complaint: two of them may take turns
        self._deaf: str | None = None  # why no receipt can come, although reads are sent
        self.progress_s = monotonic()
        self._schedule.after(0, self._link.connect)

    @property
    def counters(self) -> Counters:
        """What happened so far; any thread may ask."""
        return Counters(
            connected=self._flight.is_open,
            in_flight=len(self._flight),
            problem=self._problem or self._deaf,
            **{name: self._tally[name] for name in COUNTED},
        )

    def report(self, health: Callable[[], bytes]) -> None:
        """Send what this gives once a minute; to be called before run()."""
        self._health = health

    def notify(self) -> None:
        """Say that reads were appended; never waits."""
        self._link.wake()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop, then say goodbye."""
        try:
            while not stop.is_set():
                self.step()
        finally:
            self.close()

    def step(self) -> None:
        """Do what is due, send what there is room for, then wait for events, a second at most."""
        self.progress_s = self._monotonic()
        try:
            self._schedule.run_due()
            self._send()
        except OutboxError as error:
            self._trouble(error)
        self._take_events(self._schedule.wait_s(longest_s=_TICK_S))

    def close(self) -> None:
        """Tell the others that the car stops on purpose, as far as the connection allows, and leave."""
        until_s = self._monotonic() + _FAREWELL_S
        farewell: int | None = None
        while self._flight.is_open and self._monotonic() < until_s:
            if farewell is None and self._flight.room > 0:
                farewell = self._publish_state(State.STOPPED)
            elif farewell is not None and farewell not in self._flight:
                break
            self._take_events(0.1)
        self._link.close()
        self._flight.close()
        try:
            self._settle()
        except OutboxError as error:
            self._complain(str(error))

    # What is due, each at its time.

    def _begin(self) -> None:
        """Start a connection's work: what was sent may be lost with the broker, so it goes again."""
        self._schedule.after(_TICK_S, self._begin)  # should the outbox fail now
        self._settle()
        self._tally["resent"] += self._outbox.resend()
        self._schedule.cancel(self._begin)
        self._ready = True
        self._outgoing.reads_refused = False
        self._start_over()

    def _start_over(self) -> None:
        self._settle()  # what is acknowledged must not go again
        self._outgoing.start_over()

    def _resume(self) -> None:
        if not self._announced:
            self._announce()
        self._start_over()

    def _tell_health(self) -> None:
        self._schedule.after(_HEALTH_S, self._tell_health)
        if not self._health or self._flight.room <= 0:
            return
        try:
            message = mqtt.Message(self._topics.health, self._health())
        except ValueError as error:  # pydantic's: nothing that is only told may stop the reads
            _log.error("no health record: %s", str(error).splitlines()[0])
            return
        if self._flight.fits(message):
            self._flight.depart(message, self._topics.health)
        else:
            self._complain(f"the health record of {len(message.payload)} bytes is too large for the broker")

    def _announce(self) -> None:
        self._announced = self._publish_state(State.ONLINE) is not None

    def _subscribe(self) -> None:
        self._deaf = None
        self._link.subscribe(self._topics.receipts)

    def _resend_late(self) -> None:
        """Send again what has no receipt; less and less often, as a store that is away is not helped by copies."""
        patience_s = self._patience_s
        self._schedule.after(patience_s / 4, self._resend_late)
        late = self._outbox.resend(older_than_s=patience_s)
        if late:
            self._tally["resent"] += late
            # What it rejects, as a read that was damaged on the disk, it never confirms.
            is_deaf, self._confirmed = self._tally["receipted"] == self._confirmed, self._tally["receipted"]
            what = "confirms nothing" if is_deaf else "confirms others but not these"
            self._deaf = f"the central store {what}, {counted(late, 'message')} sent again: check it"
            _log.warning("%s", self._deaf)
            self._patience_s = min(2 * patience_s, max(_RESEND_AT_MOST_S, self._resend_after_s))
            self._start_over()

    def _check_acknowledgements(self) -> None:
        self._schedule.after(self._acknowledge_within_s / 4, self._check_acknowledgements)
        oldest = self._flight.oldest
        if oldest and self._monotonic() - oldest.since_s >= self._acknowledge_within_s:
            self._complain(f"the broker acknowledged nothing for {self._acknowledge_within_s:g} s: connecting anew")
            self._link.drop()

    # Towards the broker.

    def _send(self) -> None:
        if not self._ready or self._resume in self._schedule:
            return
        self._outgoing.send()

    def _publish_state(self, state: State) -> int | None:
        topic = self._topics.state
        return self._flight.depart(mqtt.Message(topic, state.encode(), retain=True), topic)

    # From the broker.

    def _take_events(self, wait_s: float) -> None:
        for _ in range(_EVENTS_A_STEP):
            event = self._link.next_event(wait_s)
            if event is None:
                break
            wait_s = 0.0
            self._take(event)
        if self._ledger.has_news:
            self._schedule.after(_SETTLE_S, self._settle)

    def _settle(self) -> None:
        if self._ledger.settle():
            self._told.pop(_OUTBOX, None)
            self._patience_s = self._resend_after_s
            self._deaf = None
            self._outgoing.images_again()

    def _take(self, event: mqtt.Event) -> None:
        match event:
            case mqtt.Connected():
                self._on_connected(event)
            case mqtt.ConnectFailed(reason) | mqtt.Disconnected(reason):
                self._on_lost(reason)
            case mqtt.Acknowledged():
                self._on_acknowledged(event)
            case mqtt.SubscriptionRefused(reason):
                self._on_subscription_refused(reason)
            case mqtt.Received(topic, payload):
                self._outgoing.ahead.confirmed(self._ledger.received(topic, payload))
                self._schedule.cancel(self._outgoing.ahead.forget)

    def _on_connected(self, event: mqtt.Connected) -> None:
        _log.info("connected to the broker")
        self._flight.open(event)
        self._connected_s = self._monotonic()
        self._outgoing.ahead.forget()
        self._problem = None
        self._told.clear()
        self._announce()
        self._schedule.after(0, self._begin)
        self._schedule.after(0, self._tell_health)
        self._schedule.after(self._acknowledge_within_s, self._check_acknowledgements)
        if self._confirm == "store":
            self._subscribe()
            self._patience_s = self._resend_after_s
            self._schedule.after(self._resend_after_s, self._resend_late)

    def _on_subscription_refused(self, reason: str) -> None:
        self._deaf = f"the broker refuses the subscription to {self._topics.receipts} ({reason}): check its rules"
        _log.warning("%s", self._deaf)
        self._schedule.after(self._retry_refused_s, self._subscribe)

    def _on_lost(self, reason: str) -> None:
        if self._flight.is_open:
            self._tally["connections_lost"] += 1
            if self._monotonic() - self._connected_s >= _STEADY_AFTER_S:
                self._reconnect.reset()
        self._complain(reason)
        self._blame()
        self._ready = False
        self._flight.close()
        self._schedule.clear()
        is_long = self._reconnect.waited_s >= _LONG_OUTAGE_S
        self._schedule.after(self._reconnect.next_s(longest_s=inf if is_long else _SOON_S), self._link.connect)

    def _blame(self) -> None:
        first = self._flight.first
        if first is not None and self._outgoing.suspect.lost(first):
            self._quarantine(first, f"{LOSSES} connections were lost while it was sent")

    def _quarantine(self, row: Row | ImageRow, why: str) -> None:
        try:
            if isinstance(row, ImageRow):
                self._outbox.hold_image(row.seq)
            else:
                self._outbox.quarantine(row.seq, why=why)
        except OutboxError as error:
            self._trouble(error)
            return
        self._tally["quarantined"] += 1
        what = f"{'the picture of ' if isinstance(row, ImageRow) else ''}read {row.seq}"
        _log.error("%s is not sent any more, but kept, until the service starts again: %s", what, why)

    def _on_acknowledged(self, event: mqtt.Acknowledged) -> None:
        if (message := self._flight.land(event.mid)) is None:
            return
        if event.code == 0:
            self._on_sent(message)
        elif event.code in WAIT:
            self._complain(f"the broker cannot take messages now ({event.reason}): waiting")
            self._announced = self._announced and message.what != self._topics.state
            if self._resume not in self._schedule:
                self._schedule.after(self._pause.next_s(), self._resume)
        elif isinstance(message.what, Row):
            self._refused(message.what, event.code)
        elif isinstance(message.what, ImageRow):
            self._image_refused(message.what, event)
        elif isinstance(message.what, Gap):
            problem = f"nobody takes {self._topics.gaps} ({event.reason}): check the broker's rules and store"
            self._complain(problem, about=_GAPS)
            self._schedule.after(self._retry_s(event.code), self._outgoing.send_gaps)
        elif event.code != NOBODY:
            self._complain(f"the broker refuses {message.what} ({event.reason}): check its rules")

    def _on_sent(self, message: Sent) -> None:
        if isinstance(message.what, str):
            return
        self._ledger.sent(message.what)
        if isinstance(message.what, Gap):
            self._schedule.after(0, self._settle)  # else it would be taken again
        else:
            if isinstance(message.what, Row):
                self._outgoing.ahead.sent()
            self._outgoing.suspect.came_through(message.what)
        for pause in (self._reconnect, self._pause, self._unwanted):
            pause.reset()
        self._problem = None
        self._told.pop(_GAPS if isinstance(message.what, Gap) else _OTHERS, None)
        if self._outgoing.reads_refused:  # no longer: what was refused before can go at once
            _log.info("the broker takes reads again")
            self._outgoing.reads_refused = False
            self._schedule.after(0, self._start_over)

    def _refused(self, row: Row, code: int) -> None:
        """Keep a read that the broker does not take; go on with the others unless they would fare alike."""
        problem = REFUSED.get(code, f"the broker refuses a read (reason code 0x{code:02x})")
        if code not in TOPIC_REFUSED:
            self._keep_back(problem)
            if code in READ_REFUSED:
                self._quarantine(row, problem)
            return
        self._tally["refused"] += 1
        self._complain(problem)
        self._outgoing.reads_refused = True
        if self._resume not in self._schedule:
            pause_s = self._unwanted.next_s(longest_s=_SOON_S if code == NOBODY else inf)
            self._schedule.after(pause_s, self._resume)

    def _image_refused(self, row: ImageRow, answer: mqtt.Acknowledged) -> None:
        """Keep a picture that the broker does not take; where nobody wants any, the others wait too."""
        problem = f"nobody takes pictures ({answer.reason}): check the broker's rules and the store"
        self._keep_back(problem, answer.code)
        self._outgoing.images_refused = answer.code in TOPIC_REFUSED
        if answer.code in READ_REFUSED:
            self._quarantine(row, problem)

    def _keep_back(self, problem: str, code: int = TOO_LARGE) -> None:
        self._tally["refused"] += 1
        self._complain(problem)
        self._schedule.after(self._retry_s(code), self._start_over)

    def _retry_s(self, code: int) -> float:
        return _SOON_S if code == NOBODY else self._retry_refused_s

    # For those who watch.

    def _trouble(self, error: OutboxError) -> None:
        """Wait for the outbox to heal; what could not be written down will be sent and receipted again."""
        if isinstance(error, OutboxDamaged):  # the next start salvages it
            raise error
        self._complain(str(error), about=_OUTBOX)
        if self._resume not in self._schedule:
            self._schedule.after(self._pause.next_s(), self._resume)

    def _complain(self, problem: str, *, about: str = _OTHERS) -> None:
        if problem != self._told.get(about):
            _log.warning("%s", problem)
        self._problem = self._told[about] = problem

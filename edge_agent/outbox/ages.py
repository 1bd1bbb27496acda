"""How long a read has been here, by a clock that a change of the computer's time cannot turn."""

from edge_agent.domain import Stamp
from edge_agent.outbox.count import CURRENT
from edge_agent.outbox.file import Connection

PLAUSIBLE_FROM_S = 1_577_836_800.0
"""2020 in UTC: a computer that says less has lost its clock, and the time between cannot be told."""


class Ages:
    """Counts the seconds of the outbox's life: by the monotonic clock while it is open, by UTC while it was not.

    What UTC is at which age is remembered as their difference, the highest that was ever seen: UTC that is behind
    what it should be at this age counts as none, and once it is right again only the time that no session counted
    is added. So a clock that is wrong can keep a read too long; only one that was set ahead while the outbox was
    closed, or before it was right again, deletes any too early. A clock that is synchronized has the last word:
    that UTC was ahead before is forgotten, and time away that it shows and no session counted is added, as where a
    computer without a clock of its own started at the time when it was shut down.
    """

    def __init__(self, connection: Connection, now: Stamp) -> None:
        aged_s, utc_s, behind_from = connection.execute("SELECT aged_s, utc_s, behind_from FROM age").fetchone()
        self._aged_s = float(aged_s)
        self._began_s = float(utc_s) - self._aged_s
        self._opened = now
        self._is_behind = bool(utc_s >= PLAUSIBLE_FROM_S)
        last_seq, _ = connection.execute(CURRENT).fetchone()
        self._synchronized_until: int | None = None
        """The last read that is known to have come before UTC was last synchronized."""
        self._began_at_opening_s = self._began_s
        self._was_synchronized = False
        """Since it was opened."""
        self._behind_from = int(last_seq if behind_from is None else behind_from)
        if self._behind_from < 0:
            self._synchronized_until, was_behind = divmod(-1 - self._behind_from, 2)
            is_behind = was_behind or now.utc.timestamp() - self.now_s(now) < self._began_s
            self._behind_from = self._synchronized_until if is_behind else last_seq
        self.save(connection, now)

    def now_s(self, now: Stamp) -> float:
        """The outbox's age at a time."""
        return self._aged_s + now.monotonic_s - self._opened.monotonic_s

    def save(self, connection: Connection, now: Stamp) -> None:
        """Write the age down, inside a transaction, with UTC as it should be at that age."""
        self._catch_up(connection, now)
        if now.is_synchronized:
            self._synchronize(connection, now)
        age_s = self.now_s(now)
        began_s = now.utc.timestamp() - age_s
        if now.is_synchronized:
            self._began_s, self._is_behind = began_s, False
        else:  # where UTC was set ahead, that is no time that passed; where it was set back, it will be set right
            self._began_s = max(self._began_s, began_s)
        connection.execute(
            "UPDATE age SET aged_s = ?, utc_s = ?, behind_from = ?",
            (age_s, self._began_s + age_s, self._remembered),
        )

    @property
    def _remembered(self) -> int | None:
        """The read up to which time away is still to be told, where UTC is behind.

        Below 0 where a time service has told it before: the last read by then, and whether UTC is behind since.
        """
        if self._synchronized_until is not None:
            return -1 - (2 * self._synchronized_until + self._is_behind)
        return self._behind_from if self._is_behind else None

    def _synchronize(self, connection: Connection, now: Stamp) -> None:
        """Count what was away since UTC was last synchronized, of the reads that had come by then."""
        away_s = now.utc.timestamp() - self.now_s(now) - self._began_at_opening_s
        if self._synchronized_until is not None and not self._was_synchronized and away_s > 0:
            self._add(connection, away_s, until=self._synchronized_until)
        self._was_synchronized = True
        self._synchronized_until, _ = connection.execute(CURRENT).fetchone()

    def _catch_up(self, connection: Connection, now: Stamp) -> None:
        """Count the time away once UTC tells it.

        What came while UTC was behind does not grow older by it, in whichever session that was: how much of it was
        before a read came, nothing tells.
        """
        away_s = now.utc.timestamp() - self.now_s(now) - self._began_s
        if self._is_behind and away_s >= 0:
            self._is_behind = False
            self._add(connection, away_s, until=self._behind_from)

    def _add(self, connection: Connection, away_s: float, *, until: int) -> None:
        """Grow older, and all reads up to a place in the count."""
        self._aged_s += away_s
        for table in ("reads", "images"):
            connection.execute(
                f"UPDATE {table} SET appended_age_s = appended_age_s + ? WHERE seq > ?", (away_s, until)
            )

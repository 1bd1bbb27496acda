"""How long a read has been here, by a clock that a change of the computer's time cannot turn."""

from edge_agent.domain import CLOCK_SET_S, Stamp
from edge_agent.outbox import away
from edge_agent.outbox.count import CURRENT
from edge_agent.outbox.file import Connection

PLAUSIBLE_FROM_S = 1_577_836_800.0
"""2020 in UTC: a computer that says less has lost its clock, and the time between cannot be told."""


class Ages:
    """Counts the seconds of the outbox's life: by the monotonic clock while it is open, by UTC while it was not.

    What UTC is at which age is remembered as their difference, the highest that was ever seen: UTC that is behind
    what it should be at this age counts as none, and once it is right again only the time that no session counted
    is added, to what came before.

    A time service has the last word. Once it has told UTC, what was counted too little since the last session when
    it did, as where a computer without a clock of its own started at the time when it was shut down, is added to
    what had come by the end of that session; how much of it was before the rest came, nothing tells. So it is with
    the time away, too, where a service has told UTC by the time the outbox is opened: what the clock said before
    that, nobody knows. What UTC alone had counted too much, as where it was ahead, is taken back.
    """

    def __init__(self, connection: Connection, now: Stamp) -> None:
        aged_s, utc_s, behind_from = connection.execute("SELECT aged_s, utc_s, behind_from FROM age").fetchone()
        told = connection.execute("SELECT began_s, until_seq, until_age_s, added_s FROM synchronized").fetchone()
        last_seq, _ = connection.execute(CURRENT).fetchone()
        self._began_s: float = utc_s - aged_s
        """UTC less the outbox's age, as it should be now."""
        newest = connection.execute("SELECT appended_age_s FROM reads ORDER BY seq DESC LIMIT 1").fetchone()
        self._aged_s: float = max((aged_s, *(newest or ())))  # a read may have come after the age was last saved
        self._opened = now
        self._is_behind = bool(utc_s >= PLAUSIBLE_FROM_S)
        self._told_began_s: float | None
        self._told_until: int
        self._told_age_s: float
        self._added_s: float
        self._told_began_s, self._told_until, self._told_age_s, self._added_s = told or (None, 0, 0.0, 0.0)
        """UTC less the outbox's age when a time service told it in an earlier session; the last read that came by
        the end of such a session, and the outbox's age then; what UTC alone has added since."""
        if self._told_until is None:  # that was the last one
            self._told_until, self._told_age_s = int(last_seq), self._aged_s
        connection.execute(
            "UPDATE synchronized SET until_seq = ?, until_age_s = ?", (self._told_until, self._told_age_s)
        )
        self._behind_from = int(last_seq if behind_from is None else behind_from)
        """The last read that becomes older by the time away, once UTC is not behind."""
        self._behind_age_s = self._aged_s
        """How old the outbox was when that had come, at most."""
        is_behind_now = now.utc.timestamp() - self._aged_s < self._began_s
        if _is_told(now) or (told and (behind_from is not None or is_behind_now)):
            self._behind_from, self._behind_age_s = self._told_until, self._told_age_s
        connection.execute(
            "DELETE FROM away WHERE until_seq < (SELECT COALESCE(MIN(seq), ?) FROM"
            " (SELECT MIN(seq) AS seq FROM reads UNION ALL SELECT MIN(seq) FROM images))"
            " AND until_age_s < (SELECT COALESCE(MIN(since_age_s), ?) FROM kept)",
            (last_seq, self._aged_s),
        )
        self.save(connection, now)

    def now_s(self, now: Stamp) -> float:
        """The outbox's age at a time, without the time away."""
        return self._aged_s + now.monotonic_s - self._opened.monotonic_s

    def save(self, connection: Connection, now: Stamp) -> None:
        """Write the age down, inside a transaction, with UTC as it should be at that age."""
        age_s = self.now_s(now)
        began_s = now.utc.timestamp() - age_s
        is_told = _is_told(now)
        if not is_told or self._told_began_s is not None:
            self._catch_up(connection, began_s)
        if is_told:
            self._set_right(connection, began_s)
            self._began_s, self._is_behind = began_s, False
            connection.execute("DELETE FROM synchronized")
            connection.execute("INSERT INTO synchronized (began_s) VALUES (?)", (self._told_began_s,))
        else:  # where UTC was set ahead, that is no time that passed; where it was set back, it will be set right
            self._began_s = max(self._began_s, began_s)
        connection.execute(
            "UPDATE age SET aged_s = ?, utc_s = ?, behind_from = ?",
            (age_s, self._began_s + age_s, self._behind_from if self._is_behind else None),
        )

    def _catch_up(self, connection: Connection, began_s: float) -> None:
        """Count the time away once UTC tells it.

        What came while UTC was behind does not grow older by it, in whichever session that was: how much of it was
        before a read came, nothing tells.
        """
        away_s = began_s - self._began_s
        if self._is_behind and away_s >= 0:
            self._is_behind = False
            self._added_s += away_s
            connection.execute("UPDATE synchronized SET added_s = added_s + ?", (away_s,))
            away.add(connection, away_s, until=(self._behind_from, self._behind_age_s), unsure_s=away_s)

    def _set_right(self, connection: Connection, began_s: float) -> None:
        """Add what UTC did not tell, or take back what it told too much.

        Nothing grows younger than it is by the monotonic clock: a time service that says so was wrong, or is now.
        Where none has told it before, nothing says how much of the time away was before a read came: none is added.
        """
        is_first = self._told_began_s is None
        right_s = self._began_s if self._told_began_s is None else self._told_began_s + self._added_s
        missing_s = began_s - right_s
        if is_first or self._added_s:
            if missing_s <= -CLOCK_SET_S:
                away.take_back(connection, -missing_s)
            connection.execute("UPDATE away SET unsure_s = 0.0")
        if missing_s >= CLOCK_SET_S and not is_first:
            away.add(connection, missing_s, until=(self._told_until, self._told_age_s))
        self._told_began_s = began_s if is_first or abs(missing_s) >= CLOCK_SET_S else right_s
        self._added_s = 0.0


def _is_told(now: Stamp) -> bool:
    """Whether a time service keeps UTC, and can be believed."""
    return now.is_synchronized and now.utc.timestamp() >= PLAUSIBLE_FROM_S

"""How long a read has been here, by a clock that a change of the computer's time cannot turn."""

from edge_agent.domain import Stamp
from edge_agent.outbox.file import Connection

PLAUSIBLE_FROM_S = 1_577_836_800.0
"""2020 in UTC: a computer that says less has lost its clock, and the time between cannot be told."""


class Ages:
    """Counts the seconds of the outbox's life: by the monotonic clock while it is open, by UTC while it was not.

    While UTC is behind what it was when the outbox was open last, the time in between counts as none; it is added
    when UTC is right again. So a clock that is wrong can keep a read too long; only one that was set ahead while
    the outbox was closed deletes any too early.
    """

    def __init__(self, connection: Connection, now: Stamp) -> None:
        aged_s, left_s = connection.execute("SELECT aged_s, utc_s FROM age").fetchone()
        self._aged_s, self._left_s = float(aged_s), float(left_s)
        self._opened = now
        self._is_behind = self._left_s >= PLAUSIBLE_FROM_S
        (self._last_seq,) = connection.execute("SELECT MAX(last_seq) FROM counter").fetchone()
        self.save(connection, now)

    def now_s(self, now: Stamp) -> float:
        """The outbox's age at a time."""
        return self._aged_s + now.monotonic_s - self._opened.monotonic_s

    def save(self, connection: Connection, now: Stamp) -> None:
        """Write the age down, inside a transaction; UTC never goes back there, so that no time counts twice."""
        self._catch_up(connection, now)
        connection.execute(
            "UPDATE age SET aged_s = ?, utc_s = MAX(utc_s, ?)", (self.now_s(now), now.utc.timestamp())
        )

    def _catch_up(self, connection: Connection, now: Stamp) -> None:
        """Count the time away once UTC tells it; what came since the outbox is open does not grow older by it."""
        away_s = now.utc.timestamp() - (now.monotonic_s - self._opened.monotonic_s) - self._left_s
        if self._is_behind and away_s >= 0:
            self._is_behind = False
            self._aged_s += away_s
            for table in ("reads", "images"):
                connection.execute(
                    f"UPDATE {table} SET appended_age_s = appended_age_s + ? WHERE seq > ?",
                    (away_s, self._last_seq),
                )

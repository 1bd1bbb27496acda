"""For how long the outbox was closed: in a table of its own, so that to learn it late changes no read's row."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from edge_agent.outbox.file import Connection


class Away:
    """The times, in seconds, each after what had come until then."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute("SELECT until_seq, until_age_s, by_s FROM away ORDER BY until_seq").fetchall()
        self._seqs, self._by_seq = _added_up([(seq, by_s) for seq, _, by_s in rows])
        self._ages, self._by_age = _added_up(sorted((age_s, by_s) for _, age_s, by_s in rows))

    def since_seq(self, seq: int) -> float:
        """How long it was closed since a read or a picture came."""
        return self._by_seq[bisect_left(self._seqs, seq)]

    def since_age(self, age_s: float) -> float:
        """How long it was closed since it had such an age."""
        return self._by_age[bisect_left(self._ages, age_s)]


def _added_up(rows: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """The places, in their order, and what was added at each of them or later; at last nothing."""
    totals = list(accumulate((by_s for _, by_s in reversed(rows)), initial=0.0))
    return [place for place, _ in rows], totals[::-1]


def add(connection: Connection, away_s: float, *, until: tuple[int, float], unsure_s: float = 0.0) -> None:
    """Let what had come until then, by its place and by the outbox's age, be older by so much."""
    if away_s:
        connection.execute(
            "INSERT INTO away VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET by_s = by_s + excluded.by_s,"
            " until_age_s = MAX(until_age_s, excluded.until_age_s), unsure_s = unsure_s + excluded.unsure_s",
            (*until, away_s, unsure_s),
        )


def take_back(connection: Connection, away_s: float) -> None:
    """Let what UTC alone has made so much older be as old as without that: what it added last, first."""
    rows = connection.execute("SELECT until_seq, unsure_s FROM away WHERE unsure_s > 0 ORDER BY until_seq DESC")
    for until_seq, unsure_s in rows.fetchall():
        less_s = min(unsure_s, away_s)
        away_s -= less_s
        connection.execute("UPDATE away SET by_s = by_s - ? WHERE until_seq = ?", (less_s, until_seq))

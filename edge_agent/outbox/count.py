"""The count of a vehicle's reads: whose the outbox is, and that no place is given out twice.

The file has it; a hint of it stands beside the file, in the lock, should the file be lost or be an old copy.
"""

from pathlib import Path

from edge_agent.domain import GapReason, Missing
from edge_agent.errors import OutboxUnusable
from edge_agent.outbox.bounds import insert_gap
from edge_agent.outbox.file import Connection, note_count, noted_count
from edge_agent.outbox.rows import HIGHEST_SEQ
from edge_agent.outbox.salvage import SKIPPED
from edge_agent.outbox.status import status, why_not_ours

CURRENT = "SELECT last_seq, owner FROM counter ORDER BY rowid DESC LIMIT 1"
"""The count of whoever owns the outbox now; those of earlier owners stay, in case they come back."""


def take_over(connection: Connection, path: Path, owner: str) -> None:
    """Go on with the owner's count; what another owner has here must leave first. Raises OutboxUnusable."""
    found = status(connection)
    if found.owner not in ("", owner):
        if wrong := why_not_ours(found, owner):
            raise OutboxUnusable(f"outbox {path}: {wrong}")
        ours = connection.execute("DELETE FROM counter WHERE owner = ? RETURNING last_seq", (owner,))
        connection.execute("INSERT INTO counter VALUES (?, ?)", (*(ours.fetchone() or (0,)), owner))
        connection.execute("UPDATE age SET behind_from = NULL")  # was a place in the other count
        connection.execute("UPDATE synchronized SET until_seq = NULL")
        # The places of the other count are before all of this one, as those of the ones before it are.
        connection.execute("UPDATE away SET until_seq = until_seq - (SELECT MAX(-1, MAX(until_seq)) FROM away) - 1")
    connection.execute("UPDATE counter SET owner = ? WHERE owner = ''", (owner,))


def go_on(connection: Connection, lock_file: int, owner: str, *, now_ms: int) -> int:
    """Leave places out, with gap records, where the file is behind the hint; returns the hint then, else 0."""
    at_least, whose = noted_count(lock_file)
    last, _ = connection.execute(CURRENT).fetchone()
    if whose != owner or not last < at_least <= HIGHEST_SEQ - SKIPPED:  # a damaged hint is none
        return 0
    beyond = at_least + SKIPPED
    connection.execute("UPDATE counter SET last_seq = ? WHERE owner = ?", (beyond, owner))
    for what in Missing:  # also pictures whose reads the store has
        insert_gap(
            connection, [(last + 1, beyond)], GapReason.DAMAGED, what=what, reads=0, acknowledged=0, now_ms=now_ms
        )
    return at_least


def note(connection: Connection, lock_file: int | None) -> None:
    """Write the hint."""
    if lock_file is not None:
        note_count(lock_file, *connection.execute(CURRENT).fetchone())

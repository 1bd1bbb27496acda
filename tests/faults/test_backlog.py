"""A long outage: the backlog drains with memory flat, and new reads are committed as quickly as before."""

import os
import statistics
from pathlib import Path

from edge_agent import host
from edge_agent.contract.record import draft
from edge_agent.outbox import Outbox
from tests.contract.reads import CLOCK, POSITION, SOURCE, make_read
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.car import OWNER, TOPICS
from tests.e2e.central import CentralStore
from tests.faults.amount import FULL, amount
from tests.faults.obligations import how_many, owed, stored
from tests.faults.small_agent import SmallAgent

BACKLOG = amount(3_000, 100_000)
QUIET = amount(20, 400)
MOST_MORE_KB = 30 * 1024


def fill(path: Path, count: int) -> None:
    with Outbox(path=path, now=host.now, owner=OWNER) as outbox:
        for _ in range(0, count, 500):
            outbox.append(
                [
                    draft(
                        make_read(),
                        agency=TOPICS.agency,
                        vehicle=TOPICS.vehicle,
                        source=SOURCE,
                        clock=CLOCK,
                        position=POSITION,
                    )
                    for _ in range(500)
                ]
            )


def memory_kb(pid: int, what: str) -> int:
    """Resident memory (VmRSS) or the most there was (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def test_a_backlog_drains_with_memory_flat(tmp_path: Path) -> None:
    directory = tmp_path / "broker"
    directory.mkdir()
    mosquitto = Mosquitto(directory)
    agent, store = SmallAgent(tmp_path, mosquitto.port), CentralStore(tmp_path, mosquitto)
    is_free = os.getloadavg()[0] < (os.cpu_count() or 1)  # else the times are those of the others' work
    fill(agent.state / "outbox.db", BACKLOG)
    try:
        agent.start()
        agent.reads_on(more=QUIET)
        quiet = agent.commits_ms()
        before_kb = memory_kb(agent.pid, "VmRSS")
        Path(f"/proc/{agent.pid}/clear_refs").write_text("5")  # the most there was counts from here
        mosquitto.start()
        store.start()
        wait_until(lambda: how_many(store.database) >= BACKLOG, "the backlog in the store", patience_s=1200)
        draining = agent.commits_ms()[len(quiet) :]
        more_kb = memory_kb(agent.pid, "VmHWM") - before_kb
        agent.stop()
        committed = agent.committed()
        agent.start()
        wait_until(lambda: not owed(committed, store.database), "every committed read in the store")
    finally:
        agent.kill()
        store.kill()
        mosquitto.kill()
    assert more_kb <= MOST_MORE_KB
    quiet_ms, draining_ms = statistics.median(quiet), statistics.median(draining)
    assert not FULL or not is_free or draining_ms <= 2 * quiet_ms
    places = sorted(seq for seq, _ in stored(store.database).values())
    assert places == list(range(1, len(places) + 1))
    print(
        f"{BACKLOG} reads: {more_kb / 1024:.1f} MB more; a commit took {quiet_ms:.2f} ms before,"
        f" {draining_ms:.2f} ms meanwhile (medians of {len(quiet)} and {len(draining)})"
    )

"""A broker that is away, and the shipped pauses: a fresh read is in the store within 10 s of its return."""

import time
from pathlib import Path

from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.central import CentralStore
from tests.faults.amount import FULL, amount
from tests.faults.obligations import owed
from tests.faults.small_agent import SmallAgent

OUTAGES_S = (10.0, 40.0, 180.0) * 4 if FULL else (4.0,)
FRESH_WITHIN_S = amount(60, 10)


def test_a_fresh_read_is_stored_within_seconds_of_the_brokers_return(tmp_path: Path) -> None:
    directory = tmp_path / "broker"
    directory.mkdir()
    mosquitto = Mosquitto(directory)
    agent, store = SmallAgent(tmp_path, mosquitto.port, "--fps", "5"), CentralStore(tmp_path, mosquitto)
    fresh_s: dict[float, list[float]] = {}
    try:
        mosquitto.start()
        store.start()
        agent.start()
        for outage_s in OUTAGES_S:
            agent.reads_on()
            before = agent.committed()
            wait_until(lambda: not owed(before, store.database), "the store to have all")  # noqa: B023
            mosquitto.kill()
            time.sleep(outage_s)
            mosquitto.start()
            returned_s, before = time.monotonic(), agent.committed()
            agent.reads_on()
            fresh = dict(list(agent.committed().items())[len(before) : len(before) + 1])
            wait_until(lambda: not owed(fresh, store.database), "the fresh read in the store")  # noqa: B023
            fresh_s.setdefault(outage_s, []).append(time.monotonic() - returned_s)
    finally:
        agent.kill()
        store.kill()
        mosquitto.kill()
    assert "Traceback" not in agent.log()
    for outage_s, took_s in fresh_s.items():
        print(f"broker {outage_s:.0f} s away, seconds to a fresh read:", *(f"{one:.1f}" for one in took_s))
        assert max(took_s) < FRESH_WITHIN_S

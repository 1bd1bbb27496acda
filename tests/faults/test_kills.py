"""kill -9 of the agent, the broker and the store, at any moment and in any order, two or all three at once too."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Protocol

from edge_agent import resources
from tests.e2e.broker import Mosquitto, wait_until
from tests.faults.amount import FULL, amount
from tests.faults.obligations import owed, pictures_owed, stored
from tests.faults.small_agent import SmallAgent

KILLS = amount(10, 240)
FRESH_WITHIN_S = amount(60, 10)


class Dies(Protocol):
    def start(self) -> None: ...
    def kill(self) -> None: ...


class Store:
    """The reference store, started without waiting for it."""

    def __init__(self, directory: Path, broker: Mosquitto) -> None:
        self.database = directory / "store.db"
        program = resources.path("examples/central_store") / "store.py"
        self._command = [sys.executable, str(program), "--broker", broker.address, "--database", str(self.database)]
        self._log = directory / "store.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            assert process.poll() is None, f"the store ended: {self._log.read_text()[-2000:]}"
            process.kill()
            process.wait(20)


def test_whoever_is_killed_every_committed_read_is_in_the_store_once(tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    mosquitto = Mosquitto(tmp_path)
    agent, store = SmallAgent(tmp_path, mosquitto.port, "--pictures"), Store(tmp_path, mosquitto)
    everyone: dict[str, Dies] = {"agent": agent, "broker": mosquitto, "store": store}
    kills: Counter[str] = Counter()
    try:
        for one in everyone.values():
            one.start()
        agent.reads_on()
        while kills.total() < KILLS:
            victims = chance.sample(sorted(everyone), chance.choice((1, 1, 1, 2, 3)))
            for name in victims:
                everyone[name].kill()
                kills[name] += 1
            # Any moment may be the next: in a start, in a backlog, in the middle of a commit.
            time.sleep(chance.uniform(0, 0.3))
            for name in chance.sample(victims, len(victims)):
                everyone[name].start()
            if chance.random() < 0.6:
                agent.reads_on(more=chance.randint(1, 20))
            else:
                time.sleep(chance.uniform(0, 2))
        ended_s, before = time.monotonic(), len(agent.committed())
        wait_until(lambda: len(agent.committed()) > before, "a fresh read")
        fresh = dict(list(agent.committed().items())[before : before + 1])
        wait_until(lambda: not owed(fresh, store.database), "the fresh read in the store")
        took_s = time.monotonic() - ended_s
        assert took_s < FRESH_WITHIN_S
        agent.kill()
        committed = agent.committed()
        agent.start()
        agent.reads_on()
        wait_until(lambda: not owed(committed, store.database), "every committed read in the store", patience_s=120)
        places = {seq for seq, _ in committed.values()}
        wait_until(
            lambda: not places & pictures_owed(store.database), "their pictures in the store", patience_s=120
        )
        agent.stop()
    finally:
        for one in everyone.values():
            one.kill()
    assert len(kills) == 3
    assert len(committed) > KILLS
    counted = sorted(seq for seq, _ in stored(store.database).values())
    assert counted == list(range(1, len(counted) + 1))
    assert "Traceback" not in agent.log()
    assert not FULL or kills.total() >= 200
    print(
        f"{dict(kills)} kills, {len(committed)} reads committed, all stored once; a fresh one after {took_s:.1f} s"
    )

"""With a key, no plate is ever written in clear to the state directory: not one write of the agent has it."""

from pathlib import Path

import pytest

from edge_agent.domain import GapReason
from edge_agent.errors import OutboxError
from edge_agent.outbox import read_purges
from edge_agent.wiring import OUTBOX_FILE
from tests.e2e.broker import Mosquitto, wait_until
from tests.e2e.central import CentralStore
from tests.faults.amount import amount
from tests.faults.disk import operations, shim, watched
from tests.faults.obligations import stored, told_missing
from tests.faults.small_agent import SmallAgent
from tests.faults.story import KEY

PLATE = "QX7PLATE"
READS = amount(250, 3000)


def files_with(state: Path, text: str) -> list[str]:
    """Give the names of files that hold a text now."""
    found = []
    for file in state.iterdir():
        try:
            if text.encode() in file.read_bytes():
                found.append(file.name)
        except FileNotFoundError:  # it went in between
            continue
    return found


def let_go(state: Path, key: bytes | None) -> set[GapReason]:
    """Why reads left the outbox by now; nothing while there is none."""
    try:
        return {one.reason for one in read_purges(state / OUTBOX_FILE, key=key)}
    except OutboxError:
        return set()


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_what_is_appended_sent_receipted_and_let_go_is_never_written_in_clear(
    tmp_path: Path, key: bytes | None
) -> None:
    directory, log = tmp_path / "broker", tmp_path / "log"
    directory.mkdir()
    mosquitto = Mosquitto(directory)
    options = ["--quota", "300000", "--keep", "1", "--fps", "100", "--plate", PLATE]
    if key is not None:
        options += ["--key", key.hex()]
    environment = watched(shim(tmp_path), tmp_path / "state", log=log)
    agent = SmallAgent(tmp_path, mosquitto.port, *options, environment=environment)
    store = CentralStore(tmp_path, mosquitto)
    seen: set[str] = set()
    try:
        agent.start()
        wait_until(lambda: GapReason.QUOTA in let_go(agent.state, key), "the quota")
        seen.update(files_with(agent.state, PLATE))
        mosquitto.start()
        store.start()
        while len(agent.committed()) < READS:
            agent.reads_on(more=50)
            seen.update(files_with(agent.state, PLATE))
        wait_until(lambda: stored(store.database) and told_missing(store.database), "reads and gap records")
        store.kill()
        mosquitto.kill()
        agent.reads_on(more=50)
        agent.kill()
        agent.start()
        wait_until(lambda: GapReason.EXPIRED in let_go(agent.state, key), "the retention")
        seen.update(files_with(agent.state, PLATE))
        agent.stop()
        seen.update(files_with(agent.state, PLATE))
    finally:
        agent.kill()
        store.kill()
        mosquitto.kill()
    in_clear = [one.name for one in operations(log) if PLATE.encode() in one.data]
    if key is None:  # so this would be found
        assert {"outbox.db", "outbox.db-wal"} >= set(in_clear) > set()
        assert seen
    else:
        assert (in_clear, seen) == ([], set())
    writes = sum(one.what == "W" for one in operations(log))
    print(f"{len(agent.committed())} reads, {writes} writes, {len(in_clear)} of them with a plate in clear")

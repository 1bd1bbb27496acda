"""A power cut at every write and every sync of the outbox's life: what was committed is there, all or nothing.

The shipped outbox runs on the real SQLite; tests/faults/disk.c writes down what it does to the disk, and disk.py
makes of it the disks that a cut could leave. The real outbox opens each of them.
"""

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.errors import OutboxError
from edge_agent.outbox import Outbox
from tests.faults.amount import amount
from tests.faults.disk import MARKS, Disk, Operation, operations, shim, watched
from tests.faults.story import BOUNDS, KEY, contents_of
from tests.outbox.formats import earlier
from tests.outbox.test_mending import overwrite
from tests.outbox.test_outbox import OWNER, Clock, Note

ROOT = Path(__file__).parents[2]
NOTHING = {"reads": [], "images": [], "gaps": [], "counts": [0, 0]}
EVERY = 1_000_000
CUTS = amount(12, EVERY)
STEPS = amount(40, 120)
Prepare = Callable[[Path], None]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim(tmp_path_factory.mktemp("shim"))


class Life:
    """What one run of the story did to the disk, on top of what a test had put there."""

    def __init__(
        self,
        library: Path,
        place: Path,
        *,
        steps: int,
        key: bytes | None,
        prepare: Prepare | None = None,
        synchronous: str = "FULL",
    ) -> None:
        state, log = place / "state", place / "log"
        state.mkdir(parents=True)
        if prepare is not None:
            prepare(state / "outbox.db")
        self.before = {file.name: file.read_bytes() for file in state.iterdir()}
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "tests.faults.story",
            state.resolve(),
            "7",
            str(steps),
            synchronous,
        ]
        if key is not None:
            command.append(key.hex())
        subprocess.run(command, check=True, cwd=ROOT, env=watched(library, state, log=log), timeout=300)
        self.done = list(operations(log))
        self.marks = [(place, json.loads(one.data)) for place, one in enumerate(self.done) if is_mark(one)]

    @property
    def places(self) -> int:
        return sum(one.is_kept for one in self.done)

    def cuts(self, count: int) -> Iterator[tuple[int, Disk]]:
        """So many places, all over the life, or each of them."""
        places = [place for place, one in enumerate(self.done, 1) if one.is_kept]
        count = min(count, len(places))
        chosen = [places[k * len(places) // count] for k in range(count)]
        disk, done = Disk(self.before), 0
        for place in chosen:
            for one in self.done[done:place]:
                disk.do(one)
            done = place
            yield place, disk

    def allowed(self, place: int, at_first: object) -> list[object]:
        """Say what may be found after a cut: what the last finished step left, or what the next one leaves."""
        before = [state for mark, state in self.marks if mark < place]
        after = [state for mark, state in self.marks if mark >= place]
        return [*(before[-1:] or [at_first]), *after[:1]]


def is_mark(one: Operation) -> bool:
    return one.name == MARKS and one.what == "W"


def after_a_cut(disk: Disk, number: int, directory: Path) -> Path:
    """Write down what the cut of a number leaves; give the outbox's path there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    disk.after_a_cut(random.Random(number), directory)
    return directory / "outbox.db"


def survives(path: Path, key: bytes | None, *, is_salvaged: bool = False) -> dict[str, object]:
    """Open what a cut left, and say what is there; the file must be sound and take another read."""
    with Outbox(path=path, now=Clock(), owner=OWNER, key=key, bounds=BOUNDS) as outbox:
        found = contents_of(outbox._session._connection)
        assert outbox._session._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert outbox.append([Note()]) == (found["counts"][0] + 1,)
    assert is_salvaged or not list(path.parent.glob("*damaged*"))
    found["counts"] = list(found["counts"])
    return found


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_a_cut_at_any_write_or_sync_loses_no_commit_and_leaves_none_half_done(
    library: Path, tmp_path: Path, key: bytes | None
) -> None:
    life = Life(library, tmp_path, steps=STEPS, key=key)
    kinds = Counter(one.what for one in life.done)
    assert kinds["W"] > STEPS
    assert kinds["S"] > STEPS
    reasons = {(what, reason) for _, state in life.marks for _, what, reason, *_ in state["gaps"]}
    assert reasons >= {("reads", "quota"), ("reads", "expired"), ("reads", "quarantined"), ("images", "quota")}
    went_on = 0
    for number, (place, disk) in enumerate(life.cuts(CUTS)):
        path = after_a_cut(disk, number, tmp_path / "after")
        found, allowed = survives(path, key), life.allowed(place, NOTHING)
        assert found in allowed, f"cut {number} at {place} of {len(life.done)}"
        went_on += found == allowed[-1]
    assert went_on
    print(f"{min(CUTS, life.places)} cuts at {life.places} writes, syncs and names; {went_on} kept the last step")


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_a_cut_at_any_write_of_the_first_start_leaves_an_outbox_that_opens(
    library: Path, tmp_path: Path, key: bytes | None
) -> None:
    life = Life(library, tmp_path, steps=0, key=key)
    for number, (place, disk) in enumerate(life.cuts(EVERY)):
        path = after_a_cut(disk, number, tmp_path / "after")
        assert survives(path, key) == NOTHING, f"cut {number} at {place} of {len(life.done)}"
    assert life.places > 10


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_these_cuts_find_what_less_syncing_loses(library: Path, tmp_path: Path, synchronous: str) -> None:
    life = Life(library, tmp_path, steps=40, key=None, synchronous=synchronous)

    def loses(number: int, place: int, disk: Disk) -> bool:
        path = after_a_cut(disk, number, tmp_path / "after")
        try:
            return survives(path, None) not in life.allowed(place, NOTHING)
        except (AssertionError, OutboxError):
            return True

    assert any(loses(number, place, disk) for number, (place, disk) in enumerate(life.cuts(40)))


def old_outbox(path: Path, version: int) -> list[list[object]]:
    """Make an outbox of an earlier format with forty reads; give what will be said of them."""
    notes = earlier(path, version, count=40, appended_ms=1_780_000_000_000)
    return [[seq, note.key.id.hex] for seq, note in enumerate(notes, start=1)]


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "to be encrypted"])
@pytest.mark.parametrize("version", [4, 10, 13])
def test_a_cut_while_an_earlier_format_is_taken_over_loses_no_read(
    library: Path, tmp_path: Path, version: int, key: bytes | None
) -> None:
    reads: list[list[object]] = []
    life = Life(library, tmp_path, steps=0, key=key, prepare=lambda path: reads.extend(old_outbox(path, version)))
    count = amount(4, EVERY)
    for number, (place, disk) in enumerate(life.cuts(count)):
        path = after_a_cut(disk, number, tmp_path / "after")
        found = survives(path, key)
        assert [row[:2] for row in found["reads"]] == reads, f"cut {number} at {place} of {len(life.done)}"  # type: ignore[attr-defined]
        assert found["counts"] == [40, 0]
    print(f"{min(count, life.places)} cuts at {life.places} writes, syncs and names")


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_a_cut_while_a_damaged_outbox_is_salvaged_loses_nothing_that_could_be_saved(
    library: Path, tmp_path: Path, key: bytes | None
) -> None:
    def damage(path: Path) -> None:
        with Outbox(path=path, now=Clock(), owner=OWNER, key=key) as outbox:
            outbox.append([Note(size=900, image=bytes(900)) for _ in range(60)])
        overwrite(path, 25 * 4096, 4096)

    life = Life(library, tmp_path, steps=0, key=key, prepare=damage)
    ((_, whole),) = life.marks
    assert 30 < len(whole["reads"]) < 60
    count = amount(6, EVERY)
    for number, (place, disk) in enumerate(life.cuts(count)):
        path = after_a_cut(disk, number, tmp_path / "after")
        found = survives(path, key, is_salvaged=True)
        for what in ("reads", "images"):
            assert found[what] == whole[what], f"cut {number} at {place} of {len(life.done)}"
        assert found["gaps"], f"cut {number} at {place} of {len(life.done)}"
    print(f"{min(count, life.places)} cuts at {life.places} writes, syncs and names")

"""The write-ahead log of an outbox that was killed: torn ends are none of our loss, damage is seen and mended."""

import os
from pathlib import Path
from random import Random

import pytest

from edge_agent.errors import OutboxDamaged
from edge_agent.outbox import Outbox, contents, read_status
from edge_agent.outbox.log import read_log
from tests.outbox.test_mending import KEY, Plate, kept, overwrite
from tests.outbox.test_outbox import OWNER, Clock, Note


def killed(path: Path, clock: Clock, *, key: bytes | None, appends: int, owner: str = OWNER) -> None:
    """Leave files as a kill does, with every append in the log."""
    outbox = Outbox(path=path, now=clock, owner=owner, key=key)
    outbox.open()
    for _ in range(appends):
        outbox.append([Plate()])
    left = {one: one.read_bytes() for one in path.parent.iterdir()}
    outbox.close()
    for one, content in left.items():
        one.write_bytes(content)


def written_bytes(log: Path) -> int:
    """How far the log is used: behind that stand zeros, as the room it keeps."""
    content, frame = log.read_bytes(), 24 + 4096
    starts = range(32, len(content), frame)
    return next((start for start in starts if not any(content[start : start + frame])), len(content))


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_frame_of_the_log_costs_no_more_than_its_page(
    path: Path, clock: Clock, key: bytes | None, place: float, caplog: pytest.LogCaptureFixture
) -> None:
    killed(path, clock, key=key, appends=60)
    log = path.with_name("outbox.db-wal")
    overwrite(log, int(written_bytes(log) * place), 1)
    damaged = log.read_bytes()
    for look in (read_status, lambda path, *, key: list(contents(path, key=key))):
        with pytest.raises(OutboxDamaged, match="the service saves what it can when it starts"):
            look(path, key=key)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert len(outbox.take(limit=99)) >= 58
        assert [gap.ranges for gap in outbox.take_gaps(limit=9)] == [((1, 60),)]
        assert outbox.append([Note()]) == (61,)
    assert "was damaged: " in caplog.text
    (copy,) = path.parent.glob("outbox.db.damaged-*-wal")
    assert copy.read_bytes() == damaged


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(("start", "size"), [(0, 32), (17, 1), (26, 1), (0, 4)])
def test_a_damaged_header_of_the_log_costs_nothing(
    path: Path, clock: Clock, key: bytes | None, start: int, size: int
) -> None:
    killed(path, clock, key=key, appends=30)
    overwrite(path.with_name("outbox.db-wal"), start, size)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert len(outbox.take(limit=99)) == 30
        assert outbox.append([Note()]) == (31,)
    assert len(kept(path)) == 1


@pytest.mark.parametrize("content", ["zeros", "noise"])
@pytest.mark.parametrize("size", [36, 48, 56, 512, 4096])
@pytest.mark.parametrize("key", [None, KEY])
def test_a_damaged_beginning_of_the_log_costs_no_more_than_its_first_pages(
    path: Path, clock: Clock, key: bytes | None, size: int, content: str
) -> None:
    killed(path, clock, key=key, appends=30)
    log = path.with_name("outbox.db-wal")
    with log.open("rb+") as file:
        file.write(bytes(size) if content == "zeros" else Random(size).randbytes(size))
    damaged = log.read_bytes()
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert len(outbox.take(limit=99)) >= 28
        assert outbox.append([Note()]) == (31,)
    (copy,) = path.parent.glob("outbox.db.damaged-*-wal")
    assert copy.read_bytes() == damaged
    assert all(one.stat().st_size < 5_000_000 for one in path.parent.iterdir())


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", [56, 512, 4096])
@pytest.mark.parametrize("has_index", [True, False])
def test_noise_in_a_log_that_is_not_in_use_costs_nothing(
    path: Path, clock: Clock, key: bytes | None, size: int, *, has_index: bool
) -> None:
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        outbox.append([Note() for _ in range(30)])
    if not has_index:
        path.with_name("outbox.db-shm").unlink()
    with path.with_name("outbox.db-wal").open("rb+") as file:
        file.write(Random(size).randbytes(size))
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert len(outbox.take(limit=99)) == 30
        assert outbox.take_gaps(limit=9) == []
        assert outbox.append([Note()]) == (31,)
    assert kept(path) == []


def test_a_log_that_another_program_cuts_while_it_is_looked_at_is_none(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(path, clock, key=None, appends=3)
    log = path.with_name("outbox.db-wal")
    overwrite(log, 0, 4)
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    assert not read_log(log).is_damaged


@pytest.mark.parametrize("left", [24, 2000, 4119])
def test_a_commit_that_a_power_cut_tore_is_no_damage(path: Path, clock: Clock, left: int) -> None:
    killed(path, clock, key=None, appends=30)
    log = path.with_name("outbox.db-wal")
    with log.open("rb+") as file:
        file.truncate(written_bytes(log) - left)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert len(outbox.take(limit=99)) == 29
    assert kept(path) == []


@pytest.mark.parametrize("noise_of_the_log", [0, 56, 9000])
@pytest.mark.parametrize("noise_bytes", [None, 4096])
@pytest.mark.parametrize("has_index", [True, False])
def test_what_a_plain_log_holds_is_saved_when_a_key_comes(
    path: Path, clock: Clock, noise_bytes: int | None, noise_of_the_log: int, *, has_index: bool
) -> None:
    killed(path, clock, key=None, appends=30)
    if noise_bytes is None:
        path.write_bytes(b"")
    else:
        overwrite(path, 0, noise_bytes)
    overwrite(path.with_name("outbox.db-wal"), 0, noise_of_the_log)
    if not has_index:
        path.with_name("outbox.db-shm").unlink()
    with Outbox(path=path, now=clock, owner=OWNER, key=KEY) as outbox:
        assert len(outbox.take(limit=99)) == 30
    assert not any(one.stat().st_size for one in path.parent.glob("outbox.db.damaged-*"))  # they were in clear


@pytest.mark.parametrize("is_moved", [True, False])
@pytest.mark.parametrize("key", [None, KEY])
def test_what_a_log_holds_is_saved_where_its_file_is_gone(
    path: Path, clock: Clock, key: bytes | None, *, is_moved: bool
) -> None:
    killed(path, clock, key=key, appends=30)
    log = path.with_name("outbox.db-wal").read_bytes()
    if is_moved:
        path.unlink()
    else:
        path.write_bytes(b"")
        with pytest.raises(OutboxDamaged, match="the service saves what it can when it starts"):
            read_status(path, key=key)
    with Outbox(path=path, now=clock, owner=OWNER, key=key) as outbox:
        assert len(outbox.take(limit=99)) == 30
        assert outbox.append([Note()])[0] > 30
    (copy,) = path.parent.glob("outbox.db.damaged-*-wal")
    assert copy.read_bytes() == log


def test_where_the_log_is_lost_no_place_is_given_twice(path: Path, clock: Clock) -> None:
    killed(path, clock, key=None, appends=30)
    path.with_name("outbox.db-wal").unlink()
    path.with_name("outbox.db-shm").unlink()
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert outbox.append([Note()]) == (10_031,)

"""How long damaged files lie beside the outbox, and how they go."""

import os
from pathlib import Path

import pytest

from edge_agent.outbox import Bounds, Outbox
from tests.outbox.test_mending import PLATE, Plate, filled, kept, overwrite
from tests.outbox.test_outbox import OWNER, Clock


def test_a_damaged_file_is_kept_no_longer_than_reads_may_be(path: Path, clock: Clock) -> None:
    filled(path, clock, count=30)
    overwrite(path, 0, 4096)
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=3600)) as outbox:
        (copy,) = kept(path)
        content = copy.open("rb")
        outbox.expire()
        clock.utc_ahead += 1e6  # for a moment
        outbox.expire()
        clock.utc_ahead -= 1e6
        clock.seconds += 3500
        outbox.expire()
        assert kept(path) == [copy]
        clock.seconds += 200
        outbox.expire()
        assert kept(path) == []
        assert PLATE not in content.read()
        content.close()


def test_a_damaged_file_goes_with_its_oldest_read_also_where_more_is_damaged(path: Path, clock: Clock) -> None:
    for number in range(2):
        filled(path, clock, count=60)
        clock.seconds += 1000
        overwrite(path, 20 * 4096, 4096)
        with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=2500)) as outbox:
            assert len(kept(path)) == number + 1
    clock.seconds += 400
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=2500)) as outbox:
        outbox.expire()
        assert len(kept(path)) == 2
        clock.seconds += 200
        outbox.expire()
        assert kept(path) == []


def test_a_purge_takes_the_damaged_file_too(path: Path, clock: Clock) -> None:
    filled(path, clock, count=30)
    overwrite(path, 0, 4096)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.purge()
        assert kept(path) == []


@pytest.mark.parametrize("what", ["a link", "a pipe"])
def test_what_is_no_file_under_a_damaged_files_name_is_left_alone(path: Path, clock: Clock, what: str) -> None:
    filled(path, clock, count=30)
    other, there = path.with_name("other"), path.with_name("outbox.db.damaged-x")
    other.write_text("somebody's")
    if what == "a link":
        there.symlink_to(other)
    else:
        os.mkfifo(there)
    with Outbox(path=path, now=clock, owner=OWNER, key=b"k" * 32) as outbox:
        outbox.purge()
    assert os.path.lexists(there)
    assert other.read_text() == "somebody's"


def test_of_a_damaged_file_with_another_name_only_the_name_goes(path: Path, clock: Clock) -> None:
    filled(path, clock, count=30)
    path.with_name("outbox.db.damaged-x").hardlink_to(path)  # as a power cut in a salvage leaves it
    with Outbox(path=path, now=clock, owner=OWNER, bounds=Bounds(keep_s=3600)) as outbox:
        outbox.expire()
        clock.seconds += 4000
        outbox.append([Plate()])
        outbox.expire()
        assert kept(path) == []
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        assert [row.seq for row in outbox.take(limit=9)] == [31]


def test_a_purge_takes_a_damaged_file_of_the_future_too(path: Path, clock: Clock) -> None:
    filled(path, clock, count=30)
    path.with_name("outbox.db.damaged-x").write_bytes(PLATE)
    with Outbox(path=path, now=clock, owner=OWNER) as outbox:
        outbox.expire()
        with outbox._session.transaction() as (connection, _):
            connection.execute("UPDATE kept SET since_age_s = since_age_s + 1e6")
        outbox.purge(older_than_s=1)
        assert len(kept(path)) == 1
        outbox.purge()
        assert kept(path) == []

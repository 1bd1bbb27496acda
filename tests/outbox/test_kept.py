"""How long damaged files lie beside the outbox, and how they go."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from edge_agent.outbox import Bounds, Outbox, kept_beside
from tests.outbox.test_ages import Car
from tests.outbox.test_bounds import DAY_S, seqs
from tests.outbox.test_mending import PLATE, Plate, filled, kept, overwrite
from tests.outbox.test_outbox import OWNER, Clock, Note
from tests.outbox.test_time_service import without_its_own_clock


@pytest.fixture
def car(path: Path) -> Car:
    return Car(path, keep_s=21 * DAY_S)


def goes_after_21_days(car: Car, outbox: Outbox) -> None:
    outbox.expire()
    car.clock.wait(20 * DAY_S)
    outbox.expire()
    assert kept_beside(car.path)
    car.clock.wait(2 * DAY_S)
    outbox.expire()
    assert not kept_beside(car.path)


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


def test_a_damaged_file_grows_older_also_where_another_vehicle_has_the_outbox(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
        outbox.mark_sent([1])
        outbox.receipted_through(1)
        car.path.with_name("outbox.db.damaged-x").touch()
        outbox.expire()
    clock.boot(15 * DAY_S)
    for owner in ("hpd/car-99", OWNER):
        with car.open(owner) as outbox:
            outbox.expire()
            clock.wait(4 * DAY_S)
            outbox.expire()
        assert len(kept_beside(car.path)) == (owner != OWNER)
        clock.boot(DAY_S)


def test_a_damaged_file_put_aside_while_the_clock_was_ahead_goes_in_time(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
    year = timedelta(days=365)
    clock.boot(3600)
    clock.utc, clock.is_synchronized = clock.utc + year, False
    with car.open() as outbox:
        clock.wait(1)
        car.path.with_name("outbox.db.damaged-x").touch()
        outbox.expire()
        clock.wait(60)
        clock.utc, clock.is_synchronized = clock.utc - year, True
        goes_after_21_days(car, outbox)


@pytest.mark.parametrize("is_delivered", [False, True])
def test_damaged_files_beside_the_outbox_are_as_old_as_their_reads(car: Car, is_delivered: bool) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.mark_sent([1])
        outbox.receipted_through(1)
        outbox.expire()
    year = timedelta(days=365)
    clock.boot(3600)
    clock.utc, clock.is_synchronized = clock.utc + year, False
    with car.open() as outbox:
        outbox.append([Note() for _ in range(50)])
    overwrite(car.path, 0, 4096)
    with car.open() as outbox:
        if is_delivered:
            outbox.mark_sent(seqs(outbox))
            outbox.receipted_through(51)
        clock.utc, clock.is_synchronized = clock.utc - year, True
        goes_after_21_days(car, outbox)


def test_a_damaged_file_of_reads_that_are_lost_stays_as_long_as_they_might(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.expire()
    right = without_its_own_clock(clock, off_s=30 * DAY_S)
    with car.open() as outbox:
        outbox.append([Note() for _ in range(5)])
    overwrite(car.path, 4096, car.path.stat().st_size - 4096)
    with car.open() as outbox:
        assert not seqs(outbox)
        clock.utc, clock.is_synchronized = right, True
        outbox.expire()
        clock.wait(20 * DAY_S)
        outbox.expire()
        assert kept_beside(car.path)

"""How old what waits is, whatever happens to the computer's clock."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.domain import Stamp
from edge_agent.outbox import Bounds, Outbox
from tests.outbox.test_bounds import DAY_S, seqs
from tests.outbox.test_outbox import OWNER, Note


class TurnedClock:
    """Both clocks, and a hand on the one that people set."""

    def __init__(self) -> None:
        self.monotonic_s = 500.0
        self.utc = datetime(2026, 7, 4, tzinfo=UTC)
        self.is_synchronized = False

    def __call__(self) -> Stamp:
        return Stamp(self.monotonic_s, self.utc, self.is_synchronized)

    def wait(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.utc += timedelta(seconds=seconds)

    def boot(self, off_s: float) -> None:
        self.monotonic_s = 3.0
        self.utc += timedelta(seconds=off_s)


class Car:
    """An outbox that is opened again and again, by one clock."""

    def __init__(self, path: Path, *, keep_s: float = DAY_S) -> None:
        self.clock = TurnedClock()
        self.path = path
        self._bounds = Bounds(keep_s=keep_s)

    def open(self, owner: str = OWNER) -> Outbox:
        return Outbox(path=self.path, now=self.clock, owner=owner, bounds=self._bounds)


@pytest.fixture
def car(path: Path) -> Car:
    return Car(path)


def to_1970(clock: TurnedClock) -> None:
    clock.utc = datetime(1970, 1, 1, tzinfo=UTC)


def a_day_back(clock: TurnedClock) -> None:
    clock.utc -= timedelta(days=1)


def a_year_on(clock: TurnedClock) -> None:
    clock.utc += timedelta(days=365)


@pytest.mark.parametrize("turn", [to_1970, a_day_back, a_year_on])
def test_a_clock_that_is_set_while_running_deletes_nothing_early_and_nothing_late(
    car: Car, turn: Callable[[TurnedClock], None]
) -> None:
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(DAY_S / 2)
        turn(clock)
        outbox.append([Note()])
        clock.wait(DAY_S / 2 - 5)
        assert outbox.expire().reads == 0
        clock.wait(10)
        assert outbox.expire().reads == 1
        assert seqs(outbox) == [2]


def test_the_time_the_computer_was_off_counts(car: Car) -> None:
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(1000)
        outbox.expire()
    clock.boot(DAY_S - 1100)
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        clock.wait(101)
        assert outbox.expire().reads == 1


def test_a_computer_that_wakes_without_its_clock_deletes_nothing_early_and_catches_up(car: Car) -> None:
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
    right = clock.utc + timedelta(days=2)
    clock.boot(0)
    to_1970(clock)
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(3600)
        assert outbox.expire().reads == 0
        clock.utc = right + timedelta(seconds=3600)  # time was found on the network
        assert outbox.expire().reads == 1
        assert seqs(outbox) == [2]
        clock.wait(DAY_S - 3600 - 10)
        assert outbox.expire().reads == 0


def test_a_computer_that_never_knew_the_time_deletes_nothing_early_once_it_does(car: Car) -> None:
    clock = car.clock
    to_1970(clock)
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(60)
        outbox.expire()
    clock.boot(0)
    clock.utc = datetime(2026, 7, 4, tzinfo=UTC)
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        clock.wait(DAY_S)
        assert outbox.expire().reads == 1


def test_a_session_behind_a_clock_that_was_set_back_counts_once(path: Path) -> None:
    car = Car(path, keep_s=180)
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
        a_day_back(clock)
        clock.wait(100)
        assert outbox.expire().reads == 0
    clock.utc += timedelta(days=1)
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        clock.wait(79)
        assert outbox.expire().reads == 0
        clock.wait(2)
        assert outbox.expire().reads == 1


@pytest.mark.parametrize("sessions", [1, 12])
def test_days_without_a_clock_count_once_when_it_is_right_at_a_start(path: Path, sessions: int) -> None:
    car = Car(path, keep_s=21 * DAY_S)
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
    right = clock.utc
    for _ in range(sessions):
        clock.boot(0)
        to_1970(clock)
        with car.open() as outbox:
            for _ in range(12 // sessions):
                clock.wait(DAY_S)
                assert outbox.expire().reads == 0
    clock.boot(0)
    clock.utc = right + timedelta(days=17)  # 12 of them on
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        clock.wait(4 * DAY_S - 10)
        assert outbox.expire().reads == 0
        clock.wait(20)
        assert outbox.expire().reads == 1


def test_a_clock_set_ahead_while_running_and_right_at_the_next_start_deletes_nothing_early(car: Car) -> None:
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
        a_year_on(clock)
        clock.wait(100)
        outbox.expire()
    clock.utc -= timedelta(days=365)
    with car.open() as outbox:
        clock.wait(DAY_S - 110)
        assert outbox.expire().reads == 0
        clock.wait(20)
        assert outbox.expire().reads == 1


def test_what_a_power_cut_left_unsaved_counts_once(car: Car) -> None:
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(3600)
        outbox.expire()
        a_day_back(clock)
        clock.wait(1800)  # and no save
    clock.boot(DAY_S)
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        clock.wait(DAY_S - 5400 - 10)
        assert outbox.expire().reads == 0
        clock.wait(20)
        assert outbox.expire().reads == 1


def test_what_came_without_a_clock_is_no_older_for_days_away_that_a_later_start_tells(path: Path) -> None:
    car = Car(path, keep_s=21 * DAY_S)
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
    right = clock.utc
    for _ in range(2):  # ten days away, then twice a day without a clock
        clock.boot(0)
        to_1970(clock)
        with car.open() as outbox:
            outbox.append([Note()])
            clock.wait(DAY_S)
            outbox.expire()
    clock.boot(0)
    clock.utc = right + timedelta(days=12)
    with car.open() as outbox:
        clock.wait(9 * DAY_S + 10)
        outbox.append([Note()])
        assert outbox.expire().reads == 1
        clock.wait(10 * DAY_S - 20)
        assert outbox.expire().reads == 0
        clock.wait(20)
        assert outbox.expire().reads == 1
    clock.boot(5 * DAY_S)  # with a clock that is right again, days away count for all
    with car.open() as outbox:
        assert outbox.expire().reads == 1
        assert seqs(outbox) == [4]


def test_time_away_that_a_disk_refused_to_count_is_counted_the_next_time(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
    right = clock.utc + timedelta(days=2)
    clock.boot(0)
    to_1970(clock)
    with car.open() as outbox:
        outbox.append([Note()])
        clock.utc = right
        with monkeypatch.context() as patch:
            patch.setattr("edge_agent.outbox.outbox.remove_older", refuse)
            with pytest.raises(sqlite3.OperationalError):
                outbox.expire()
        assert outbox.expire().reads == 1
        assert seqs(outbox) == [2]


def test_time_away_ages_nothing_that_came_since_also_after_another_vehicle(car: Car) -> None:
    clock = car.clock
    with car.open("hpd/car-1") as outbox:
        notes = [Note() for _ in range(50)]
        outbox.append(notes)
        outbox.receipted([note.key for note in notes])
    right = clock.utc + timedelta(days=2)
    clock.boot(0)
    to_1970(clock)
    with car.open() as outbox:
        outbox.append([Note()])
        clock.utc = right
        assert outbox.expire().reads == 0


def test_time_away_ages_nothing_of_a_vehicle_that_came_while_the_clock_was_behind(car: Car) -> None:
    clock = car.clock
    with car.open("hpd/car-1") as outbox:
        notes = [Note() for _ in range(50)]
        outbox.append(notes)
        outbox.receipted([note.key for note in notes])
    right = clock.utc + timedelta(days=2)
    clock.boot(0)
    to_1970(clock)
    with car.open("hpd/car-1"):
        pass
    with car.open() as outbox:
        outbox.append([Note()])
    clock.utc = right
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        assert seqs(outbox) == [1]


def test_reads_grow_old_and_are_purged_where_the_age_was_lost(car: Car) -> None:
    clock = car.clock
    with car.open() as outbox:
        clock.wait(200 * DAY_S)
        outbox.append([Note(), Note()])
    with closing(sqlite3.connect(car.path)) as file:
        (page,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'age'").fetchone()
    with car.path.open("r+b") as damaged:
        damaged.seek((page - 1) * 4096)
        damaged.write(b"?" * 4096)
    with car.open() as outbox:
        assert seqs(outbox) == [1, 2]
        assert outbox.expire().reads == 0
        outbox.append([Note(), Note()])
        clock.wait(DAY_S)
        assert outbox.expire().reads == 4
        outbox.append([Note()])
        assert outbox.purge().reads == 1


def test_a_clock_set_back_gives_no_place_and_no_id_twice(car: Car) -> None:
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
        a_day_back(clock)
        assert outbox.append([Note()]) == (2,)
        assert outbox.purge().reads == 2
        assert outbox.append([Note()]) == (3,)

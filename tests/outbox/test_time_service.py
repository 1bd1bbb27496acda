"""How old what waits is once a time service tells UTC, and what it was taken for until then."""

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.outbox.file import connect
from edge_agent.outbox.schema import prepare
from tests.outbox.formats import earlier
from tests.outbox.test_ages import Car, TurnedClock
from tests.outbox.test_bounds import DAY_S, seqs
from tests.outbox.test_mending import overwrite
from tests.outbox.test_outbox import OWNER, Note


@pytest.fixture
def car(path: Path) -> Car:
    return Car(path, keep_s=21 * DAY_S)


@pytest.mark.parametrize("away_h", [16, 80])
def test_a_clock_that_was_ahead_is_forgotten_once_it_is_synchronized(path: Path, away_h: int) -> None:
    car = Car(path)
    with car.open() as outbox:
        car.clock.utc += timedelta(days=20 * 365)
        outbox.expire()
        car.clock.utc -= timedelta(days=20 * 365)
        outbox.append([Note()])
        car.clock.is_synchronized = True
        outbox.expire()
    for _ in range(2):
        car.clock.boot(off_s=away_h * 1800)
        with car.open() as outbox:
            outbox.expire()
            left = outbox.status().pending
    assert left == (away_h == 16)


def without_its_own_clock(clock: TurnedClock, *, off_s: float) -> datetime:
    """Start where the computer was shut down, a little later; gives what UTC is in truth."""
    right = clock.utc + timedelta(seconds=off_s)
    clock.boot(20)
    clock.is_synchronized = False
    return right


def test_time_off_counts_once_a_time_service_tells_it_to_a_computer_without_a_clock(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    for day in range(22):
        right = without_its_own_clock(clock, off_s=DAY_S * 2 / 3) if day else clock.utc
        with car.open() as outbox:
            outbox.expire()
            clock.utc = right  # the clock is set a moment before that is said
            outbox.expire()
            clock.is_synchronized = True
            assert outbox.expire().reads == (day == 21)
            outbox.append([Note()])
            clock.wait(DAY_S / 3)
            outbox.expire()


def test_time_away_ages_nothing_that_came_before_the_time_service_told_it(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(DAY_S / 3)
        outbox.expire()
    stopped = clock.utc
    right = without_its_own_clock(clock, off_s=20 * DAY_S)
    with car.open() as outbox:  # a day without network
        outbox.append([Note()])
        clock.wait(DAY_S / 3)
        outbox.expire()
    right += timedelta(days=1)
    clock.boot(0)
    clock.utc = stopped - timedelta(seconds=60)  # where the time service last was
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        clock.utc, clock.is_synchronized = right, True
        assert outbox.expire().reads == 1
        clock.wait(20 * DAY_S)
        assert outbox.expire().reads == 0
        assert seqs(outbox) == [2]
        clock.wait(2 * DAY_S)
        assert outbox.expire().reads == 1


@pytest.mark.parametrize("was_told", [True, False])
def test_time_away_ages_nothing_that_came_since_where_it_is_told_before_the_outbox_is_opened(
    car: Car, was_told: bool
) -> None:
    clock = car.clock
    clock.is_synchronized = was_told
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
    right = without_its_own_clock(clock, off_s=22 * DAY_S)
    with car.open() as outbox:  # a shift without network
        outbox.append([Note()])
        clock.wait(DAY_S / 3)
        outbox.expire()
    clock.boot(0)
    clock.utc, clock.is_synchronized = right + timedelta(days=1), True
    with car.open() as outbox:
        outbox.expire()
        assert seqs(outbox) == ([2] if was_told else [1, 2])
        clock.wait(22 * DAY_S)
        outbox.expire()
        assert seqs(outbox) == []


def test_reads_of_many_days_grow_older_without_being_written_anew(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
    right = without_its_own_clock(clock, off_s=20 * DAY_S)
    with car.open() as outbox:
        outbox.append([Note() for _ in range(500)])
    clock.boot(0)
    clock.utc, clock.is_synchronized = right, True
    with car.open() as outbox:
        outbox.expire()
        assert outbox._session._connection.total_changes < 50
        clock.wait(2 * DAY_S)
        assert outbox.expire().reads == 1
        assert len(seqs(outbox)) == 500


def test_what_a_clock_ahead_has_added_is_taken_back_of_all_that_it_was_added_to(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.expire()
    ahead = timedelta(days=15)
    for error in (timedelta(), ahead):
        clock.boot(600)
        clock.utc, clock.is_synchronized = clock.utc + error, False
        with car.open() as outbox:
            outbox.append([Note()])
            clock.wait(60)
            outbox.expire()
    clock.boot(600)
    clock.utc, clock.is_synchronized = clock.utc - ahead, True
    with car.open() as outbox:
        outbox.expire()
        clock.wait(20 * DAY_S)
        assert outbox.expire().reads == 0
        clock.wait(2 * DAY_S)
        assert outbox.expire().reads == 2


def test_what_a_clock_ahead_has_added_is_taken_back_also_at_the_first_telling(car: Car) -> None:
    clock = car.clock
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(60)
        outbox.expire()
    ahead = timedelta(days=15)
    clock.boot(600)
    clock.utc += ahead
    with car.open() as outbox:
        outbox.expire()
        clock.utc, clock.is_synchronized = clock.utc - ahead, True
        outbox.expire()
        clock.wait(20 * DAY_S)
        assert outbox.expire().reads == 0
        clock.wait(2 * DAY_S)
        assert outbox.expire().reads == 1


def test_the_first_telling_ages_nothing_on_a_computer_without_a_clock(car: Car) -> None:
    clock, right = car.clock, car.clock.utc
    for _ in range(20):
        with car.open() as outbox:
            outbox.append([Note()])
            clock.wait(DAY_S / 3)
            outbox.expire()
        right += timedelta(days=1)
        clock.boot(0)
    clock.utc -= timedelta(seconds=60)  # as after a power cut
    with car.open() as outbox:
        clock.utc, clock.is_synchronized = right, True
        assert outbox.expire().reads == 0
        clock.wait(13 * DAY_S)
        assert outbox.expire().reads == 0


def test_a_salvage_of_format_13_counts_no_time_twice(car: Car) -> None:
    clock = car.clock
    earlier(car.path, 13, count=50, appended_ms=int(clock.utc.timestamp() * 1000))
    with closing(connect(car.path, None)) as old:  # ten days that UTC alone had told, in each read's age
        began_s = clock.utc.timestamp()
        old.execute("UPDATE age SET aged_s = ?, utc_s = ?", (10 * DAY_S, began_s + 10 * DAY_S))
        told = "INSERT INTO synchronized VALUES (?, 50, 1.0, ?)"
        old.execute(told, (began_s, 10 * DAY_S))
        old.execute("VACUUM")
    overwrite(car.path, 0, 4096)
    clock.boot(19 * DAY_S)
    with car.open() as outbox:
        assert len(seqs(outbox)) == 50
        clock.is_synchronized = True
        assert outbox.expire().reads == 0
        clock.wait(3 * DAY_S)
        assert outbox.expire().reads == 50


def test_places_of_another_count_stay_before_all_of_this_one(car: Car) -> None:
    with car.open() as outbox, outbox._session.transaction() as (connection, _):
        connection.execute("INSERT INTO away VALUES (-3, 1e9, 1, 0), (-2, 1e9, 1, 0)")
        connection.execute("INSERT INTO kept VALUES ('outbox.db.damaged-x', 0)")
    car.path.with_name("outbox.db.damaged-x").touch()
    for owner in ("hpd/car-99", OWNER):
        with car.open(owner) as outbox, outbox._session.use() as connection:
            assert [seq for (seq,) in connection.execute("SELECT until_seq FROM away")] == [-3, -2]
            outbox.expire()


def test_what_came_in_the_last_seconds_before_the_end_ages_with_the_others(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.expire()
        clock.wait(10)
        outbox.append([Note()])
    clock.utc, right = clock.utc, without_its_own_clock(clock, off_s=30 * DAY_S)
    with car.open() as outbox:
        clock.utc, clock.is_synchronized = right, True
        assert outbox.expire().reads == 1


@pytest.mark.parametrize("ahead_h", [0.1, 1, 5, 24 * 10])
def test_a_clock_that_is_ahead_until_it_is_synchronized_deletes_nothing_early(car: Car, ahead_h: float) -> None:
    clock = car.clock
    clock.is_synchronized = True
    ahead = timedelta(hours=ahead_h)
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
    for _ in range(4 * 10):
        clock.boot(2 * 3600)
        clock.utc, clock.is_synchronized = clock.utc + ahead, False
        with car.open() as outbox:
            clock.utc, clock.is_synchronized = clock.utc - ahead, True
            assert outbox.expire().reads == 0
            clock.wait(4 * 3600)
            outbox.expire()
    with car.open() as outbox:
        clock.wait(11 * DAY_S - 60)
        assert outbox.expire().reads == 0
        clock.wait(120)
        assert outbox.expire().reads == 1


def test_a_clock_that_was_ahead_for_a_session_without_a_time_service_is_taken_back(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
    ten_days = timedelta(days=10)
    clock.boot(DAY_S)
    clock.utc, clock.is_synchronized = clock.utc + ten_days, False
    with car.open() as outbox:
        outbox.append([Note()])
        clock.wait(DAY_S)
        outbox.expire()
    clock.boot(DAY_S)
    clock.utc, clock.is_synchronized = clock.utc - ten_days, True
    with car.open() as outbox:
        clock.wait(18 * DAY_S - 60)
        assert outbox.expire().reads == 0
        clock.wait(120)
        assert outbox.expire().reads == 1
        clock.wait(2 * DAY_S)
        assert outbox.expire().reads == 1


@pytest.mark.parametrize("has_clock", [True, False])
def test_a_time_service_that_was_years_ahead_keeps_nothing_for_years(car: Car, has_clock: bool) -> None:
    clock = car.clock
    right, years = clock.utc, timedelta(days=4 * 365)
    clock.utc, clock.is_synchronized = clock.utc + years, True
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
    for day in range(1, 23):
        clock.boot(0)
        clock.utc, clock.is_synchronized = right + timedelta(days=day if has_clock else day - 1), False
        with car.open() as outbox:
            clock.utc, clock.is_synchronized = right + timedelta(days=day), True
            assert outbox.expire().reads == (day == 22)


def test_a_time_service_that_says_a_year_long_past_is_not_believed(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    weeks = timedelta(weeks=1024)  # what a receiver of GPS forgets
    with car.open() as outbox:
        outbox.append([Note()])
        outbox.expire()
        clock.utc -= weeks
        outbox.expire()
    clock.boot(60)
    clock.utc += weeks
    with car.open() as outbox:
        assert outbox.expire().reads == 0
        clock.wait(22 * DAY_S)
        assert outbox.expire().reads == 1


@pytest.mark.parametrize(
    ("behind_from", "expected"), [(-1 - 2 * 7, (7, None)), (-2 - 2 * 7, (7, 7)), (5, (None, 5))]
)
def test_what_format_12_remembered_of_a_time_service_is_taken_over(
    path: Path, behind_from: int, expected: tuple[int | None, int | None]
) -> None:
    earlier(path, 12, count=9, appended_ms=1_800_000_000_000)
    with closing(connect(path, None)) as old:
        old.execute("UPDATE age SET aged_s = 1000.0, utc_s = 1800001000.0, behind_from = ?", (behind_from,))
        prepare(old)
        told = old.execute("SELECT began_s, until_seq FROM synchronized").fetchone()
        assert told == (None if expected[0] is None else (1_800_000_000.0, expected[0]))
        assert old.execute("SELECT behind_from FROM age").fetchone() == (expected[1],)


def test_a_salvage_keeps_what_a_time_service_told(car: Car) -> None:
    clock = car.clock
    clock.is_synchronized = True
    with car.open() as outbox:
        outbox.append([Note() for _ in range(9)])
        outbox.expire()
    with car.path.open("r+b") as file:
        file.write(bytes(4096))
    clock.utc, right = clock.utc, without_its_own_clock(clock, off_s=30 * DAY_S)
    with car.open() as outbox:
        assert len(seqs(outbox)) == 9
        clock.utc, clock.is_synchronized = right, True
        assert outbox.expire().reads == 9


def test_a_salvage_of_format_12_keeps_what_a_time_service_told(car: Car) -> None:
    earlier(car.path, 12, count=50, appended_ms=int(car.clock.utc.timestamp() * 1000))
    with closing(connect(car.path, None)) as old:
        old.execute("UPDATE age SET behind_from = ?", (-1 - 2 * 50,))
        old.execute("VACUUM")
    overwrite(car.path, 0, 4096)
    clock = car.clock
    clock.utc, right = clock.utc, without_its_own_clock(clock, off_s=22 * DAY_S)
    with car.open() as outbox:
        assert len(seqs(outbox)) == 50
        clock.utc, clock.is_synchronized = right, True
        assert outbox.expire().reads == 50

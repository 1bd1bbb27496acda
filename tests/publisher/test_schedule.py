"""What is due when, and how pauses grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import OutboxError
from edge_agent.publisher.schedule import Backoff, Schedule
from tests.publisher.chain import Time


@given(st.lists(st.booleans(), max_size=60))
def test_a_pause_is_drawn_from_nothing_to_the_longest(resets: list[bool]) -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    backoff = Backoff(first_s=1, longest_s=60, uniform=draw)
    for reset in resets:
        if reset:
            backoff.reset()
        assert 0 < backoff.next_s() <= 60
    assert all(low == 0 for low, _ in drawn)


def test_a_schedule_keeps_the_earlier_time_and_survives_an_error() -> None:
    time = Time()
    schedule = Schedule(monotonic=time)
    done: list[str] = []

    def fail() -> None:
        raise OutboxError("no")

    def note() -> None:
        done.append("note")

    schedule.after(1, fail)
    schedule.after(5, note)
    schedule.after(2, note)
    schedule.after(9, note)
    assert schedule.wait_s(longest_s=10) == 1
    time.seconds += 3
    with pytest.raises(OutboxError):
        schedule.run_due()
    assert note in schedule
    schedule.run_due()
    schedule.run_due()
    assert done == ["note"]
    assert schedule.wait_s(longest_s=10) == 10

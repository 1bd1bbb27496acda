"""How soon a car is back after an outage, by a simulated clock."""

import random
from pathlib import Path

import pytest

from edge_agent.mqtt import ConnectFailed
from tests.publisher.chain import Chain

REFUSED_S = (0.0, 0.0)
"""When an attempt asks for a connection, and when it fails: at once where nobody listens on the port."""

UNANSWERED_S = (0.0, 1.0, 3.0, 7.0, 10.0)
"""The same where nothing answers: TCP asks again and again."""


def back_after_s(chain: Chain, outage_s: float, attempt_s: tuple[float, ...]) -> float:
    """Take the broker away from a connected car for so long; gives how long after its return the car is back."""
    chain.link.lose()
    returns_s = chain.time.seconds + outage_s
    *asks_s, fails_s = attempt_s
    attempts = len(chain.link.connects)
    while True:
        while len(chain.link.connects) == attempts:
            chain.publisher.step()
        attempts += 1
        began_s = chain.link.connects[-1]
        for ask_s in asks_s:
            if began_s + ask_s >= returns_s:
                chain.time.seconds = began_s + ask_s
                chain.connect()
                return began_s + ask_s - returns_s
        chain.time.seconds = began_s + fails_s
        chain.link.events.append(ConnectFailed("broker x:1883: no answer"))


@pytest.mark.parametrize(("attempt_s", "within_s"), [(REFUSED_S, 5), (UNANSWERED_S, 8)])
@pytest.mark.parametrize("outage_s", [1, 10, 40, 180, 290])
def test_a_car_is_back_within_seconds_of_an_outage_of_minutes(
    tmp_path: Path, attempt_s: tuple[float, ...], within_s: float, outage_s: float
) -> None:
    chance = random.Random(outage_s)
    chain = Chain(tmp_path / "outbox.db", uniform=chance.uniform)
    for _ in range(30):
        chain.connect()
        chain.append()
        chain.link.answer()
        chain.run(1)
        assert 0 <= back_after_s(chain, outage_s + chance.random(), attempt_s) <= within_s


def test_after_a_long_outage_a_hundred_cars_come_back_over_a_minute(tmp_path: Path) -> None:
    back_s = []
    for number in range(100):
        chain = Chain(tmp_path / f"{number}.db", uniform=random.Random(number).uniform)
        chain.connect()
        back_s.append(back_after_s(chain, 900, REFUSED_S))
    assert max(back_s) - min(back_s) >= 60
    assert max(back_s) <= 76
    assert sorted(back_s)[50] < 30

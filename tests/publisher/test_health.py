"""Health, once a minute."""

from edge_agent.errors import OutboxError
from tests.publisher.chain import TOPICS, Chain


def test_health_is_told_at_once_then_each_minute_and_an_old_one_is_not_kept(chain: Chain) -> None:
    told = iter(range(100))

    def health() -> bytes:
        return f"health {next(told)}".encode()

    chain.publisher.report(health)

    def heard() -> list[str]:
        return [one.payload.decode() for one in chain.link.published if one.topic == TOPICS.health]

    chain.connect()
    assert heard() == ["health 0"]
    chain.link.answer()
    chain.run(61)
    assert heard() == ["health 0", "health 1"]
    chain.link.lose()
    chain.run(200)
    chain.connect()
    assert heard() == ["health 0", "health 1", "health 2"]


def test_health_that_the_outbox_cannot_tell_stops_no_read(chain: Chain) -> None:
    def fail() -> bytes:
        raise OutboxError("outbox: disk I/O error")

    chain.publisher.report(fail)
    chain.append()
    chain.connect()
    chain.run(5)
    assert chain.counters.problem == "outbox: disk I/O error"
    assert chain.link.waiting == ["note 1"]

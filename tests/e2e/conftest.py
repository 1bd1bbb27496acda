from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.broker import Mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker that keeps few messages for who is away, and none over its own end."""
    directory = tmp_path / "mosquitto"
    directory.mkdir()
    broker = Mosquitto(directory, settings=("allow_anonymous true", "max_queued_messages 5"))
    broker.start()
    yield broker
    broker.kill()

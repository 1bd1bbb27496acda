from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.publisher.chain import Chain


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path / "outbox.db")
    yield made
    made.outbox.close()

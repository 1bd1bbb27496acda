from pathlib import Path

import pytest

from tests.cli.car import Car


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path)

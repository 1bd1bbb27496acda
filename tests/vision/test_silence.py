"""The networks' runtime keeps quiet about the computer it runs on."""

from pathlib import Path

import cv2
import numpy as np

from tests.cli.program import edge_agent


def test_reading_leaves_nothing_in_the_users_home_and_says_nothing_where_there_is_none(tmp_path: Path) -> None:
    picture = tmp_path / "empty.png"
    cv2.imwrite(str(picture), np.zeros((40, 80), np.uint8))
    home = tmp_path / "home"
    home.mkdir()
    done = edge_agent("read", picture, HOME=str(home))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.rglob("*")) == []
    done = edge_agent("read", picture, HOME="/nonexistent")
    assert (done.returncode, done.stderr) == (0, "")

"""What a person at a terminal sees and what goes into a file stay apart."""

import json
import os
import pty
import subprocess
from pathlib import Path

import cv2
import numpy as np

from tests.cli.program import COMMAND, TIMEOUT_S, environment

PICTURES = 24


def test_at_a_terminal_the_bar_is_shown_and_the_lines_go_whole_into_the_file(tmp_path: Path) -> None:
    folder = tmp_path / ("a long name " * 12)
    folder.mkdir()
    for k in range(PICTURES):
        cv2.imwrite(str(folder / f"{k}.png"), np.zeros((40, 80), np.uint8))
    ours, theirs = pty.openpty()
    with (tmp_path / "out.jsonl").open("wb") as out:
        program = subprocess.Popen(
            [*COMMAND, "read", "--jsonl", str(folder)],
            stdout=out, stderr=theirs, env=environment({"COLUMNS": "80", "TERM": "xterm"}),
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the program has ended and its terminal with it
            pass
        assert program.wait(TIMEOUT_S) == 0
    os.close(ours)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len([json.loads(line)["image"] for line in lines]) == PICTURES
    assert b"reading" in shown
    assert b"image" not in shown

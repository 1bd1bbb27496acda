"""Ctrl-C, however early."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from tests.cli.program import environment

INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "edge_agent.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from edge_agent.__main__ import main
sys.argv = ["edge-agent", "--version"]
main()
"""


def test_ctrl_c_while_the_libraries_load_ends_the_program_without_a_word() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_LOADING],
        capture_output=True, text=True, check=False, timeout=60, env=environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_during_the_work_is_said_in_one_line(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "long.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for level in range(200):
        video.write(np.full((240, 320, 3), level, np.uint8))
    video.release()
    running = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "replay", "long.avi", "--pace", "recorded"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    descriptors = Path(f"/proc/{running.pid}/fd")
    deadline = time.monotonic() + 60
    while not any(one.resolve() == tmp_path / "long.avi" for one in descriptors.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "long.avi: no plate was read\n")
    assert re.fullmatch(
        r"edge-agent: long.avi: only the first \d+ frames? looked at\nedge-agent: interrupted\n", err
    )

"""Ctrl-C, however early."""

import signal
import subprocess
import sys

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

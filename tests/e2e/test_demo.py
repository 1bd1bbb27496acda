import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import COMMAND, edge_agent, environment

pytestmark = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin") is None,
    reason="mosquitto is not installed",
)


def row(output: str, what: str) -> int:
    """The count of a row of the demo's table."""
    found = re.search(rf"{what}\s+│\s+(\d+)", output)
    assert found, output
    return int(found[1])


def test_the_demo_shows_the_chain_and_survives_its_broker_and_kill_9(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "60", "--no-tty", "--state", str(state)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as killed:
        assert killed.stdout is not None
        committed = 0
        for line in killed.stdout:
            committed += line.startswith("read ")
            if committed == 3:
                killed.send_signal(signal.SIGKILL)
                break
    assert killed.returncode == -signal.SIGKILL

    done = edge_agent("demo", "--seconds", "16", "--no-tty", "--state", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "an earlier demo did not finish" in done.stdout
    assert "the broker is stopped" in done.stdout
    assert "the broker is back" in done.stdout
    reads = done.stdout.count("\nread ")
    assert row(done.stdout, "committed to disk") >= committed + reads
    assert row(done.stdout, "in the store exactly once") == row(done.stdout, "committed to disk")
    assert row(done.stdout, "still in the outbox") == 0
    assert row(done.stdout, "captured") > row(done.stdout, "vehicles driven past") / 2
    assert not state.exists()


def test_a_store_that_cannot_start_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    (tmp_path / "edge-agent-demo").touch()
    done = edge_agent("demo", "--seconds", "10", "--no-tty", "--state", tmp_path)
    assert done.returncode == 1
    assert "the central store ended by itself" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("file", ["thesis.txt", "outbox.db"])
def test_a_directory_that_is_not_a_demos_is_refused_and_left_alone(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("precious")
    done = edge_agent("demo", "--seconds", "10", "--no-tty", "--state", tmp_path)
    assert done.returncode == 78
    assert (
        done.stderr
        == f"edge-agent: {tmp_path}: is not empty and no demo's: delete it, or give another one to --state\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_a_state_that_cannot_be_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = edge_agent("demo", "--no-tty", "--state", tmp_path / "file" / "state")
    assert done.returncode == 78
    assert "cannot be the demo's state directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_second_demo_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "60", "--no-tty", "--state", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = edge_agent("demo", "--seconds", "10", "--no-tty", "--state", tmp_path)
        assert first.poll() is None
        first.terminate()
        rest = first.stdout.read()
    assert second.returncode == 1
    assert "another agent is using it" in second.stderr
    delivered = "in the central store exactly once." in rest
    assert delivered or "the next demo goes on with" in rest  # whether the last read got its receipt is chance
    assert first.returncode == 130  # somebody stopped it

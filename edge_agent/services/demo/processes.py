"""The demo's own mosquitto and central store: real programs, started here and gone with us."""

import getpass
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from edge_agent import resources
from edge_agent.errors import EdgeAgentError

START_S = 15.0
STOP_S = 5.0
BROKER_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
user {user}
"""


def free_port() -> int:
    """A port of the loopback interface that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A program that runs beside us; it is killed with us, even when we are killed ourselves."""

    def __init__(self, *, name: str, command: Sequence[str], log: Path) -> None:
        self._name = name
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # setpriv asks the kernel to kill the program when its parent dies: no orphan keeps the port or the store.
        # A session of its own keeps the terminal's Ctrl-C from it: we stop it ourselves, in order.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def check(self) -> None:
        """Raise EdgeAgentError with the program's last words if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            words = self._log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise EdgeAgentError(f"{self._name} ended by itself: {words[0]}")


def broker(*, port: int, directory: Path) -> Program:
    """A mosquitto on the loopback interface that keeps nothing on disk. Raises EdgeAgentError if there is none."""
    # Debian installs it where an ordinary user's PATH does not look.
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise EdgeAgentError("mosquitto is not installed: apt-get install mosquitto")
    # Without its user line a mosquitto started by root changes its user, and is then not killed with its parent.
    configuration = directory / "mosquitto.conf"
    configuration.write_text(BROKER_CONFIGURATION.format(port=port, user=getpass.getuser()), encoding="utf-8")
    return Program(name="mosquitto", command=[program, "-c", str(configuration)], log=directory / "mosquitto.log")


def wait_for_port(program: Program, port: int) -> None:
    """Wait until something answers on the port. Raises EdgeAgentError."""
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        program.check()
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise EdgeAgentError(f"nothing answers on 127.0.0.1:{port} after {START_S:.0f} s")


def store(*, port: int, database: Path, directory: Path) -> Program:
    """The reference central store, as examples/central_store/ has it."""
    script = resources.path("examples/central_store") / "store.py"
    return Program(
        name="the central store",
        command=[sys.executable, str(script), "--broker", f"127.0.0.1:{port}", "--database", str(database)],
        log=directory / "store.log",
    )

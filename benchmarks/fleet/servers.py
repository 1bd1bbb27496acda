"""The broker and the store's workers: real programs, started here and gone with us."""

import getpass
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

from benchmarks.fleet.databases import Database, PostgresDatabase, SqliteDatabase
from benchmarks.fleet.programs import Server
from edge_agent import resources
from edge_agent.errors import EdgeAgentError
from edge_agent.services.demo import processes

LIMITS = ("max_inflight_messages", "set_tcp_nodelay", "max_packet_size", "max_queued_messages")
"""What the benchmark's broker has of the one that config/brokers/ ships."""

_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
user {user}
"""
_READY_S = 30.0
_GROUP = "stores"


def mosquitto() -> str:
    """Where the broker is. Raises EdgeAgentError if there is none."""
    # Debian installs it where an ordinary user's PATH does not look.
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise EdgeAgentError("mosquitto is not installed: apt-get install mosquitto")
    return program


def mosquitto_version() -> str:
    """Such as 2.0.11. Raises EdgeAgentError."""
    said = subprocess.run([mosquitto(), "-h"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\S+)", said)
    return found[1] if found else "of an unknown version"


def limits() -> list[str]:
    """The lines of the shipped broker's configuration that say how much it takes."""
    shipped = resources.path("config/brokers/mosquitto.conf").read_text(encoding="utf-8")
    return [line for line in shipped.splitlines() if line.partition(" ")[0] in LIMITS]


def broker(*, port: int, directory: Path) -> Server:
    """A mosquitto on the loopback interface with the shipped limits, that keeps nothing on disk."""
    program = mosquitto()
    configuration = directory / "mosquitto.conf"
    # Without its user line a mosquitto started by root changes its user, and is then not killed with its parent.
    lines = [_CONFIGURATION.format(port=port, user=getpass.getuser()), *limits(), ""]
    configuration.write_text("\n".join(lines), encoding="utf-8")
    return Server(name="mosquitto", command=[program, "-c", str(configuration)], log=directory / "mosquitto.log")


class Worker(Server):
    """One process of the reference central store."""

    def __init__(self, *, number: int, port: int, database: Database, directory: Path) -> None:
        script = resources.path("examples/central_store") / "store.py"
        name = f"store-{number}"
        self._said = directory / f"{name}.log"
        command = [sys.executable, str(script), "--broker", f"127.0.0.1:{port}", "--database", database.name]
        group = ["--group", _GROUP] if database.takes_workers else []
        super().__init__(name=name, command=[*command, "--client-id", name, *group], log=self._said)

    def wait(self) -> None:
        """Wait until it listens. Raises EdgeAgentError."""
        deadline_s = time.monotonic() + _READY_S
        while "listening" not in self._said.read_text(encoding="utf-8", errors="replace"):
            self.check()
            if time.monotonic() > deadline_s:
                raise EdgeAgentError(f"the store's worker does not listen after {_READY_S:.0f} s")
            time.sleep(0.05)


class Site:
    """A broker, a database and the store's workers, from `with` to its end."""

    def __init__(self, *, kind: Literal["sqlite", "postgresql"], workers: int) -> None:
        self._kind = kind
        self._workers = workers
        self._opened = ExitStack()
        self.port = processes.free_port()
        self.broker: Server
        self.database: Database
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def check(self) -> None:
        """Raise EdgeAgentError where one of them has ended by itself."""
        for one in (self.broker, *self.workers):
            one.check()

    def _open(self) -> None:
        directory = Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        self.broker = broker(port=self.port, directory=directory)
        self.database = PostgresDatabase() if self._kind == "postgresql" else SqliteDatabase(directory)
        self._opened.callback(self.database.remove)
        self.database.start()
        self._opened.callback(self.broker.stop)
        self.broker.start()
        processes.wait_for_port(self.broker, self.port)
        for number in range(1, self._workers + 1):
            worker = Worker(number=number, port=self.port, database=self.database, directory=directory)
            self.workers.append(worker)
            self._opened.callback(worker.stop)
            worker.start()
        for worker in self.workers:
            worker.wait()

"""The reference central store as a process of its own, and a look into its database."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent import resources
from tests.e2e.broker import Mosquitto, wait_until

PROGRAM = resources.path("examples/central_store") / "store.py"


class CentralStore:
    """Starts, stops and kills the store; reads its database as anybody could."""

    def __init__(self, directory: Path, broker: Mosquitto) -> None:
        self._directory = directory
        self._broker = broker
        self._process: subprocess.Popen[bytes] | None = None
        self.database = directory / "store.db"

    def start(self) -> None:
        log_path = self._directory / "store.log"
        heard = log_path.read_text().count("listening") if log_path.exists() else 0
        command = [sys.executable, str(PROGRAM), "--broker", self._broker.address, "--database", str(self.database)]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: self.log().count("listening") > heard, "the store to listen")

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def log(self) -> str:
        return (self._directory / "store.log").read_text()

    def seqs(self) -> list[int]:
        return [seq for (seq,) in self._ask("SELECT seq FROM reads ORDER BY seq")]

    def ids(self) -> list[str]:
        return [id_ for (id_,) in self._ask("SELECT id FROM reads ORDER BY seq")]

    def latest(self) -> list[str]:
        return [plate for (plate,) in self._ask("SELECT plate FROM latest_reads ORDER BY seq")]

    def rejected(self) -> list[str]:
        return [reason for (reason,) in self._ask("SELECT reason FROM rejected")]

    def deliveries(self) -> int:
        return int(self._ask("SELECT SUM(deliveries) FROM reads")[0][0])

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def _end(self, number: int) -> int:
        status = 0
        if self._process is not None:
            self._process.send_signal(number)
            status = self._process.wait(20)
            self._process = None
        return status

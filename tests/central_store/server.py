"""A PostgreSQL server of the tests' own, to start, stop and kill."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from tests.e2e.broker import wait_until

_QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_connections": "30"}
"""A test does not cut the power."""


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


def _identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class PostgresServer:
    """Listens on a Unix socket in a directory of its own: its path is short, since a socket's must be."""

    def __init__(self, **settings: str) -> None:
        self._programs = _programs()
        self._identity = _identity()
        self._settings = _QUICK | settings
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="lpr-pg-"))
        if self._identity:
            os.chown(self.directory, self._identity["user"], self._identity["group"])
        command = [f"{self._programs}/initdb", "-D", f"{self.directory}/data", "-A", "trust", "-U", "postgres"]
        options = ["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        subprocess.run(
            [*command, *options], check=True, stdout=subprocess.DEVNULL, cwd=self.directory, **self._identity
        )

    def start(self) -> None:
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        command = [
            f"{self._programs}/postgres",
            "-D",
            f"{self.directory}/data",
            "-k",
            str(self.directory),
            "-h",
            "",
        ]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *settings], stdout=log, stderr=log, cwd=self.directory, **self._identity
            )
        wait_until(self._answers, "PostgreSQL")

    def stop(self) -> None:
        """Break all connections and end."""
        if self._process is not None:
            self._process.send_signal(2)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def url(self, database: str, *, user: str = "postgres") -> str:
        return f"postgresql:///{database}?{urlencode({'host': str(self.directory), 'user': user})}"

    def ask(self, database: str, query: str, *, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True, options="-c search_path=lpr") as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"PostgreSQL ended: {self.log()}"
        try:
            self.ask("postgres", "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

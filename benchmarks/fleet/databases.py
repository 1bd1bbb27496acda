"""Where the store keeps the reads, and what it holds at the end, asked from outside of the store."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

from benchmarks.fleet.programs import Server
from edge_agent.errors import EdgeAgentError
from edge_agent.services.demo import processes

_ACCOUNT = "postgres"
_NAME = "lpr"

PROGRAMS = Path("/usr/lib/postgresql")
"""Where Debian has PostgreSQL, by version; not on the PATH."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a database holds of a fleet."""

    rows: Sequence[tuple[str, int, UUID]]
    """Vehicle, place in its count, id."""

    deliveries: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the database holds, against what the cars made."""

    made: int = 0
    lost: int = 0
    twice: int = 0
    strange: int = 0
    """Rows that no car made, or in another's name, or at another place, and messages that were rejected."""

    repeats: int = 0
    """Deliveries that the store took for what they were."""


def judge(made: Mapping[str, Sequence[UUID]], held: Held) -> Verdict:
    """Compare by id; made has each vehicle's ids from place 1 on."""
    expected = {id_: (vehicle, place) for vehicle, ids in made.items() for place, id_ in enumerate(ids, start=1)}
    found = Counter(id_ for _, _, id_ in held.rows)
    misplaced = sum(expected.get(id_) != (vehicle, place) for vehicle, place, id_ in held.rows)
    return Verdict(
        made=len(expected),
        lost=len(expected.keys() - found.keys()),
        twice=len(held.rows) - len(found),
        strange=misplaced + held.rejected,
        repeats=held.deliveries - len(held.rows),
    )


class Database(Protocol):
    """What the fleet needs from a database."""

    name: str
    """As the store is told."""

    takes_workers: bool
    """Whether several processes may write."""

    def start(self) -> None: ...
    def pid(self) -> int | None: ...
    def version(self) -> str: ...
    def held(self, agency: str) -> Held: ...
    def remove(self) -> None: ...


class SqliteDatabase:
    """A file; the store's one process writes it."""

    takes_workers = False

    def __init__(self, directory: Path) -> None:
        self._file = directory / "store.db"
        self.name = str(self._file)

    def start(self) -> None: ...

    def pid(self) -> int | None:
        return None

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def held(self, agency: str) -> Held:
        with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT vehicle, seq, id, deliveries FROM reads WHERE agency = ?", (agency,)
            ).fetchall()
            ((rejected,),) = connection.execute("SELECT count(*) FROM rejected")
        reads = [(vehicle, seq, UUID(id_)) for vehicle, seq, id_, _ in rows]
        return Held(reads, deliveries=sum(row[3] for row in rows), rejected=rejected)

    def remove(self) -> None: ...


class PostgresDatabase:
    """A cluster of our own that syncs as PostgreSQL does by default, on a Unix socket in a directory of its own."""

    takes_workers = True

    def __init__(self) -> None:
        try:
            import psycopg  # noqa: F401, PLC0415 - an extra, as it is of the store
        except ImportError:
            raise EdgeAgentError("PostgreSQL needs psycopg: pip install -e '.[store]'") from None
        found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if not found:
            raise EdgeAgentError("PostgreSQL is not installed: apt-get install postgresql (or --database sqlite)")
        self._programs = found[-1].parent
        self._directory = Path(tempfile.mkdtemp(prefix="fleet-pg-"))  # short: a socket's path must be
        self._server: Server | None = None
        self.name = self._url(_NAME)

    def start(self) -> None:
        """Make the cluster and its database. Raises EdgeAgentError."""
        account = _account()
        if account:
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        other = _become(account) if account else []
        data = self._directory / "data"
        options = ["-A", "trust", "-U", _ACCOUNT, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        made = subprocess.run(
            [*other, f"{self._programs}/initdb", "-D", str(data), *options],
            capture_output=True, text=True, check=False, cwd=self._directory,
        )  # fmt: skip
        if made.returncode:
            said = made.stderr.strip().splitlines() or ["it said nothing"]
            raise EdgeAgentError(f"initdb failed: {said[-1]}")
        command = [f"{self._programs}/postgres", "-D", str(data), "-k", str(self._directory), "-h", ""]
        self._server = Server(name="PostgreSQL", command=[*other, *command], log=self._directory / "log")
        self._server.start()
        deadline_s = time.monotonic() + processes.START_S
        while not self._answers():
            self._server.check()
            if time.monotonic() > deadline_s:
                raise EdgeAgentError(f"PostgreSQL does not answer after {processes.START_S:.0f} s")
            time.sleep(0.1)
        self._ask(_ACCOUNT, f"CREATE DATABASE {_NAME}")

    def pid(self) -> int | None:
        return self._server.pid if self._server else None

    def version(self) -> str:
        return f"PostgreSQL {str(self._ask(_ACCOUNT, 'SHOW server_version')[0][0]).split()[0]}"

    def held(self, agency: str) -> Held:
        rows = self._ask(_NAME, "SELECT vehicle, seq, id FROM lpr.reads WHERE agency = %s", (agency,))
        ((deliveries,),) = self._ask(
            _NAME,
            "SELECT coalesce(sum(deliveries), 0) FROM lpr.read_keys JOIN lpr.reads USING (id, revision)"
            " WHERE agency = %s",
            (agency,),
        )
        ((rejected,),) = self._ask(_NAME, "SELECT count(*) FROM lpr.rejected")
        return Held([(vehicle, seq, id_) for vehicle, seq, id_ in rows], int(deliveries), rejected)

    def remove(self) -> None:
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _url(self, name: str) -> str:
        return f"postgresql:///{name}?{urlencode({'host': str(self._directory), 'user': _ACCOUNT})}"

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415 - an extra

        try:
            self._ask(_ACCOUNT, "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _ask(self, name: str, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        import psycopg  # noqa: PLC0415 - an extra

        with psycopg.connect(self._url(name), autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


def _account() -> pwd.struct_passwd | None:
    """Whose the cluster must be: PostgreSQL refuses to run as root; None where we are somebody else."""
    try:
        return None if os.geteuid() else pwd.getpwnam(_ACCOUNT)
    except KeyError:
        raise EdgeAgentError(f"there is no account {_ACCOUNT}, and root may not run PostgreSQL") from None


def _become(account: pwd.struct_passwd) -> list[str]:
    # A change of user takes back the wish to be killed with the parent, so it is made anew.
    ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--pdeathsig", "KILL"]

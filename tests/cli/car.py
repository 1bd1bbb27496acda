"""A car's configuration with an outbox, and a stick beside it."""

import json
import subprocess
from pathlib import Path

from edge_agent import host
from edge_agent.contract.line import record_of
from edge_agent.contract.record import draft
from edge_agent.domain import Jpeg
from edge_agent.outbox import Outbox
from edge_agent.wiring import OUTBOX_FILE
from tests.cli.program import edge_agent
from tests.contract.reads import CLOCK, SOURCE, make_read

OWNER = "hpd/car-12"
KEY = b"k" * 32


class Car:
    """A configuration with an outbox."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config"
        self.stick = directory / "stick"
        (self.config / "cameras").mkdir(parents=True)
        self.stick.mkdir()
        (self.config / "cameras" / "sim.toml").write_text('kind = "sim"\n')
        (self.config / "outbox.key").write_text(f"{KEY.hex()}\n")
        (self.config / "outbox.key").chmod(0o600)
        self.configure()

    def configure(self, more: str = "", *, vehicle: str = "car-12") -> None:
        (self.config / "agent.toml").write_text(
            f'[vehicle]\nagency = "hpd"\nid = "{vehicle}"\n[state]\ndirectory = "{self.directory / "state"}"\n'
            f'key_file = "outbox.key"\n{more}'
        )

    def outbox(self) -> Outbox:
        return Outbox(path=self.directory / "state" / OUTBOX_FILE, now=host.now, owner=OWNER, key=KEY)

    def see(self, count: int, *, image: Jpeg | None = None) -> None:
        said = {"agency": "hpd", "vehicle": "car-12", "source": SOURCE, "clock": CLOCK, "position": None}
        reads = [draft(make_read(), **said, image=image) for _ in range(count)]  # type: ignore[arg-type]
        with self.outbox() as outbox:
            outbox.append(reads)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return edge_agent("outbox", *map(str, arguments), "--config", self.config)

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.run("status", "--jsonl").stdout)
        return found


def records(exported: bytes) -> list[bytes]:
    return [record_of(line) for line in exported.splitlines()]

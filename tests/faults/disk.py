"""What a program did to its disk, and every disk that a power cut could have left of it."""

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

SECTOR_BYTES = 512
"""What a disk writes whole or not at all; a page of SQLite is eight of them."""

MARKS = "marks"
"""A file that is no part of the disk: what the program says there tells how far it was."""

_HEAD = struct.Struct("<cHQI")


def shim(directory: Path) -> Path:
    """Build disk.c, to be preloaded. Skips the test where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build tests/faults/disk.c: apt-get install gcc libc6-dev")
    library = directory / "disk.so"
    source = Path(__file__).with_name("disk.c")
    command: list[str | Path] = [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"]
    subprocess.run(command, check=True, capture_output=True)
    return library


def watched(
    library: Path, directory: Path, *, log: Path | None = None, fault: Path | None = None
) -> dict[str, str]:
    """Give the environment of a program whose files in a directory are watched, or fail as a file says."""
    settings = {"LD_PRELOAD": library, "EDGE_AGENT_DISK": directory.resolve()}
    more = {"EDGE_AGENT_DISK_LOG": log, "EDGE_AGENT_DISK_FAULT": fault}
    return {**os.environ, **{name: str(value) for name, value in (settings | more).items() if value is not None}}


class Operation(NamedTuple):
    """One record of disk.c."""

    what: str
    name: str
    at: int
    data: bytes

    @property
    def is_kept(self) -> bool:
        """Whether a disk would show it: the index of the log is shared memory, and the marks are ours."""
        return not (self.name.startswith(MARKS) or self.name.endswith("-shm"))


def operations(log: Path) -> Iterator[Operation]:
    """Read what disk.c wrote down, in order."""
    content, place = log.read_bytes(), 0
    while place < len(content):
        what, name, at, size = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        yield Operation(
            what.decode(), content[place : place + name].decode(), at, content[place + name : place + name + size]
        )
        place += name + size


@dataclass(slots=True, eq=False)
class _File:
    """What is surely there, and what was asked for since the last sync."""

    durable: bytes = b""
    asked: list[Operation] = field(default_factory=list)

    def synced(self, *, is_refused: bool) -> None:
        """Linux keeps pages that the disk refused in memory, and never writes them again."""
        if is_refused:
            self.asked = [one for one in self.asked if one.what == "T"]
        else:
            self.durable = self._with(self.asked)
            self.asked.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        share = chance.choice((0.0, 0.2, 0.5, 0.9, 1.0))
        kept = []
        for one in self.asked:
            if one.what == "T":
                kept += [one] if chance.random() < share else []
                continue
            for start in range(0, len(one.data), SECTOR_BYTES):  # a page may be torn
                if chance.random() < share:
                    kept.append(one._replace(at=one.at + start, data=one.data[start : start + SECTOR_BYTES]))
        return self._with(kept)

    def _with(self, asked: list[Operation]) -> bytes:
        content = bytearray(self.durable)
        for one in asked:
            if one.what == "T":
                content = content[: one.at].ljust(one.at, b"\0")
            else:
                content.extend(bytes(max(0, one.at - len(content))))
                content[one.at : one.at + len(one.data)] = one.data
        return bytes(content)


class Disk:
    """Keeps what was synced. Of what came since, a cut leaves any part: whole writes, sectors of one, or nothing.

    Names are kept up to some moment since their directory was synced, as a journal of names keeps them.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self._names = {name: _File(content) for name, content in files.items()}
        self._moments = [dict(self._names)]

    def do(self, one: Operation) -> None:
        """Take note of what the program did next."""
        if not one.is_kept:
            return
        names, other = self._names, one.data.decode() if one.what in "RL" else ""
        match one.what:
            case "W" | "T":
                names[one.name].asked.append(one)
            case "S" | "F":
                names[one.name].synced(is_refused=one.what == "F")
            case "D":
                self._moments.clear()
            case "C":
                names[one.name] = _File()
            case "R":
                names[other] = names.pop(one.name)
            case "L":
                names[other] = names[one.name]
            case "U":
                del names[one.name]
        if one.what in "DCRLU":
            self._moments.append(dict(names))

    def after_a_cut(self, chance: random.Random, directory: Path) -> None:
        """Write the files that the next start may find into an empty directory."""
        names = chance.choice((self._moments[0], self._moments[-1], chance.choice(self._moments)))
        written: dict[int, Path] = {}
        for name, file in names.items():
            path = directory / name
            if id(file) in written:
                path.hardlink_to(written[id(file)])
            else:
                path.write_bytes(file.after_a_cut(chance))
                written[id(file)] = path

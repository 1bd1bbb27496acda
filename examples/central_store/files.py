"""Takes exports from a USB stick, and writes the receipts back onto it."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from edge_agent.contract.explain import printable

from .database import Arrived, Batch, Keeps, Key, Rejected, StoreError
from .intake import from_line
from .receipts import NAMES_A_RECEIPT, receipt_of

_LONGEST_LINE = 131072  # bytes, for the largest picture; what a stick pulled out leaves can be longer than memory
_DER = b"\x30"  # an encrypted export begins so
_RECEIPTS = (b"ids", b"corrections", b"gaps", b"images", b"through_seq")
_BATCH = 1000  # lines that share a commit


def take_files(paths: Iterable[Path], database: Keeps) -> Iterator[Batch]:
    """Store the records of files, one a line, and give each batch once it is committed, with what was rejected.

    Raises StoreError, also for a file that cannot be read or is something else as a whole: what came before it is
    stored by then.
    """
    arrivals = (from_line(line, printable(f"{path}:{number}")) for path in paths for number, line in _lines(path))
    failed: StoreError | None = None
    while failed is None:
        batch: list[Arrived | Rejected] = []
        try:
            batch.extend(islice(arrivals, _BATCH))  # which keeps what it has where the next cannot be had
        except StoreError as error:
            failed = error
        if batch:
            yield _kept(batch, database)
        elif failed is None:
            return
    raise failed


def _kept(batch: Sequence[Arrived | Rejected], database: Keeps) -> Batch:
    # What is no record stays in the file, where a person can look at it.
    damaged = [one for one in batch if isinstance(one, Rejected)]
    kept = database.keep(Batch.of(one for one in batch if not isinstance(one, Rejected)))
    places = {one.source: place for place, one in enumerate(batch)}
    return replace(kept, rejected=tuple(sorted((*damaged, *kept.rejected), key=lambda one: places[one.source])))


def write_receipts(directory: Path, kept: Mapping[tuple[str, str], Collection[Key]]) -> None:
    """Write what is committed of each vehicle, (agency, vehicle), into a file of its own: whole, or not at all."""
    files: dict[str, list[Key]] = defaultdict(list)
    for (agency, vehicle), keys in kept.items():  # a-b and c share one with a and b-c, which harms neither
        files[f"receipts-{agency}-{vehicle}.jsonl"] += keys
    for name, keys in files.items():
        starts = range(0, len(keys), NAMES_A_RECEIPT)
        lines = (receipt_of(keys[start : start + NAMES_A_RECEIPT]).encode() + b"\n" for start in starts)
        write_whole(directory / name, lines)
    sync(directory)


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file for its owner alone that is there under its name when all of it is on disk, and not before."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.unlink(missing_ok=True)  # one that was left behind would keep its mode
    try:
        with open(unfinished, "xb", opener=_for_the_owner) as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what is to be said
            unfinished.unlink()
        raise


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def sync(directory: Path) -> None:
    """Have the names of its new files on disk."""
    opened = os.open(directory, os.O_RDONLY)
    with suppress(OSError):  # not every file system of a stick can
        os.fsync(opened)
    os.close(opened)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        yield from _lines_of(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from None


def _lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.exists() and not (path.is_file() or path.is_dir()):  # opening a FIFO would wait for ever
        raise StoreError(f"{path}: is no regular file")
    with path.open("rb") as file:
        if file.read(1) == _DER:
            raise StoreError(
                f"{path}: is encrypted: openssl cms -decrypt -inform DER -inkey STORE.key -in {path.name} -out ..."
            )
        file.seek(0)
        if file.readline(_LONGEST_LINE).startswith(tuple(b'{"' + kind for kind in _RECEIPTS)):
            raise StoreError(f"{path}: holds receipts: those are for the car, edge-agent outbox receipts")
        file.seek(0)
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(_LONGEST_LINE)
            if line.strip():
                yield number, line.strip()

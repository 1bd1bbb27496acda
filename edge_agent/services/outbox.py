"""`edge-agent outbox`: what a person does with the reads on the disk."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from edge_agent import wiring
from edge_agent.config.settings import AgentSettings
from edge_agent.contract.image import image_record
from edge_agent.contract.line import line_of
from edge_agent.contract.receipt import decode_receipt
from edge_agent.contract.topics import Topics
from edge_agent.domain import Missing
from edge_agent.errors import ContractError, ExportError, OutboxBusy, OutboxUnusable
from edge_agent.outbox import Gap, ImageRow, Outbox, Row, contents, kept_beside, read_purges, read_status, sync
from edge_agent.publisher import gap_record


@dataclass(frozen=True, slots=True)
class Account:
    """What is in the outbox; times in UTC.

    left counts by reason the reads that were deleted without a receipt, images_left those whose picture alone was;
    damaged holds the bytes of each damaged file that was put aside.
    """

    owner: str
    pending: int
    sent: int
    quarantined: int
    images: int
    gaps: int
    last_seq: int
    oldest: str | None
    size_bytes: int
    left: dict[str, int]
    images_left: dict[str, int]
    damaged: dict[str, int]


def status(agent: AgentSettings) -> Account:
    """Count, beside a running agent. Raises OutboxError or ConfigurationError."""
    path, key = _place(agent)
    found = read_status(path, key=key)
    left = {what: Counter[str]() for what in Missing}
    for one in read_purges(path, key=key):
        left[one.what][one.reason.value] += one.reads
    return Account(
        owner=found.owner,
        pending=found.pending,
        sent=found.sent,
        quarantined=found.quarantined,
        images=found.images,
        gaps=found.gaps,
        last_seq=found.last_seq,
        oldest=found.oldest.isoformat(timespec="seconds") if found.oldest else None,
        size_bytes=found.size_bytes,
        left=dict(left[Missing.READS]),
        images_left=dict(left[Missing.IMAGES]),
        damaged={one.name: one.stat().st_size for one in sorted(kept_beside(path))},
    )


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was exported, and what is in it."""

    file: Path
    owner: str
    reads: int
    images: int
    gaps: int
    encrypted: bool


def export(agent: AgentSettings, directory: Path) -> Written:
    """Write every read, picture and gap record into one file of JSON lines, whole or not at all.

    All of it is said of the vehicle that the outbox is of: after a change of `vehicle.id` gap records in the new
    name would explain another car's gaps. An agent may be running; the outbox is only read.

    Raises ExportError, OutboxError, ContractError or ConfigurationError.
    """
    path, key = _place(agent)
    certificate = agent.export.certificate_file
    owner = read_status(path, key=key).owner or wiring.owner(agent.vehicle)
    agency, _, vehicle = owner.partition("/")
    topics = Topics(agent.mqtt.prefix, agency, vehicle)
    car = f"edge-agent-{agency}-{vehicle}"
    name = f"{car}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
    file = directory / (f"{name}.cms" if certificate else name)
    counts: Counter[type] = Counter()
    with _whole(file, directory / f".{car}.part") as out, _encrypted(out, certificate) as write:
        for one in contents(path, key=key):
            write(line_of(_record(one, topics)))
            counts[type(one)] += 1
    return Written(
        file,
        owner=owner,
        reads=counts[Row],
        images=counts[ImageRow],
        gaps=counts[Gap],
        encrypted=certificate is not None,
    )


def _record(one: Row | Gap | ImageRow, topics: Topics) -> bytes:
    match one:
        case Row():
            return one.payload
        case Gap():
            return gap_record(one, topics).encode()
        case ImageRow():
            vehicle = {"agency": topics.agency, "vehicle": topics.vehicle}
            return image_record(one.jpeg, **vehicle, read=one.key.read).encode()


def try_to_encrypt(certificate: Path) -> None:
    """Raise ExportError where nothing can be encrypted to a certificate."""
    with tempfile.TemporaryFile() as out, _encrypted(out, certificate) as write:
        write(b"a try")


@contextmanager
def _whole(file: Path, beside: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when all of it is on the disk; until then it stands beside that.

    What was left there when an export was killed is written over. Raises ExportError.
    """
    with _written(file), open(beside, "ab", opener=_for_us_alone) as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportError(f"{file.parent}: another export of this vehicle is writing there") from None
        try:
            out.truncate(0)
            yield out
            out.flush()
            os.fsync(out.fileno())
            beside.replace(file)
            sync(file.parent)
        except BaseException:
            with suppress(OSError):  # a stick that takes nothing lets nothing go either; what failed first is said
                beside.unlink(missing_ok=True)
            raise


def _for_us_alone(name: str, flags: int) -> int:
    # The stick may be somebody's who made a link of that name, or a pipe, whose other end nobody waits for.
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)


@contextmanager
def _written(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(f"{file}: cannot be written: {error.strerror}; nothing left the outbox") from None


@contextmanager
def _encrypted(out: IO[bytes], certificate: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Write through OpenSSL's CMS, authenticated, for who has the certificate's key. Raises ExportError."""
    if certificate is None:
        yield out.write
        return
    if shutil.which("openssl") is None:
        raise ExportError("encrypting needs the program openssl: apt-get install openssl")
    command = [
        "openssl",
        "cms",
        "-encrypt",
        "-binary",
        "-stream",  # else it keeps all in memory
        "-outform",
        "DER",
        "-aes-256-gcm",
        "-recip",
        str(certificate),
    ]
    # Unbuffered: what is left in a buffer would be flushed into a pipe that nobody reads.
    with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE) as openssl:
        if openssl.stdin is None or openssl.stderr is None:
            raise ExportError("openssl has no input")
        with suppress(BrokenPipeError):  # it says why on its stderr
            yield openssl.stdin.write
        with suppress(BrokenPipeError):
            openssl.stdin.close()
        reason = openssl.stderr.read().decode(errors="replace").splitlines()
    if openssl.returncode:
        _take_more(out)
        why = _REASON.sub("", reason[0]) if reason else "no reason given"
        raise ExportError(f"{certificate}: openssl cannot encrypt to it, as to an RSA or EC certificate: {why}")


_REASON = re.compile(r"^[0-9A-F]+:error:[0-9A-F]+:")
"""What openssl puts before its reasons."""


def _take_more(out: IO[bytes]) -> None:
    """Raise OSError where the disk is what takes no more: openssl does not say so."""
    out.write(bytes(1 << 16))
    out.flush()


@dataclass(frozen=True, slots=True)
class Taken:
    """How many of what a file of receipts deleted, and a line for each of its lines that is none.

    by_count tells whether one named all reads up to a place in the count.
    """

    reads: int
    images: int
    gaps: int
    by_count: bool
    problems: tuple[str, ...]


def take_receipts(agent: AgentSettings, file: Path) -> Taken:
    """Delete what a file of receipts names.

    Raises OutboxBusy while the service runs, OutboxUnusable for the receipts of another vehicle, ExportError,
    OutboxError.
    """
    lines = _lines_of_receipts(file)
    _check_whose(file, wiring.owner(agent.vehicle))
    reads, images, gaps, by_count, problems = 0, 0, 0, False, []
    with _stopped(agent) as outbox:
        for number, line in lines:
            try:
                receipt = decode_receipt(line)
            except ContractError:
                problems.append(f"{file}:{number}: is damaged, or no receipt")
                continue
            reads += outbox.receipted(receipt.keys)
            images += outbox.images_receipted(receipt.image_keys)
            gaps += outbox.gaps_receipted(receipt.gaps)
            if receipt.through_seq is not None:
                by_count = True
                through = outbox.receipted_through(receipt.through_seq)
                if through is None:
                    last = f"through_seq {receipt.through_seq} is beyond the last read of this outbox"
                    problems.append(f"{file}:{number}: {last}: it is of another vehicle")
                reads += through or 0
    return Taken(reads, images, gaps, by_count, tuple(problems))


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _lines_of_receipts(file: Path) -> list[tuple[int, bytes]]:
    """Give the lines that hold something, with their numbers; an editor may have added a mark and empty ones."""
    try:
        content = file.read_bytes().removeprefix(_BYTE_ORDER_MARK)
    except OSError as error:
        raise ExportError(f"{file}: cannot be read: {error.strerror}") from None
    lines = [(number, line) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]
    if not lines or not lines[0][1].lstrip().startswith(b"{") or b'"schema":"lpr.' in lines[0][1]:
        raise ExportError(f"{file}: holds no receipts: they are what the store's import --receipts writes")
    return lines


def _check_whose(file: Path, owner: str) -> None:
    """Raise OutboxUnusable for a file that the store named for another vehicle: no receipt says whose it is."""
    named = _RECEIPTS.match(file.name)
    if named and named[1] != owner.replace("/", "-"):
        raise OutboxUnusable(f"{file}: holds, by its name, receipts of {named[1]}, which are not for {owner}")


_RECEIPTS = re.compile(r"receipts-([A-Za-z0-9_]+-[A-Za-z0-9_-]+)")
"""How the store's import names its files, whatever a copy adds behind: agency and vehicle."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many reads, and how many pictures, also those that left with their reads."""

    reads: int
    images: int


def purge(agent: AgentSettings, *, older_than_s: float) -> Deleted:
    """Delete reads and pictures for good. Raises OutboxBusy while the service runs, OutboxError."""
    with _stopped(agent) as outbox:
        images = outbox.status().images
        gone = outbox.purge(older_than_s=older_than_s)
        return Deleted(gone.reads, images - outbox.status().images)


@contextmanager
def _stopped(agent: AgentSettings) -> Iterator[Outbox]:
    """The outbox, while no service has it."""
    path, key = _place(agent)
    read_status(path, key=key)  # what is not there must not be made
    try:
        with wiring.outbox(agent) as outbox:
            yield outbox
    except OutboxBusy as error:
        raise OutboxBusy(f"{error}: stop the service first (systemctl stop edge-agent)") from None


def _place(agent: AgentSettings) -> tuple[Path, bytes | None]:
    return agent.state.directory / wiring.OUTBOX_FILE, wiring.outbox_key(agent.state)

"""What the store needs of a database, and the frozen values that go in and out."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, Protocol, Self
from uuid import UUID

from edge_agent.contract.gap import GapRecord
from edge_agent.contract.image import ImageRecord
from edge_agent.contract.record import ReadRecord, time_text
from edge_agent.domain import ImageKey, ReadKey
from edge_agent.errors import EdgeAgentError


class StoreError(EdgeAgentError):
    """The store's database cannot be used, or it was asked for what it does not give."""


class DatabaseAway(StoreError):
    """The database cannot be used now; waiting may mend that."""


Record = ReadRecord | GapRecord | ImageRecord

Key = ReadKey | UUID | ImageKey
"""What a receipt names: a read or a correction, a gap record, or a picture."""

Identity = ReadKey | UUID | tuple[str, str, ImageKey]
"""What is once in a batch. A picture is there with its agency and vehicle: no other takes its place."""


def digest(record: Record) -> bytes:
    """Give the same for the same record, however its JSON was formatted."""
    return hashlib.sha256(record.encode()).digest()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record of the vehicle that it names: exactly what came, and where from, a topic or FILE:LINE."""

    record: Record
    payload: bytes
    source: str
    sha256: bytes
    times: int = field(default=1, kw_only=True)  # in its batch

    @property
    def key(self) -> Key:
        return self.record.id if isinstance(self.record, GapRecord) else self.record.key

    @property
    def identity(self) -> Identity:
        key = self.key
        return (self.record.agency, self.record.vehicle, key) if isinstance(key, ImageKey) else key

    @property
    def text(self) -> str:
        return self.payload.decode()


REJECTED_BYTES, REJECTED_AT_MOST = 4096, 10_000
"""Of what is rejected a person sees the beginning, of the latest messages: one car's rubbish must
not fill the disk."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """What is no record of its sender, and why."""

    payload: bytes
    source: str
    reason: str

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.source.encode() + b"\0" + self.payload).digest()

    @property
    def beginning(self) -> bytes:
        return self.payload[:REJECTED_BYTES]


def _refused(arrived: Arrived) -> Rejected:
    match arrived.record:
        case ReadRecord(id=id_):
            reason = f"read {id_}: is here already with other contents"
        case GapRecord(id=id_):
            reason = f"gap record {id_}: is here already with other contents"
        case ImageRecord(id=id_):
            reason = f"image of read {id_}: no read here names it"
    return Rejected(arrived.payload, arrived.source, reason)


@dataclass(frozen=True, slots=True)
class Batch:
    """What shares a commit: each once, and in their order, so that no two workers wait for each other."""

    records: Mapping[Identity, Arrived]
    rejected: tuple[Rejected, ...]

    @classmethod
    def of(cls, arrivals: Iterable[Arrived | Rejected]) -> Self:
        """Count repeats; what has the key of another with other contents is rejected."""
        records: dict[Identity, Arrived] = {}
        rejected: list[Rejected] = []
        for arrival in arrivals:
            if isinstance(arrival, Rejected):
                rejected.append(arrival)
                continue
            known = records.get(arrival.identity)
            if known is None:
                records[arrival.identity] = arrival
            elif known.sha256 == arrival.sha256:
                records[arrival.identity] = replace(known, times=known.times + 1)
            else:
                rejected.append(_refused(arrival))
        return cls(dict(sorted(records.items(), key=lambda item: str(item[0]))), tuple(rejected))

    @property
    def reads(self) -> list[tuple[ReadRecord, Arrived]]:
        return [(one.record, one) for one in self.records.values() if isinstance(one.record, ReadRecord)]

    @property
    def gaps(self) -> list[tuple[GapRecord, Arrived]]:
        return [(one.record, one) for one in self.records.values() if isinstance(one.record, GapRecord)]

    @property
    def images(self) -> list[tuple[ImageRecord, Arrived]]:
        return [(one.record, one) for one in self.records.values() if isinstance(one.record, ImageRecord)]

    def without(self, refused: Collection[Identity]) -> Self:
        """Reject those whose key the database has with other contents, and pictures that no read there names."""
        others = (_refused(one) for key, one in self.records.items() if key in refused)
        kept = {key: one for key, one in self.records.items() if key not in refused}
        return type(self)(kept, (*self.rejected, *others))


class Span(NamedTuple):
    """Places of one vehicle's count, first and last of them."""

    agency: str
    vehicle: str
    first: int
    last: int


class Purge(NamedTuple):
    """What a retention job deleted: counts, never plates."""

    reads: int
    images: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to see, and for which purpose; plate with * at its end is a beginning."""

    who: str
    login: str
    purpose: str
    plate: str | None
    vehicle: tuple[str, str] | None
    since: datetime | None
    until: datetime | None
    limit: int

    def __str__(self) -> str:
        what = f"plate {self.plate}" if self.vehicle is None else f"vehicle {'/'.join(self.vehicle)}"
        times = [f" {name} {time_text(time)}" for name, time in (("from", self.since), ("to", self.until)) if time]
        return f"{what}{''.join(times)} limit {self.limit}"


class Answer(NamedTuple):
    """One read that was asked for, as its highest revision has it; record is its JSON."""

    captured_at: datetime
    plate: str
    confidence: float
    agency: str
    vehicle: str
    camera: str
    record: str


class Access(NamedTuple):
    """Who asked for what; login is whom the computer, or PostgreSQL, knew the asker as."""

    asked_at: datetime
    who: str
    login: str
    purpose: str
    question: str
    rows: int


class Keeps(Protocol):
    """What taking in needs."""

    def keep(self, batch: Batch) -> Batch:
        """Commit a batch, and give it back without what was refused; repeats are counted. Raises StoreError."""
        ...


class Database(Keeps, Protocol):
    """The reads, each once; synced at each commit. Whatever is called raises StoreError."""

    def check_rights(self) -> None:
        """Raise StoreError where what comes could not be kept, whatever time passes."""
        ...

    def held(self) -> list[Span]:
        """Tell which places of each vehicle's count are here or were purged, in order and without overlap."""
        ...

    def gap_records(self) -> list[GapRecord]: ...

    def purge(self, *, before: datetime) -> Purge:
        """Delete what is older. A read's age counts from its arrival where its car's clock was not synchronized."""
        ...

    def ask(self, question: Question) -> list[Answer]:
        """Commit the question to the access log, and only then answer it, the newest first."""
        ...

    def ask_images(self, question: Question, keys: Collection[ImageKey]) -> dict[ImageKey, bytes]:
        """Commit to the access log, for the question's purpose, that pictures are asked for; give those here."""
        ...

    def accesses(self, limit: int) -> list[Access]:
        """Give the access log's last questions, the newest first."""
        ...

    def close(self) -> None: ...


COVERED = """
SELECT agency, vehicle, MIN(first) AS first, MAX(last) AS last FROM (
    SELECT agency, vehicle, first, last,
        SUM(starts) OVER (PARTITION BY agency, vehicle ORDER BY first, last ROWS UNBOUNDED PRECEDING) AS island
    FROM (
        SELECT agency, vehicle, first, last, CASE WHEN first <= 1 + MAX(last) OVER (
            PARTITION BY agency, vehicle ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) THEN 0 ELSE 1 END AS starts
        FROM ({places}) AS places
    ) AS marked
) AS islands GROUP BY agency, vehicle, island ORDER BY agency, vehicle, 3
"""
"""Joins places, (agency, vehicle, first, last), to the fewest spans; both databases understand it."""

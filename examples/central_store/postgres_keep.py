"""What a batch writes into PostgreSQL: one statement for many rows."""

from collections.abc import Collection, Sequence
from typing import Any

import psycopg

from edge_agent.domain import ReadKey

from .database import REJECTED_AT_MOST, Batch, Identity, Rejected
from .images import image_named

Connection = psycopg.Connection[tuple[Any, ...]]

_INSERT_KEYS = """
INSERT INTO lpr.read_keys AS known (id, revision, sha256, captured_at, deliveries)
SELECT * FROM unnest(%s::uuid[], %s::int[], %s::bytea[], %s::timestamptz[], %s::int[])
ON CONFLICT (id, revision) DO UPDATE SET deliveries = known.deliveries + excluded.deliveries
    WHERE known.sha256 = excluded.sha256
RETURNING id, revision, deliveries
"""
_INSERT_READS = """
INSERT INTO lpr.reads (id, revision, agency, vehicle, seq, camera, captured_at, plate, confidence, record,
    aged_from)
SELECT id, revision, agency, vehicle, seq, camera, captured_at, plate, confidence, record,
    CASE WHEN synchronized THEN least(captured_at, now()) ELSE now() END
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[],
    %s::float8[], %s::text[], %s::bool[])
AS new (id, revision, agency, vehicle, seq, camera, captured_at, plate, confidence, record, synchronized)
"""
_INSERT_GAPS = """
INSERT INTO lpr.gaps AS known (id, agency, vehicle, reason, reads, at, record, sha256, deliveries)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::text[],
    %s::bytea[], %s::int[])
ON CONFLICT (id) DO UPDATE SET deliveries = known.deliveries + excluded.deliveries
    WHERE known.sha256 = excluded.sha256
RETURNING id
"""
_NAMING = """
SELECT read.agency, read.vehicle, read.record FROM unnest(%s::uuid[]) AS asked (id)
CROSS JOIN LATERAL (SELECT * FROM lpr.read_keys AS key WHERE key.id = asked.id OFFSET 0) AS key
CROSS JOIN LATERAL (
    SELECT * FROM lpr.reads AS read
    WHERE (read.id, read.revision, read.captured_at) = (key.id, key.revision, key.captured_at) OFFSET 0
) AS read
"""  # OFFSET keeps them apart: looked up one by one, each in its month alone
_INSERT_IMAGES = """
INSERT INTO lpr.images AS known (id, sha256, agency, vehicle, jpeg, deliveries)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::int[])
ON CONFLICT (id, sha256) DO UPDATE SET deliveries = known.deliveries + excluded.deliveries
"""
_REJECT = """
INSERT INTO lpr.rejected AS known (sha256, topic, payload, reason) VALUES (%s, %s, %s, %s)
ON CONFLICT (sha256) DO UPDATE SET deliveries = known.deliveries + 1
"""
_FORGET_REJECTED = """
DELETE FROM lpr.rejected WHERE sha256 IN (
    SELECT sha256 FROM lpr.rejected
    WHERE rejected_at < (SELECT rejected_at FROM lpr.rejected ORDER BY rejected_at DESC LIMIT 1 OFFSET %s)
    FOR UPDATE SKIP LOCKED
)
"""  # what another worker deletes at this moment is left to it


def keep(connection: Connection, batch: Batch) -> Batch:
    """Write a batch, in a transaction of the caller's; give it back without what was refused."""
    # Pictures last: the reads that name them may be in the batch.
    refused = _keep_reads(connection, batch) | _keep_gaps(connection, batch) | _keep_images(connection, batch)
    kept = batch.without(refused)
    _reject(connection, kept.rejected)
    return kept


def _keep_reads(connection: Connection, batch: Batch) -> set[Identity]:
    """Write the keys, and the reads of those that are new; give those that are here with other contents."""
    reads = batch.reads
    if not reads:
        return set()
    keys = [(one.id, one.revision, came.sha256, one.captured_at, came.times) for one, came in reads]
    found = connection.execute(_INSERT_KEYS, _columns(keys)).fetchall()
    deliveries = {ReadKey(id_, revision): count for id_, revision, count in found}
    new = [
        (
            one.id,
            one.revision,
            one.agency,
            one.vehicle,
            one.seq,
            one.camera,
            one.captured_at,
            one.plate.text,
            one.plate.confidence,
            came.text,
            one.clock.synchronized,
        )
        for one, came in reads
        if deliveries.get(one.key) == came.times  # no more than have come now
    ]
    if new:
        connection.execute(_INSERT_READS, _columns(new))
    return {came.identity for _, came in reads} - deliveries.keys()


def _keep_gaps(connection: Connection, batch: Batch) -> set[Identity]:
    gaps = [
        (
            one.id,
            one.agency,
            one.vehicle,
            str(one.reason),
            one.reads,
            one.at,
            came.text,
            came.sha256,
            came.times,
        )
        for one, came in batch.gaps
    ]
    if not gaps:
        return set()
    return {came.identity for _, came in batch.gaps} - {
        id_ for (id_,) in connection.execute(_INSERT_GAPS, _columns(gaps))
    }


def _keep_images(connection: Connection, batch: Batch) -> set[Identity]:
    images = batch.images
    if not images:
        return set()
    reads = connection.execute(_NAMING, ([one.id for one, _ in images],))
    named = {(agency, vehicle, image_named(record)) for agency, vehicle, record in reads}
    taken = {
        one.key: (one.id, one.key.sha256, one.agency, one.vehicle, one.jpeg, came.times)
        for one, came in images
        if came.identity in named
    }
    if taken:
        connection.execute(_INSERT_IMAGES, _columns(list(taken.values())))
    return {came.identity for _, came in images if came.identity not in named}


def _reject(connection: Connection, rejected: Collection[Rejected]) -> None:
    rows = sorted((one.sha256, one.source, one.beginning, one.reason) for one in rejected)
    connection.cursor().executemany(_REJECT, rows)
    if rows:
        connection.execute(_FORGET_REJECTED, (REJECTED_AT_MOST,))


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    """Turn rows into the arrays that one statement takes: one round trip for all of them."""
    return [list(column) for column in zip(*rows, strict=True)]

"""What the store owes after whatever happened: every committed read once, as it was written."""

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path


def stored(database: Path) -> dict[str, tuple[int, str]]:
    """Place in the count and hash of the record by id; a read that is there twice fails the test."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT id, seq, record FROM reads ORDER BY seq").fetchall()
    found = {id_: (seq, sha256(record.encode()).hexdigest()) for id_, seq, record in rows}
    assert len(found) == len(rows)
    assert len({seq for seq, _ in found.values()}) == len(rows)
    return found


def how_many(database: Path) -> int:
    """Count what is stored, quickly: asked again and again, `stored` would take the computer's time."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM reads").fetchone()
    return int(count)


def pictures_owed(database: Path) -> set[int]:
    """Places of the count whose stored read names a picture that is not there."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT seq FROM reads LEFT JOIN images ON images.id = reads.id"
            " AND images.sha256 = json_extract(record, '$.image.sha256')"
            " WHERE json_extract(record, '$.image') IS NOT NULL AND images.jpeg IS NULL"
        ).fetchall()
    return {seq for (seq,) in rows}


def told_missing(database: Path, what: str = "reads") -> set[int]:
    """Places of the count that a gap record names, for their reads or for their pictures alone."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')"
            " FROM gaps, json_each(gaps.record, '$.ranges') WHERE json_extract(gaps.record, '$.what') = ?",
            (what,),
        ).fetchall()
    return {seq for first, last in rows for seq in range(first, last + 1)}


def owed(committed: dict[str, tuple[int, str]], database: Path) -> list[str]:
    """Give the ids of committed reads that are not in the store as they were committed."""
    found = stored(database) if database.exists() else {}
    return [id_ for id_, what in committed.items() if found.get(id_) != what]

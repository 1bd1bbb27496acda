"""Files of outboxes as earlier versions of the program have left them."""

from contextlib import closing
from hashlib import sha256
from pathlib import Path

from edge_agent.outbox.file import connect
from edge_agent.outbox.schema import _STEPS
from tests.outbox.test_images import FACE
from tests.outbox.test_outbox import OWNER, Note

FORMATS = {
    1: """
        CREATE TABLE reads (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, payload BLOB NOT NULL,
            appended_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
        CREATE TABLE counter (last_seq INTEGER NOT NULL) STRICT;
        INSERT INTO counter VALUES (1);
    """,
    2: """
        CREATE TABLE reads (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, payload BLOB NOT NULL,
            appended_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
        CREATE TABLE counter (last_seq INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '') STRICT;
        INSERT INTO counter VALUES (1, 'hpd/car-1');
    """,
    3: """
        CREATE TABLE reads (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, payload BLOB NOT NULL,
            appended_ms INTEGER NOT NULL, revision INTEGER NOT NULL DEFAULT 0, UNIQUE (id, revision)) STRICT;
        CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
        CREATE TABLE counter (last_seq INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '') STRICT;
        INSERT INTO counter VALUES (1, 'hpd/car-1');
    """,
}


def earlier(path: Path, version: int, *, count: int, appended_ms: int) -> list[Note]:
    """Make the file of an earlier format, with so many reads that wait; from 4 on a gap record, from 5 on pictures.

    Those of the first three are as they were written; what came later is made of them as it was then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = [Note() for _ in range(count)]
    with closing(connect(path, None)) as old:
        old.executescript(FORMATS[min(version, 3)])
        for seq, note in enumerate(notes, start=1):
            row = (seq, note.key.id.bytes, note.encode(seq) + b"." * 600, appended_ms + seq)
            old.execute("INSERT INTO reads (seq, id, payload, appended_ms) VALUES (?, ?, ?, ?)", row)
        old.execute("UPDATE counter SET last_seq = ?", (count,))
        if version > 1:
            old.execute("UPDATE counter SET owner = ?", (OWNER,))
        for step in range(3, version):
            old.executescript(_STEPS[step])
        if version > 3:
            gap = (b"g" * 16, "not_written", "[]", 3, 0, appended_ms)
            old.execute(
                "INSERT INTO gaps (id, reason, ranges, reads, acknowledged, at_ms) VALUES (?, ?, ?, ?, ?, ?)", gap
            )
        if version > 4:
            for seq, note in enumerate(notes, start=1):
                jpeg = FACE + bytes([seq % 256]) * 300
                picture = (seq, note.key.id.bytes, sha256(jpeg).digest(), appended_ms, 0.0, jpeg)
                old.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)", picture)
        old.execute(f"PRAGMA user_version = {version}")
    return notes

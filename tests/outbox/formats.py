"""Files of outboxes as earlier versions of the program have left them."""

from contextlib import closing
from hashlib import sha256
from pathlib import Path

from edge_agent.outbox.file import connect
from edge_agent.outbox.schema import _STEPS
from tests.outbox.test_images import FACE
from tests.outbox.test_outbox import OWNER, Note

FORMAT_4 = """
CREATE TABLE reads (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL, revision INTEGER NOT NULL, priority INTEGER NOT NULL,
    appended_ms INTEGER NOT NULL, appended_age_s REAL NOT NULL, payload BLOB NOT NULL, UNIQUE (id, revision)
) STRICT;
CREATE TABLE quarantined (seq INTEGER PRIMARY KEY, why TEXT NOT NULL) STRICT;
CREATE TABLE gaps (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, reason TEXT NOT NULL, ranges TEXT NOT NULL,
    reads INTEGER NOT NULL, acknowledged INTEGER NOT NULL, at_ms INTEGER NOT NULL, sent_at_s REAL
) STRICT;
CREATE TABLE purges (
    number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, reason TEXT NOT NULL, reads INTEGER NOT NULL,
    oldest_ms INTEGER NOT NULL, newest_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE age (aged_s REAL NOT NULL, utc_s REAL NOT NULL) STRICT;
CREATE TABLE sent (seq INTEGER PRIMARY KEY, at_s REAL NOT NULL) STRICT;
CREATE TABLE counter (last_seq INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '') STRICT;
"""


def earlier(path: Path, version: int, *, count: int, appended_ms: int) -> list[Note]:
    """Make the file of an earlier format with so many reads that wait, a gap record, and from 5 on pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = [Note(size=600) for _ in range(count)]
    with closing(connect(path, None)) as old:
        old.executescript(FORMAT_4)
        old.execute("INSERT INTO counter VALUES (?, ?)", (count, OWNER))
        old.execute("INSERT INTO age VALUES (0.0, ?)", (appended_ms / 1000,))
        for seq, note in enumerate(notes, start=1):
            row = (seq, note.key.id.bytes, 0, 0, appended_ms + seq, seq / 1000, note.encode(seq))
            old.execute("INSERT INTO reads VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        gap = (b"g" * 16, "not_written", "[]", 3, 0, appended_ms)
        old.execute(
            "INSERT INTO gaps (id, reason, ranges, reads, acknowledged, at_ms) VALUES (?, ?, ?, ?, ?, ?)", gap
        )
        for step in range(4, version):
            old.executescript(_STEPS[step])
            if step == 4:
                for seq, note in enumerate(notes, start=1):
                    jpeg = FACE + bytes([seq % 256]) * 300
                    picture = (seq, note.key.id.bytes, sha256(jpeg).digest(), appended_ms, seq / 1000, jpeg)
                    old.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)", picture)
        old.execute(f"PRAGMA user_version = {version}")
        if version >= 9:
            old.execute("VACUUM")
            old.execute("PRAGMA application_id = 7")
    return notes

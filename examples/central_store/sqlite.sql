-- Run at each start: what is here already stays as it is.
CREATE TABLE IF NOT EXISTS reads (
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    agency TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    seq INTEGER NOT NULL,
    camera TEXT NOT NULL,
    captured_at TEXT NOT NULL,
    plate TEXT NOT NULL,
    confidence REAL NOT NULL,
    record TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    aged_from TEXT NOT NULL,
    stored_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deliveries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (id, revision)
);

CREATE INDEX IF NOT EXISTS reads_by_place ON reads (agency, vehicle, seq);

CREATE INDEX IF NOT EXISTS reads_by_plate ON reads (plate, captured_at);

CREATE INDEX IF NOT EXISTS reads_with_doubt ON reads (captured_at) WHERE instr(plate, '?');

CREATE INDEX IF NOT EXISTS reads_by_age ON reads (aged_from);

CREATE VIEW IF NOT EXISTS latest_reads AS
    SELECT * FROM reads WHERE NOT EXISTS
        (SELECT 1 FROM reads AS later WHERE later.id = reads.id AND later.revision > reads.revision);

CREATE TABLE IF NOT EXISTS gaps (
    id TEXT PRIMARY KEY,
    agency TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    reason TEXT NOT NULL,
    reads INTEGER NOT NULL,
    at TEXT NOT NULL,
    record TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    stored_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deliveries INTEGER NOT NULL DEFAULT 1
);

-- Pictures, by the id of the read and by what its record says of them.
CREATE TABLE IF NOT EXISTS images (
    id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    agency TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    jpeg BLOB NOT NULL,
    stored_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deliveries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (id, sha256)
);

CREATE TABLE IF NOT EXISTS rejected (
    sha256 TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    reason TEXT NOT NULL,
    rejected_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deliveries INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS purged (
    agency TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (agency, vehicle, first)
);

CREATE TABLE IF NOT EXISTS purges (
    purged_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    before TEXT NOT NULL,
    reads INTEGER NOT NULL,
    rejected INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS access_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    asked_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    who TEXT NOT NULL,
    login TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (length(trim(purpose)) >= 10),
    question TEXT NOT NULL,
    rows INTEGER NOT NULL
);

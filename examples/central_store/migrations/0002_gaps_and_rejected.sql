CREATE TABLE lpr.gaps (
    id uuid PRIMARY KEY,
    agency text NOT NULL,
    vehicle text NOT NULL,
    reason text NOT NULL,
    reads bigint NOT NULL,
    at timestamptz NOT NULL,
    record text NOT NULL,
    sha256 bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    deliveries integer NOT NULL
);

CREATE TABLE lpr.rejected (
    sha256 bytea PRIMARY KEY,
    topic text NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    deliveries integer NOT NULL DEFAULT 1
);

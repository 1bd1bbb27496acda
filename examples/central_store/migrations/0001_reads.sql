-- Reads by month of capture. A unique index over partitions would have to hold captured_at, and then the same id with
-- another time would be another read: so the keys have a table of their own, written in the same transaction.
CREATE TABLE lpr.read_keys (
    id uuid NOT NULL,
    revision integer NOT NULL,
    sha256 bytea NOT NULL,
    captured_at timestamptz NOT NULL,
    deliveries integer NOT NULL,
    PRIMARY KEY (id, revision)
);

CREATE TABLE lpr.reads (
    id uuid NOT NULL,
    revision integer NOT NULL,
    agency text NOT NULL,
    vehicle text NOT NULL,
    seq bigint NOT NULL,
    camera text NOT NULL,
    captured_at timestamptz NOT NULL,
    plate text COLLATE "C" NOT NULL, -- so that a beginning is a range of the index
    confidence double precision NOT NULL,
    record text NOT NULL, -- exactly as it came; record::jsonb for its parts
    aged_from timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (captured_at);

CREATE INDEX reads_by_plate ON lpr.reads (plate, captured_at);
CREATE INDEX reads_with_doubt ON lpr.reads (captured_at) WHERE strpos(plate, '?') > 0;
CREATE INDEX reads_by_place ON lpr.reads (agency, vehicle, seq);
CREATE INDEX reads_by_age ON lpr.reads (aged_from);

-- For months that no clock in order gives: nothing is lost.
CREATE TABLE lpr.reads_other PARTITION OF lpr.reads DEFAULT;

CREATE VIEW lpr.latest_reads AS
    SELECT * FROM lpr.reads AS read WHERE NOT EXISTS (
        SELECT FROM lpr.read_keys AS later WHERE later.id = read.id AND later.revision > read.revision
    );

-- Makes the partition of a month, and moves into it what the default one has of that month.
CREATE FUNCTION lpr.make_month(month date) RETURNS void LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    partition text := to_char(month, '"reads_"YYYY_MM');
    first timestamptz := month;
    beyond timestamptz := month + interval '1 month';
BEGIN
    IF to_regclass('lpr.' || partition) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE lpr.%I (LIKE lpr.reads INCLUDING DEFAULTS)', partition);
    EXECUTE format(
        'WITH moved AS (DELETE FROM lpr.reads_other WHERE captured_at >= $1 AND captured_at < $2 RETURNING *)'
        ' INSERT INTO lpr.%I SELECT * FROM moved', partition) USING first, beyond;
    EXECUTE format('ALTER TABLE lpr.reads ATTACH PARTITION lpr.%I FOR VALUES FROM (%L) TO (%L)',
        partition, first, beyond);
END $$;

-- Which places of each vehicle's count were deleted on purpose: they are not missing.
CREATE TABLE lpr.purged (
    agency text NOT NULL,
    vehicle text NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (agency, vehicle, first)
);

CREATE TABLE lpr.purges (
    purged_at timestamptz NOT NULL DEFAULT now(),
    before timestamptz NOT NULL,
    reads bigint NOT NULL,
    rejected bigint NOT NULL
);

-- Deletes what is older, whole months where no younger read is in them. Gives how many reads went.
CREATE FUNCTION lpr.purge_reads(before timestamptz) RETURNS bigint LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    partition text;
    younger boolean;
    gone bigint;
BEGIN
    DELETE FROM lpr.read_keys AS key USING lpr.reads AS read
        WHERE read.aged_from < before AND (key.id, key.revision) = (read.id, read.revision);
    GET DIAGNOSTICS gone = ROW_COUNT;
    FOR partition IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'lpr.reads'::regclass
            AND to_date(substring(relname FROM '^reads_(\d{4}_\d{2})$'), 'YYYY_MM') + interval '1 month' <= before
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM lpr.%I WHERE aged_from >= $1)', partition) INTO younger USING before;
        IF NOT younger THEN
            EXECUTE format('DROP TABLE lpr.%I', partition);
        END IF;
    END LOOP;
    DELETE FROM lpr.reads WHERE aged_from < before;
    RETURN gone;
END $$;

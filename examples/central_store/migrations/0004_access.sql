-- No question without a purpose, and none that is not on record.
CREATE TABLE lpr.access_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL CHECK (btrim(who) <> ''),
    login text NOT NULL DEFAULT session_user,
    purpose text NOT NULL CHECK (length(btrim(purpose)) >= 10),
    question text NOT NULL,
    rows bigint NOT NULL
);

-- The one way to the reads for whoever has the role lpr_reader. plate: AB12CD3, or AB12* for a beginning; a character
-- that could not be read (?) may be the one asked for. A caller who rolls back takes the line out of the access log,
-- but not its number, and not the line that the server's own log has by then.
CREATE FUNCTION lpr.ask(
    who text, purpose text, plate text, agency text, vehicle text,
    since timestamptz, until timestamptz, at_most integer
) RETURNS SETOF lpr.latest_reads
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    entry bigint;
    given bigint;
    written constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
    beginning text := rtrim(plate, '*');
    highest text := beginning || CASE WHEN plate LIKE '%*' THEN '~' ELSE '' END;
    doubtful text := '^' || regexp_replace(beginning, '(.)', '[\1?]', 'g')
        || CASE WHEN plate LIKE '%*' THEN '' ELSE '$' END;
BEGIN
    IF length(btrim(coalesce(purpose, ''))) < 10 OR btrim(coalesce(who, '')) = '' THEN
        RAISE EXCEPTION 'say who asks, and why in 10 characters or more';
    END IF;
    IF (plate IS NULL) = (agency IS NULL OR vehicle IS NULL) OR at_most IS NULL THEN
        RAISE EXCEPTION 'ask for a plate or for a vehicle, and for how many reads';
    END IF;
    IF plate !~ '^[0-9A-Z]{1,12}\*?$' THEN
        RAISE EXCEPTION 'plate: should be up to 12 capital letters and digits, and * for any end';
    END IF;
    INSERT INTO lpr.access_log (who, purpose, question, rows) VALUES (ask.who, ask.purpose, concat_ws(' ',
        'plate ' || plate, 'vehicle ' || agency || '/' || vehicle, 'from ' || to_char(since, written),
        'to ' || to_char(until, written), 'limit ' || at_most), 0) RETURNING id INTO entry;
    RAISE LOG 'lpr.ask: number % in the access log, by %, as %, for: %', entry, session_user, who, purpose;
    IF plate IS NULL THEN
        RETURN QUERY SELECT * FROM lpr.latest_reads AS read
            WHERE read.agency = ask.agency AND read.vehicle = ask.vehicle
                AND read.captured_at >= coalesce(since, '-infinity') AND read.captured_at < coalesce(until, 'infinity')
            ORDER BY read.captured_at DESC, read.seq DESC LIMIT at_most;
    ELSE
        RETURN QUERY SELECT * FROM lpr.latest_reads AS read
            WHERE (read.plate BETWEEN beginning AND highest OR strpos(read.plate, '?') > 0 AND read.plate ~ doubtful)
                AND read.captured_at >= coalesce(since, '-infinity') AND read.captured_at < coalesce(until, 'infinity')
            ORDER BY read.captured_at DESC, read.seq DESC LIMIT at_most;
    END IF;
    GET DIAGNOSTICS given = ROW_COUNT;
    UPDATE lpr.access_log SET rows = given WHERE id = entry;
END $$;
